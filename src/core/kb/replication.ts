/**
 * The machine that spreads versions to all nodes (exchange.ts) and roots to their holders
 * (copies.ts). Here stands only what goes where: inputs, messages and alarms.
 *
 * It opens no connection, moves no object and signs nothing: `node/` fetches what `fetchWanted`
 * names and reports `stored`.
 */
import type { CID } from 'multiformats/cid';
import { unreachable } from '../assert.ts';
import { isAegisError } from '../errors.ts';
import type { Machine, Ready } from '../machine.ts';
import { type Instant, SECOND } from '../units.ts';
import { Copies, FETCH_ALARM, OFFER_ALARM, PLACE_ALARM } from './copies.ts';
import { Exchange, VECTOR_ALARM } from './exchange.ts';
import { decodeMessage, type KbMessage } from './messages.ts';
import { Replicas } from './replicas.ts';
import { type Recovered, recoverEntries, type StoredEntry } from './replication-entries.ts';
import type {
  Holders,
  ReplicationDeps,
  ReplicationInput,
  ReplicationOptions,
  ReplicationShared,
} from './replication-types.ts';
import { Turn } from './turn.ts';
import { VersionGraph } from './versions.ts';

export type * from './replication-types.ts';
export { KB_PROTOCOL } from './turn.ts';

export class Replication implements Machine<ReplicationInput> {
  readonly graph: VersionGraph;
  readonly #shared: ReplicationShared;
  readonly #copies: Copies;
  readonly #exchange: Exchange;

  constructor(options: ReplicationOptions, deps: ReplicationDeps, recovered?: Recovered) {
    this.graph = recovered?.graph ?? new VersionGraph();
    this.#shared = {
      options: { minReplicas: 2, antiEntropyMs: 30 * SECOND, maxFetches: 8, ...options },
      deps,
      graph: this.graph,
      replicas: new Replicas(options),
      up: new Set(),
      turn: new Turn(),
    };
    this.#copies = new Copies(this.#shared);
    this.#exchange = new Exchange(this.#shared, this.#copies);
    if (recovered !== undefined) this.#copies.restore(recovered);
  }

  /**
   * The machine as its durable entries describe it. Give it `start` next, and `lost` for each root
   * that the content store no longer has complete.
   * @throws {AegisError} `STORE_DAMAGED`.
   */
  static recover(
    options: ReplicationOptions,
    deps: ReplicationDeps,
    entries: Iterable<StoredEntry>,
  ): Replication {
    return new Replication(options, deps, recoverEntries(entries, deps.keyOf));
  }

  step(input: ReplicationInput, now: Instant): Ready {
    const { turn } = this.#shared;
    turn.begin(now);
    this.#take(input);
    this.#copies.flush();
    return turn.build();
  }

  /** Roots that wait to be fetched, and versions with too few copies. */
  get backlog(): { readonly wanted: number; readonly underReplicated: number } {
    return {
      wanted: this.#copies.wanted,
      underReplicated: this.#shared.replicas.underReplicated,
    };
  }

  /** Whether all objects of a root are durable here. */
  hasRoot(root: CID): boolean {
    return this.#shared.replicas.hasRoot(root);
  }

  holders(root: CID): Holders {
    const { replicas, options } = this.#shared;
    const confirmed = new Set<string>(this.hasRoot(root) ? [options.nodeId] : []);
    for (const account of replicas.ofRoot(root)) {
      for (const nodeId of account.confirmed) confirmed.add(nodeId);
    }
    return { placed: replicas.placed(root), confirmed: [...confirmed] };
  }

  /** Nodes with the version and all objects of its root, as far as they have told this node. */
  copies(version: string): string[] {
    const { replicas } = this.#shared;
    const account = replicas.get(version);
    return account === undefined ? [] : replicas.copies(account);
  }

  /** Nodes to ask for a root, best first: connected before others, confirmed before likely. */
  sources(root: CID): string[] {
    return this.#copies.sources(root);
  }

  #take(input: ReplicationInput): void {
    switch (input.type) {
      case 'start':
        return this.#exchange.armVector();
      case 'local':
        return this.#exchange.local(input.version);
      case 'message':
        return this.#message(input.from, input.body);
      case 'peer-up':
        return this.#peerUp(input.nodeId);
      case 'peer-down':
        if (this.#shared.up.delete(input.nodeId)) this.#copies.peerDown(input.nodeId);
        return;
      case 'stored':
        return this.#copies.stored(input.root);
      case 'lost':
        return this.#copies.lost(input.root);
      case 'members':
        return this.#copies.members(input.members);
      case 'missing':
        return this.#exchange.askAll();
      case 'fetch-failed':
        return this.#copies.fetchFailed(input.root);
      case 'want':
        return this.#copies.wantCopies(input.version, input.copies);
      case 'alarm':
        return this.#alarm(input.key);
      default:
        return unreachable(input);
    }
  }

  #peerUp(nodeId: string): void {
    const { up, options } = this.#shared;
    if (nodeId === options.nodeId) return;
    up.add(nodeId);
    this.#exchange.sendVector(nodeId, false);
    this.#copies.peerUp(nodeId);
  }

  #alarm(key: string): void {
    if (key === VECTOR_ALARM) {
      this.#exchange.askAll();
      this.#exchange.armVector();
    } else if (key === FETCH_ALARM) this.#copies.stirFetches();
    else if (key === PLACE_ALARM) this.#copies.placeMore();
    else if (key.startsWith(OFFER_ALARM)) this.#copies.offer(key.slice(OFFER_ALARM.length));
  }

  #message(from: string, body: Uint8Array): void {
    try {
      this.#dispatch(from, decodeMessage(body));
    } catch (error) {
      if (!isAegisError(error)) throw error;
      this.#shared.turn.tell({ type: 'refused', from, error });
    }
  }

  #dispatch(from: string, message: KbMessage): void {
    switch (message.type) {
      case 'vector':
        this.#exchange.vector(from, message);
        if (!message.isReply) this.#copies.compareHeld(from, message.held);
        return;
      case 'versions':
        return this.#exchange.versions(from, message);
      case 'offer':
        if (this.#copies.offered(from, message.versions)) this.#exchange.sendVector(from, true);
        return;
      case 'stored':
        return this.#copies.confirmed(from, message.versions, message.isReset);
      case 'ranges':
        return this.#exchange.ranges(from, message);
      default:
        return unreachable(message);
    }
  }
}
