/**
 * The machine that spreads versions to all nodes (exchange.ts) and roots to their holders
 * (copies.ts). Here stands only what goes where: inputs, messages and alarms.
 *
 * It opens no connection, moves no object and signs nothing: `node/` fetches what `fetchWanted`
 * names and reports `stored`.
 */
import type { CID } from 'multiformats/cid';
import { unreachable } from '../assert.ts';
import { hasCode, isAegisError } from '../errors.ts';
import type { Machine, Ready } from '../machine.ts';
import type { SignedVersion } from '../model/version.ts';
import type { Rows } from '../ports.ts';
import { type Instant, MINUTE, SECOND } from '../units.ts';
import { outOf, presentMembers } from './absence.ts';
import { Conflicted } from './conflicted.ts';
import { Copies, FETCH_ALARM, OFFER_ALARM, PLACE_ALARM } from './copies.ts';
import { Doubts } from './doubts.ts';
import { Exchange, VECTOR_ALARM } from './exchange.ts';
import { RESET_ALARM, TELL_ALARM } from './held-check.ts';
import { LettingGo } from './letting-go.ts';
import { decodeMessage, type KbMessage } from './messages.ts';
import { Records } from './records.ts';
import { Replicas } from './replicas.ts';
import type {
  Holders,
  ReplicationDeps,
  ReplicationInput,
  ReplicationOptions,
  ReplicationShared,
} from './replication-types.ts';
import { KbStore, TABLES } from './store.ts';
import { Turn } from './turn.ts';
import { UnwellVersions } from './unwell.ts';
import { Upkeep } from './upkeep.ts';
import { VersionGraph } from './versions.ts';

export type * from './replication-types.ts';
export { KB_PROTOCOL } from './turn.ts';

const CONTENT = 'content';

export class Replication implements Machine<ReplicationInput> {
  readonly graph: VersionGraph;
  readonly #shared: ReplicationShared;
  readonly #copies: Copies;
  /** What is wrong with copies, and how it is set right. */
  readonly upkeep: Upkeep;
  readonly #lettingGo: LettingGo;
  readonly #exchange: Exchange;
  readonly #records: Records;

  /**
   * The machine as its tables describe it. Give it `start` next, and `lost` for each root that the
   * content store no longer has complete.
   * @throws {AegisError} `STORE_DAMAGED`.
   */
  constructor(options: ReplicationOptions, deps: ReplicationDeps, rows: Rows) {
    const store = new KbStore(rows);
    const members = presentMembers(options.members, outOf(store));
    const turn = new Turn(store);
    const unwell = new UnwellVersions(store, turn);
    this.graph = new VersionGraph(options.limits, store);
    this.#shared = {
      options: {
        minReplicas: 2,
        limits: {},
        retention: {},
        antiEntropyMs: 30 * SECOND,
        maxFetches: 8,
        graceMs: 5 * MINUTE,
        ...options,
      },
      deps,
      store,
      graph: this.graph,
      conflicted: new Conflicted(store, (path) => this.graph.shown(path)),
      replicas: new Replicas({ ...options, members }, store, (account, isShort) =>
        unwell.changed(account, isShort),
      ),
      doubts: new Doubts({ store, turn }),
      unwell,
      up: new Set(),
      turn,
    };
    this.#copies = new Copies(this.#shared);
    this.upkeep = new Upkeep(this.#shared, this.#copies);
    this.#lettingGo = new LettingGo(this.#shared, this.#copies, this.upkeep);
    this.#records = new Records(this.#shared, {
      add: (merge, from) => this.#exchange.merge(merge, from),
      versions: (from, versions) =>
        this.#exchange.versions(from, { type: 'versions', versions, isMore: true }),
    });
    this.#exchange = new Exchange(this.#shared, this.#copies, this.#records);
  }

  step(input: ReplicationInput, now: Instant): Ready {
    const { turn } = this.#shared;
    turn.begin(now);
    this.#take(input);
    this.#copies.flush();
    this.upkeep.flush();
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

  /** W17: paths that show a merge with conflicts, in the order of their bytes. */
  conflicted(prefix: string, after: string | undefined, limit: number): string[] {
    return this.#shared.conflicted.paths(prefix, after, limit);
  }

  holders(root: CID): Holders {
    const { replicas, options } = this.#shared;
    const here = this.hasRoot(root) ? [options.nodeId] : [];
    return { placed: replicas.placed(root), confirmed: [...here, ...replicas.confirmed(root)] };
  }

  /** Roots that are complete here, in the order of their text. */
  roots(after: string | undefined, limit: number): CID[] {
    return this.#shared.replicas.roots(after, limit);
  }

  /** Nodes with the version and all objects of its root, as far as they have told this node. */
  copies(version: string): string[] {
    const { graph, replicas } = this.#shared;
    const signed = graph.get(version);
    const account = signed && replicas.get(signed);
    return account === undefined ? [] : replicas.copies(account);
  }

  /** Versions that concern this node and name a root. */
  *versionsOf(root: CID): Generator<SignedVersion> {
    for (const { cidText } of this.#shared.replicas.ofRoot(root)) {
      const signed = this.graph.get(cidText);
      if (signed !== undefined) yield signed;
    }
  }

  /** W29: whether this node is to hold a root that a version keeps. */
  isToHold(root: CID): boolean {
    return this.#lettingGo.isToHold(root);
  }

  /** Nodes to ask for a root, best first: connected before others, confirmed before likely. */
  sources(root: CID): string[] {
    return this.#copies.sources(root);
  }

  /** Of the content store whose roots were last compared with those here. */
  get contentId(): string | undefined {
    const row = this.#shared.store.get(TABLES.counters, CONTENT);
    return row && Buffer.from(row).toString();
  }

  #take(input: ReplicationInput): void {
    switch (input.type) {
      case 'start':
        this.#copies.start();
        this.upkeep.start();
        return this.#exchange.armVector();
      case 'local':
        return this.#exchange.local(input.version);
      case 'message':
        return this.#message(input.from, input.body);
      case 'peer-up':
        return this.#peerUp(input.nodeId);
      case 'peer-down':
        return this.#peerDown(input.nodeId);
      case 'stored':
        return this.#copies.stored(input.root);
      case 'lost':
        this.upkeep.lost(input.root);
        return this.#copies.lost(input.root);
      case 'content':
        return this.#shared.store.set(TABLES.counters, CONTENT, Buffer.from(input.id));
      case 'members':
      case 'audited':
      case 'repair':
        return this.upkeep.take(input);
      case 'drain':
        this.upkeep.take(input);
        return this.#exchange.askAll();
      case 'missing':
        this.#records.want(input.versions);
        return this.#exchange.askAll();
      case 'merges':
        return this.#records.final(input.records);
      case 'release':
        return this.#lettingGo.release(input.versions);
      case 'let-go':
        return this.#lettingGo.letGo(input.roots, input.isDry);
      case 'fetch-failed':
        this.#copies.fetchFailed(input.root);
        return this.#lettingGo.fetchFailed(input.root);
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
    this.upkeep.peerUp(nodeId);
    this.#exchange.sendVector(nodeId, false);
    this.#copies.peerUp(nodeId);
  }

  #peerDown(nodeId: string): void {
    if (!this.#shared.up.delete(nodeId)) return;
    this.upkeep.peerDown(nodeId);
    this.#copies.peerDown(nodeId);
  }

  #alarm(key: string): void {
    const { check } = this.#copies;
    if (this.upkeep.alarm(key)) return;
    if (key === VECTOR_ALARM) {
      this.#exchange.askAll();
      this.#records.askAgain();
      this.#exchange.armVector();
    } else if (key === FETCH_ALARM) this.#copies.stirFetches();
    else if (key === PLACE_ALARM) this.#copies.placeMore();
    else if (key.startsWith(OFFER_ALARM)) this.#copies.offer(key.slice(OFFER_ALARM.length));
    else if (key.startsWith(TELL_ALARM)) check.tellMore(key.slice(TELL_ALARM.length));
    else if (key.startsWith(RESET_ALARM)) check.resetMore(key.slice(RESET_ALARM.length));
  }

  #message(from: string, body: Uint8Array): void {
    try {
      this.#dispatch(from, decodeMessage(body));
    } catch (error) {
      if (!isAegisError(error) || hasCode(error, 'STORE_DAMAGED')) throw error;
      this.#shared.turn.tell({ type: 'refused', from, error });
    }
  }

  #dispatch(from: string, message: KbMessage): void {
    switch (message.type) {
      case 'vector':
        this.upkeep.drains(from, message.isDraining === true);
        this.#exchange.vector(from, message);
        if (!message.isReply) this.#copies.check.compare(from, message.held);
        return;
      case 'versions':
        return this.#exchange.versions(from, message);
      case 'offer':
        if (this.#copies.offered(from, message.versions)) this.#exchange.sendVector(from, true);
        return;
      case 'stored':
        return this.#copies.confirmed(from, message.versions, message.within);
      case 'asked':
      case 'here':
        return this.upkeep.heard(from, message);
      case 'ranges':
        return this.#exchange.ranges(from, message);
      case 'wanted':
        return this.#records.answer(from, message.versions);
      case 'records':
        return this.#records.take(from, message.records);
      default:
        return unreachable(message);
    }
  }
}
