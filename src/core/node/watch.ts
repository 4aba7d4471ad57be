/**
 * Turns what happens in a node into events for those who watch. What changes often (round trips,
 * memory, counters) is compared once a second, and only while somebody watches.
 */
import type { BlockSummary } from '../api/contract/consensus.ts';
import type { Peer } from '../api/contract/peers.ts';
import type { NodeLog } from '../telemetry/log.ts';
import type { NodeBackend } from './backend.ts';
import type { Engine } from './engine.ts';
import type { EventHub } from './events.ts';

export interface WatchDeps {
  readonly backend: NodeBackend;
  readonly engine: Engine;
  readonly hub: EventHub;
  readonly log: NodeLog;
}

const INTERVAL_MS = 1000;
/** Votes come in crowds; a reader sees no more than this. */
const CONSENSUS_MS = 50;
const TOR_MS = 250;

export class Watch {
  readonly #deps: WatchDeps;
  readonly #timer: NodeJS.Timeout;
  readonly #unsubscribe: () => void;
  #consensus: NodeJS.Timeout | undefined;
  #tor: NodeJS.Timeout | undefined;
  #peers = new Map<string, { readonly peer: Peer; readonly text: string }>();
  /** As they were told last. */
  #custodians = '';
  #torText = '';

  constructor(deps: WatchDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => void this.#look(), INTERVAL_MS);
    this.#timer.unref();
    this.#unsubscribe = deps.log.onLine((line) => {
      deps.hub.emit(() => ({ type: 'log', line: { ...line } }));
    });
  }

  stop(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#consensus);
    clearTimeout(this.#tor);
    this.#unsubscribe();
  }

  peersChanged(): void {
    if (!this.#deps.hub.isWatched) return;
    const now = new Map<string, { peer: Peer; text: string }>();
    for (const peer of this.#deps.engine.peers.list().peers) {
      // An address changes from one connection to the next; the node stays the same.
      now.set(peer.nodeId ?? `${peer.address}`, { peer, text: JSON.stringify(peer) });
    }
    for (const [key, { peer, text }] of now) {
      if (this.#peers.get(key)?.text === text) continue;
      this.#deps.hub.emit(() => ({ type: 'peer', peer }));
    }
    for (const [key, { peer }] of this.#peers) {
      if (now.has(key)) continue;
      const { nodeId, address } = peer;
      this.#deps.hub.emit(() => ({ type: 'peer-gone', nodeId, address }));
    }
    this.#peers = now;
  }

  consensusMoved(): void {
    if (!this.#deps.hub.isWatched) return;
    this.#consensus ??= setTimeout(() => this.#tellConsensus(), CONSENSUS_MS).unref();
  }

  /** Circuits come and go many times a second. */
  torChanged(): void {
    if (!this.#deps.hub.isWatched) return;
    this.#tor ??= setTimeout(() => void this.#tellTor(), TOR_MS).unref();
  }

  blockFinal(block: BlockSummary): void {
    this.#deps.hub.emit(() => ({ type: 'block', block }));
    this.consensusMoved();
  }

  async pathChanged(path: string): Promise<void> {
    if (!this.#deps.hub.isWatched) return;
    try {
      const entry = await this.#deps.engine.views.entry(path);
      if (entry !== undefined) this.#deps.hub.emit(() => ({ type: 'kb', entry }));
    } catch {
      // The store is closing; whoever watches learns that from the end of the stream.
    }
  }

  #tellConsensus(): void {
    this.#consensus = undefined;
    this.#deps.hub.emit(() => ({
      type: 'consensus',
      consensus: this.#deps.engine.consensus.status(),
    }));
  }

  async #tellTor(): Promise<void> {
    this.#tor = undefined;
    try {
      const tor = await this.#deps.backend.tor.status();
      const text = JSON.stringify(tor);
      if (text === this.#torText) return;
      this.#torText = text;
      this.#deps.hub.emit(() => ({ type: 'tor', tor }));
    } catch {
      // As above.
    }
  }

  #custodiansChanged(): void {
    const custodians = this.#deps.engine.consensus.custodians();
    const text = JSON.stringify(custodians);
    if (text === this.#custodians) return;
    this.#custodians = text;
    this.#deps.hub.emit(() => ({ type: 'custodians', custodians }));
  }

  async #look(): Promise<void> {
    if (!this.#deps.hub.isWatched) return;
    this.peersChanged();
    this.#custodiansChanged();
    this.#tellConsensus();
    this.torChanged();
    try {
      const node = await this.#deps.backend.status();
      this.#deps.hub.emit(() => ({ type: 'node', node }));
    } catch {
      // As above.
    }
  }
}
