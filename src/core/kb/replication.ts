/**
 * Spreads versions to all nodes and roots to their holders. Versions by anti-entropy: vectors when
 * a peer comes up and every 30 s, pushes in between. Roots by offers: who has a root complete
 * tells the placed holders until each has said that it is durable there.
 *
 * It opens no connection, moves no object and signs nothing: `node/` fetches what `fetchWanted`
 * names and reports `stored`. It does not choose new holders for dead ones, and frees nothing.
 */
import type { CID } from 'multiformats/cid';
import { assert, unreachable } from '../assert.ts';
import { hasCode, isAegisError } from '../errors.ts';
import { type Machine, type Ready, ReadyBuilder } from '../machine.ts';
import { openVersion, type SignedVersion, versionCidOf } from '../model/version.ts';
import { type Instant, instant, MINUTE, SECOND, type Verified } from '../units.ts';
import { answerRanges, answerVector, vectorMessage } from './anti-entropy.ts';
import { backoff } from './backoff.ts';
import { chosenPeers } from './gossip.ts';
import { LIMITS } from './limits.ts';
import { decodeMessage, encodeMessage, type KbMessage, pagesOf } from './messages.ts';
import { Outbox } from './outbox.ts';
import { Placing } from './placing.ts';
import { type Account, Replicas } from './replicas.ts';
import {
  encodeReplicas,
  encodeRoot,
  type Recovered,
  recoverEntries,
  type StoredEntry,
  TABLES,
} from './replication-entries.ts';
import type {
  Holders,
  ReplicationDeps,
  ReplicationInput,
  ReplicationOptions,
  ReplicationOutcome,
} from './replication-types.ts';
import { type Added, VersionGraph } from './versions.ts';
import { Wants } from './wants.ts';

export type * from './replication-types.ts';

export const KB_PROTOCOL = 'kb';

const OFFER_BACKOFF = { firstMs: SECOND, maxMs: MINUTE };
const FETCH_BACKOFF = { firstMs: 2 * SECOND, maxMs: 5 * MINUTE };
/** Only short messages are pushes and are passed on; long ones are answers to a vector. */
const PUSH_VERSIONS = 4;

const VECTOR_ALARM = 'vector';
const FETCH_ALARM = 'fetch';
const OFFER_ALARM = 'offer/';
const PLACE_ALARM = 'place';

export class Replication implements Machine<ReplicationInput> {
  readonly graph: VersionGraph;
  readonly #options: Required<ReplicationOptions>;
  readonly #deps: ReplicationDeps;
  readonly #replicas: Replicas;
  readonly #placing: Placing;
  readonly #wants: Wants;
  readonly #up = new Set<string>();
  /** Offers in a row that a peer has not answered in full. */
  readonly #attempts = new Map<string, number>();
  /** By peer, the pair of digests that did not agree at its last vector. */
  readonly #disagreed = new Map<string, string>();
  #fetchAlarmAt: Instant | undefined;
  #ready = new ReadyBuilder<ReplicationOutcome>();
  #outbox = new Outbox();

  constructor(options: ReplicationOptions, deps: ReplicationDeps, recovered?: Recovered) {
    this.#options = { minReplicas: 2, antiEntropyMs: 30 * SECOND, maxFetches: 8, ...options };
    this.#deps = deps;
    this.#replicas = new Replicas(options);
    const { nodeId: seed } = options;
    this.#wants = new Wants({ ...FETCH_BACKOFF, maxFetches: this.#options.maxFetches, seed });
    this.graph = recovered?.graph ?? new VersionGraph();
    this.#placing = new Placing(this.#replicas, this.graph);
    if (recovered !== undefined) this.#restore(recovered);
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
    this.#ready = new ReadyBuilder();
    this.#outbox = new Outbox();
    this.#take(input, now);
    this.#flush(now);
    return this.#ready.build();
  }

  /** Roots that wait to be fetched, and versions with too few copies. */
  get backlog(): { readonly wanted: number; readonly underReplicated: number } {
    return { wanted: this.#wants.size, underReplicated: this.#replicas.underReplicated };
  }

  /** Whether all objects of a root are durable here. */
  hasRoot(root: CID): boolean {
    return this.#replicas.hasRoot(root);
  }

  holders(root: CID): Holders {
    const confirmed = new Set<string>(this.hasRoot(root) ? [this.#options.nodeId] : []);
    for (const account of this.#replicas.ofRoot(root)) {
      for (const nodeId of account.confirmed) confirmed.add(nodeId);
    }
    return { placed: this.#replicas.placed(root), confirmed: [...confirmed] };
  }

  /** Nodes with the version and all objects of its root, as far as they have told this node. */
  copies(version: string): string[] {
    const account = this.#replicas.get(version);
    return account === undefined ? [] : this.#replicas.copies(account);
  }

  /** Nodes to ask for a root, best first: connected before others, confirmed before likely. */
  sources(root: CID): string[] {
    const likely = this.#replicas.likely(root);
    const isUp = (nodeId: string): boolean => this.#up.has(nodeId);
    return [...likely.filter(isUp), ...likely.filter((nodeId) => !isUp(nodeId))];
  }

  #restore({ roots, confirmed }: Recovered): void {
    for (const root of roots) this.#replicas.setRoot(root, true);
    for (const version of this.graph.all()) {
      const account = this.#replicas.add(version);
      if (account === undefined) continue;
      for (const nodeId of confirmed.get(version.cidText) ?? []) {
        this.#replicas.setConfirmed(account, nodeId, true);
      }
      if (!this.#replicas.isStored(version)) this.#want(account);
      const { minReplicas, nodeId } = this.#options;
      const isOwn = version.version.author === nodeId;
      if (isOwn && this.#replicas.copies(account).length < minReplicas) {
        account.wants.add(minReplicas);
      }
    }
  }

  #take(input: ReplicationInput, now: Instant): void {
    switch (input.type) {
      case 'start':
        return this.#armVector(now);
      case 'local':
        return this.#local(input.version);
      case 'message':
        return this.#message(input.from, input.body);
      case 'peer-up':
        return this.#peerUp(input.nodeId, now);
      case 'peer-down':
        return this.#peerDown(input.nodeId);
      case 'stored':
        return this.#stored(input.root);
      case 'lost':
        return this.#lost(input.root);
      case 'members':
        this.#placing.begin(input.members);
        return this.#placeMore(now);
      case 'missing':
        for (const nodeId of this.#up) this.#sendVector(nodeId, false);
        return;
      case 'fetch-failed':
        return this.#wants.failed(input.root, now);
      case 'want':
        return this.#wantCopies(input.version, input.copies);
      case 'alarm':
        return this.#alarm(input.key, now);
      default:
        return unreachable(input);
    }
  }

  /** Others keep the cluster now, or take another share of it. */
  #placeMore(now: Instant): void {
    for (const account of this.#placing.next()) this.#opened(account);
    if (this.#placing.isOpen) this.#ready.alarm(PLACE_ALARM, now);
    for (const nodeId of this.#up) {
      const isQuiet = !this.#attempts.has(nodeId);
      if (isQuiet && this.#replicas.unconfirmed(nodeId).size > 0) this.#offer(nodeId, now);
    }
  }

  #local(version: Verified<SignedVersion>): void {
    const { nodeId: self } = this.#options;
    assert(version.version.author === self, 'a local version is by this node');
    let result: Added;
    try {
      result = this.graph.add(version);
    } catch (error) {
      if (!isAegisError(error)) throw error;
      this.#ready.tell({ type: 'refused', from: self, error });
      return;
    }
    const { status, added, equivocations } = result;
    assert(status === 'added' || status === 'known', 'a local version follows known ones');
    for (const equivocation of equivocations) {
      this.#ready.tell({ type: 'equivocation', ...equivocation });
    }
    if (version.version.deleted !== true) this.#stored(version.version.root);
    for (const signed of added) this.#added(signed);
    this.#wantCopies(version.cidText, this.#options.minReplicas);
    for (const nodeId of this.#up) {
      this.#send(nodeId, { type: 'versions', versions: [version.bytes], isMore: false });
    }
  }

  #added(signed: SignedVersion): void {
    this.#ready.persist(TABLES.versions, signed.cidText, signed.bytes);
    this.#ready.tell({ type: 'version-added', version: signed });
    const account = this.#replicas.add(signed);
    if (account !== undefined) this.#opened(account);
  }

  #opened(account: Account): void {
    if (this.#replicas.isStored(account.version)) this.#copied(account);
    else if (!account.isGuest) this.#want(account);
  }

  /** This node has become a copy of a version. */
  #copied(account: Account): void {
    this.#outbox.changed.add(account);
    for (const nodeId of account.concerned) {
      if (!this.#up.has(nodeId)) continue;
      const isOpen = account.placed.includes(nodeId) && !account.confirmed.has(nodeId);
      this.#outbox.add(isOpen ? 'offers' : 'acks', nodeId, account);
    }
  }

  #want({ version }: Account): void {
    const { root, sizeBytes, author } = version.version;
    this.#wants.add(root, sizeBytes, author);
  }

  #stored(root: CID): void {
    this.#wants.delete(root);
    if (this.hasRoot(root)) return;
    this.#ready.persist(TABLES.roots, root.toString(), encodeRoot());
    for (const account of this.#replicas.setRoot(root, true)) this.#copied(account);
  }

  #lost(root: CID): void {
    if (!this.hasRoot(root)) return;
    this.#ready.persist(TABLES.roots, root.toString(), undefined);
    for (const account of this.#replicas.setRoot(root, false)) {
      if (!account.isGuest) this.#want(account);
    }
  }

  #wantCopies(cidText: string, copies: number): void {
    const version = this.graph.get(cidText);
    const account = version === undefined ? undefined : this.#replicas.add(version, true);
    if (account === undefined) return;
    account.wants.add(copies);
    this.#outbox.changed.add(account);
    if (account.isGuest && this.#replicas.isStored(account.version)) this.#copied(account);
  }

  #peerUp(nodeId: string, now: Instant): void {
    if (nodeId === this.#options.nodeId) return;
    this.#up.add(nodeId);
    this.#sendVector(nodeId, false);
    this.#wants.hasten((root) => this.sources(root).includes(nodeId));
    this.#attempts.delete(nodeId);
    if (this.#replicas.unconfirmed(nodeId).size > 0) this.#armOffers(nodeId, now);
  }

  #peerDown(nodeId: string): void {
    if (!this.#up.delete(nodeId)) return;
    this.#attempts.delete(nodeId);
    this.#ready.alarm(OFFER_ALARM + nodeId, undefined);
  }

  #alarm(key: string, now: Instant): void {
    if (key === VECTOR_ALARM) {
      for (const nodeId of this.#up) this.#sendVector(nodeId, false);
      this.#armVector(now);
    } else if (key === FETCH_ALARM) {
      this.#fetchAlarmAt = undefined;
      this.#wants.stir();
    } else if (key === PLACE_ALARM) this.#placeMore(now);
    else if (key.startsWith(OFFER_ALARM)) this.#offer(key.slice(OFFER_ALARM.length), now);
  }

  /** Offers again what a peer has not confirmed. */
  #offer(nodeId: string, now: Instant): void {
    if (!this.#up.has(nodeId)) return;
    const accounts = [...this.#replicas.unconfirmed(nodeId).values()];
    if (accounts.length === 0) {
      this.#attempts.delete(nodeId);
      return;
    }
    for (const account of accounts.slice(0, LIMITS.messageItems)) {
      this.#outbox.add('offers', nodeId, account);
    }
    this.#attempts.set(nodeId, (this.#attempts.get(nodeId) ?? 0) + 1);
    this.#armOffers(nodeId, now);
  }

  #armOffers(nodeId: string, now: Instant): void {
    const attempt = this.#attempts.get(nodeId) ?? 0;
    this.#attempts.set(nodeId, attempt);
    const name = `${this.#options.nodeId}/${nodeId}`;
    this.#ready.alarm(OFFER_ALARM + nodeId, instant(now + backoff(name, attempt, OFFER_BACKOFF)));
  }

  #armVector(now: Instant): void {
    const { antiEntropyMs: maxMs, nodeId } = this.#options;
    const delay = backoff(`${nodeId}/${now}`, 0, { firstMs: maxMs, maxMs });
    this.#ready.alarm(VECTOR_ALARM, instant(now + delay));
  }

  #message(from: string, body: Uint8Array): void {
    try {
      const message = decodeMessage(body);
      switch (message.type) {
        case 'vector':
          return this.#vector(from, message);
        case 'versions':
          return this.#versions(from, message.versions, message.isMore);
        case 'offer':
          return this.#offered(from, message.versions);
        case 'stored':
          return this.#confirmed(from, message.versions, message.isReset);
        case 'ranges':
          for (const answer of answerRanges(this.graph, message)) this.#send(from, answer);
      }
    } catch (error) {
      if (!isAegisError(error)) throw error;
      this.#ready.tell({ type: 'refused', from, error });
    }
  }

  #vector(from: string, message: Extract<KbMessage, { type: 'vector' }>): void {
    const { answers, isBehind } = answerVector(this.graph, message);
    for (const answer of answers) this.#send(from, answer);
    if (message.isReply) return;
    if (isBehind) this.#sendVector(from, true);
    this.#compareHeld(from, message.held);
  }

  /**
   * The peer says what it believes to be durable here. Acks under way make it differ for a while;
   * the same difference twice means that something was lost, and all is told anew.
   */
  #compareHeld(from: string, held: Uint8Array): void {
    const here = this.#replicas.here(from);
    const pair = Buffer.concat([held, here]).toString('hex');
    const isSame = Buffer.compare(held, here) === 0;
    if (!isSame && this.#disagreed.get(from) !== pair) {
      this.#disagreed.set(from, pair);
      return;
    }
    this.#disagreed.delete(from);
    if (isSame) return;
    const versions = [...this.#replicas.hereFor(from)].map(({ version }) => version.cid);
    for (const [n, page] of pagesOf(versions).entries()) {
      this.#send(from, { type: 'stored', versions: page, isReset: n === 0 });
    }
  }

  #versions(from: string, versions: readonly Uint8Array[], isMore: boolean): void {
    const isPush = versions.length <= PUSH_VERSIONS && !isMore;
    let isAsking = false;
    for (const bytes of versions) {
      if (this.graph.get(versionCidOf(bytes).toString()) !== undefined) continue;
      const status = this.#receive(from, bytes, isPush);
      if (status === 'faulty') return;
      // Only progress asks for more, or a peer without sense could keep both busy for ever.
      if (status === 'orphan' || (status === 'added' && isMore)) isAsking = true;
    }
    if (isAsking) this.#sendVector(from, true);
  }

  #receive(from: string, bytes: Uint8Array, isPush: boolean): string {
    try {
      const { status, added, equivocations } = this.graph.add(openVersion(bytes, this.#deps.keyOf));
      for (const signed of added) {
        this.#added(signed);
        if (isPush) this.#passOn(from, signed);
      }
      for (const equivocation of equivocations) {
        this.#ready.tell({ type: 'equivocation', ...equivocation });
      }
      return status;
    } catch (error) {
      if (!isAegisError(error)) throw error;
      this.#ready.tell({ type: 'refused', from, error });
      // A stranger's version may be news of a membership that this node lacks; the rest is a fault.
      return hasCode(error, 'DENIED', 'BAD_DATA', 'BUSY') ? 'refused' : 'faulty';
    }
  }

  #passOn(from: string, signed: SignedVersion): void {
    const others = [...this.#up].filter(
      (nodeId) => nodeId !== from && nodeId !== signed.version.author,
    );
    for (const nodeId of chosenPeers(this.#options.nodeId, others, signed.cidText)) {
      this.#send(nodeId, { type: 'versions', versions: [signed.bytes], isMore: false });
    }
  }

  #offered(from: string, versions: readonly CID[]): void {
    let isBehind = false;
    for (const cid of versions) {
      const cidText = cid.toString();
      if (this.graph.get(cidText) === undefined) isBehind = true;
      const account = this.#replicas.get(cidText);
      if (account === undefined) continue;
      this.#setConfirmed(account, from, true);
      if (this.#replicas.isStored(account.version)) this.#outbox.add('acks', from, account);
    }
    if (isBehind) this.#sendVector(from, true);
  }

  #confirmed(from: string, versions: readonly CID[], isReset: boolean): void {
    const named = new Set(versions.map(String));
    if (isReset) {
      for (const account of this.#replicas.confirmedBy(from)) {
        if (account.isGuest || named.has(account.version.cidText)) continue;
        this.#setConfirmed(account, from, false);
      }
    }
    for (const cidText of named) {
      const account = this.#replicas.get(cidText);
      if (account !== undefined) this.#setConfirmed(account, from, true);
    }
  }

  #setConfirmed(account: Account, nodeId: string, isCopy: boolean): void {
    if (!this.#replicas.setConfirmed(account, nodeId, isCopy)) return;
    this.#outbox.changed.add(account);
    if (account.isGuest) return;
    const nodes = encodeReplicas([...account.confirmed]);
    this.#ready.persist(TABLES.replicas, account.version.cidText, nodes);
  }

  #sendVector(nodeId: string, isReply: boolean): void {
    this.#send(nodeId, vectorMessage(this.graph, this.#replicas.believed(nodeId), isReply));
  }

  #send(nodeId: string, message: KbMessage): void {
    this.#ready.send(nodeId, KB_PROTOCOL, encodeMessage(message));
  }

  #flush(now: Instant): void {
    for (const [nodeId, accounts] of this.#outbox.offers) {
      this.#sendPages(nodeId, accounts, 'offer');
      for (const account of accounts.values()) this.#replicas.offered(account, nodeId);
      if (!this.#attempts.has(nodeId)) this.#armOffers(nodeId, now);
    }
    for (const [nodeId, accounts] of this.#outbox.acks) this.#sendPages(nodeId, accounts, 'stored');
    for (const account of this.#outbox.changed) this.#tellReplicated(account);
    this.#fetch(now);
  }

  #sendPages(nodeId: string, accounts: Map<string, Account>, type: 'offer' | 'stored'): void {
    const versions = [...accounts.values()].map(({ version }) => version.cid);
    for (const page of pagesOf(versions)) {
      if (type === 'offer') this.#send(nodeId, { type, versions: page });
      else this.#send(nodeId, { type, versions: page, isReset: false });
    }
  }

  #tellReplicated(account: Account): void {
    const nodes = this.#replicas.copies(account);
    for (const copies of account.wants) {
      if (copies > nodes.length) continue;
      account.wants.delete(copies);
      const { cidText: version } = account.version;
      const { root } = account.version.version;
      this.#ready.tell({ type: 'replicated', version, root, copies, nodes });
    }
  }

  #fetch(now: Instant): void {
    if (!this.#wants.isStirred) return;
    const isReachable = (root: CID): boolean => {
      return this.sources(root).some((nodeId) => this.#up.has(nodeId));
    };
    for (const { root, sizeBytes } of this.#wants.take(now, isReachable)) {
      this.#ready.tell({ type: 'fetchWanted', root, sizeBytes, sources: this.sources(root) });
    }
    const at = this.#wants.nextAt(now);
    if (at === this.#fetchAlarmAt) return;
    this.#fetchAlarmAt = at;
    this.#ready.alarm(FETCH_ALARM, at);
  }
}
