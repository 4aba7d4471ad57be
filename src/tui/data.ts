/**
 * What the daemon has told: its event stream reduced to the newest state of everything.
 * Pure, and tolerant: an event of a later version that is not known here changes nothing.
 * Knows neither keys nor layout.
 */
import type { BlockSummary, ConsensusStatus, Who } from '../core/api/contract/consensus.ts';
import type { ApiEvent, LogLine, Snapshot } from '../core/api/contract/events.ts';
import type { KbEntry } from '../core/api/contract/kb.ts';
import type { NodeStatus } from '../core/api/contract/node.ts';
import type { Peer } from '../core/api/contract/peers.ts';
import type { TorStatus } from '../core/api/contract/tor.ts';

export type {
  ApiEvent,
  BlockSummary,
  ConsensusStatus,
  KbEntry,
  LogLine,
  NodeStatus,
  Peer,
  TorStatus,
  Who,
};

/** A daemon that names more than these is shown in part; the terminal must stay quick. */
export const PEERS_MAX = 2000;
export const ENTRIES_MAX = 2000;
export const LOG_LINES_MAX = 500;
export const BLOCKS_MAX = 100;
/** As many as a genesis may have. */
const CUSTODIANS_MAX = 256;

export interface Data {
  /** `undefined` until the first snapshot. */
  readonly node: NodeStatus | undefined;
  /** `undefined` until the first snapshot. */
  readonly tor: TorStatus | undefined;
  /** By `peerKey`. */
  readonly peers: ReadonlyMap<string, Peer>;
  /** The paths that changed most recently, by path; not all that exist. */
  readonly entries: ReadonlyMap<string, KbEntry>;
  /** `undefined` until the node belongs to a cluster. */
  readonly consensus: ConsensusStatus | undefined;
  /** In the order in which certificates number them. */
  readonly custodians: readonly Who[];
  /** The last final ones by height; the highest last. */
  readonly blocks: ReadonlyMap<string, BlockSummary>;
  /** The newest last. */
  readonly log: readonly LogLine[];
}

export const NO_DATA: Data = {
  node: undefined,
  tor: undefined,
  peers: new Map(),
  entries: new Map(),
  consensus: undefined,
  custodians: [],
  blocks: new Map(),
  log: [],
};

/** A peer is known by its node id; one that has never answered only by its address. */
export const peerKey = (peer: { nodeId: string | null; address: string | null }): string =>
  peer.nodeId ?? peer.address ?? '';

/** Copies a collection at most once a batch, and only if something changes in it. */
class Draft {
  #now: Data;
  readonly #from: Data;

  constructor(from: Data) {
    this.#from = from;
    this.#now = from;
  }

  set(change: Partial<Data>): void {
    this.#now = { ...this.#now, ...change };
  }

  get peers(): Map<string, Peer> {
    if (this.#now.peers === this.#from.peers) this.set({ peers: new Map(this.#from.peers) });
    return this.#now.peers as Map<string, Peer>;
  }

  get entries(): Map<string, KbEntry> {
    if (this.#now.entries === this.#from.entries) {
      this.set({ entries: new Map(this.#from.entries) });
    }
    return this.#now.entries as Map<string, KbEntry>;
  }

  get blocks(): Map<string, BlockSummary> {
    if (this.#now.blocks === this.#from.blocks) this.set({ blocks: new Map(this.#from.blocks) });
    return this.#now.blocks as Map<string, BlockSummary>;
  }

  get log(): LogLine[] {
    if (this.#now.log === this.#from.log) this.set({ log: [...this.#from.log] });
    return this.#now.log as LogLine[];
  }

  replace(snapshot: Snapshot): void {
    const { node, tor, peers, kb, consensus, custodians, blocks, log } = snapshot;
    this.set({
      node,
      tor,
      peers: new Map(peers.slice(0, PEERS_MAX).map((peer) => [peerKey(peer), peer])),
      // The snapshot has the newest first, the map keeps the newest last.
      entries: new Map(
        kb
          .slice(0, ENTRIES_MAX)
          .toReversed()
          .map((entry) => [entry.path, entry]),
      ),
      consensus: consensus ?? undefined,
      custodians: custodians.slice(0, CUSTODIANS_MAX),
      blocks: new Map(blocks.slice(-BLOCKS_MAX).map((block) => [String(block.height), block])),
      log: log.slice(-LOG_LINES_MAX),
    });
  }

  /** The object of before if nothing was set. */
  finish(): Data {
    return this.#now;
  }
}

/** Applies a batch in order. Returns the same object if nothing changed. */
export function reduceEvents(data: Data, events: readonly ApiEvent[]): Data {
  const draft = new Draft(data);
  for (const event of events) apply(draft, event);
  return draft.finish();
}

function apply(draft: Draft, event: ApiEvent): void {
  switch (event.type) {
    case 'snapshot':
      draft.replace(event);
      break;
    case 'node':
      draft.set({ node: event.node });
      break;
    case 'tor':
      draft.set({ tor: event.tor });
      break;
    case 'peer':
      put(draft.peers, peerKey(event.peer), event.peer, PEERS_MAX);
      // Once it has answered, an address that was added by hand has a node id as its key.
      if (event.peer.nodeId !== null && event.peer.address !== null) {
        draft.peers.delete(event.peer.address);
      }
      break;
    case 'peer-gone':
      draft.peers.delete(peerKey(event));
      break;
    case 'kb':
      put(draft.entries, event.entry.path, event.entry, ENTRIES_MAX);
      break;
    case 'consensus':
      draft.set({ consensus: event.consensus });
      break;
    case 'custodians':
      draft.set({ custodians: event.custodians.slice(0, CUSTODIANS_MAX) });
      break;
    case 'block':
      put(draft.blocks, String(event.block.height), event.block, BLOCKS_MAX);
      break;
    case 'log':
      draft.log.push(event.line);
      if (draft.log.length > LOG_LINES_MAX) draft.log.shift();
      break;
    default:
    // A heartbeat only proves that the daemon answers; a later aegis may send more kinds.
  }
}

/** Sets a key as the newest; at the limit the one that has not changed for longest makes room. */
function put<T>(map: Map<string, T>, key: string, value: T, limit: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= limit) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
