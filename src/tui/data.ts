/**
 * What the daemon has told: its event stream reduced to the newest state of everything.
 * Pure, and tolerant: an event of a later version that is not known here changes nothing.
 * Knows neither keys nor layout.
 */
import type { ApiEvent, LogLine, Snapshot } from '../core/api/contract/events.ts';
import type { KbEntry } from '../core/api/contract/kb.ts';
import type { NodeStatus } from '../core/api/contract/node.ts';
import type { Peer } from '../core/api/contract/peers.ts';

export type { ApiEvent, KbEntry, LogLine, NodeStatus, Peer };

/** A daemon that names more than these is shown in part; the terminal must stay quick. */
export const PEERS_MAX = 2000;
export const ENTRIES_MAX = 2000;
export const LOG_LINES_MAX = 500;

export interface Data {
  /** `undefined` until the first snapshot. */
  readonly node: NodeStatus | undefined;
  /** By `peerKey`. */
  readonly peers: ReadonlyMap<string, Peer>;
  /** The paths that changed most recently, by path; not all that exist. */
  readonly entries: ReadonlyMap<string, KbEntry>;
  /** The newest last. */
  readonly log: readonly LogLine[];
}

export const NO_DATA: Data = { node: undefined, peers: new Map(), entries: new Map(), log: [] };

/** A peer is known by its node id; one that has never answered only by its address. */
export const peerKey = (peer: { nodeId: string | null; address: string | null }): string =>
  peer.nodeId ?? peer.address ?? '';

/** Copies a collection at most once a batch, and only if something changes in it. */
class Draft {
  node: NodeStatus | undefined;
  #peers: ReadonlyMap<string, Peer>;
  #entries: ReadonlyMap<string, KbEntry>;
  #log: readonly LogLine[];
  readonly #from: Data;

  constructor(from: Data) {
    this.#from = from;
    this.node = from.node;
    this.#peers = from.peers;
    this.#entries = from.entries;
    this.#log = from.log;
  }

  get peers(): Map<string, Peer> {
    if (this.#peers === this.#from.peers) this.#peers = new Map(this.#peers);
    return this.#peers as Map<string, Peer>;
  }

  get entries(): Map<string, KbEntry> {
    if (this.#entries === this.#from.entries) this.#entries = new Map(this.#entries);
    return this.#entries as Map<string, KbEntry>;
  }

  get log(): LogLine[] {
    if (this.#log === this.#from.log) this.#log = [...this.#log];
    return this.#log as LogLine[];
  }

  replace(snapshot: Snapshot): void {
    this.node = snapshot.node;
    this.#peers = new Map(snapshot.peers.slice(0, PEERS_MAX).map((peer) => [peerKey(peer), peer]));
    // The snapshot has the newest first, the map keeps the newest last.
    const newest = snapshot.kb.slice(0, ENTRIES_MAX).toReversed();
    this.#entries = new Map(newest.map((entry) => [entry.path, entry]));
    this.#log = snapshot.log.slice(-LOG_LINES_MAX);
  }

  finish(): Data {
    const { node } = this;
    const done = { node, peers: this.#peers, entries: this.#entries, log: this.#log };
    const from = this.#from;
    const same =
      node === from.node &&
      done.peers === from.peers &&
      done.entries === from.entries &&
      done.log === from.log;
    return same ? from : done;
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
      draft.node = event.node;
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
