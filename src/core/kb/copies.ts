/**
 * Spreads roots: who has a root complete tells the placed holders, by offers, until each has said
 * that it is durable there; and who lacks a root that it should hold wants it fetched. What each
 * node has is kept account of in replicas.ts. Here nobody chooses new holders for dead ones, and
 * nothing is freed.
 */
import type { CID } from 'multiformats/cid';
import type { SignedVersion } from '../model/version.ts';
import { type Instant, instant, MINUTE, SECOND } from '../units.ts';
import { backoff } from './backoff.ts';
import { LIMITS } from './limits.ts';
import { pagesOf } from './messages.ts';
import type { PlacementMember } from './placement.ts';
import { Placing } from './placing.ts';
import type { Account } from './replicas.ts';
import { encodeReplicas, encodeRoot, type Recovered, TABLES } from './replication-entries.ts';
import type { ReplicationShared } from './replication-types.ts';
import { Wants } from './wants.ts';

const OFFER_BACKOFF = { firstMs: SECOND, maxMs: MINUTE };
const FETCH_BACKOFF = { firstMs: 2 * SECOND, maxMs: 5 * MINUTE };

export const FETCH_ALARM = 'fetch';
export const OFFER_ALARM = 'offer/';
export const PLACE_ALARM = 'place';

export class Copies {
  readonly #shared: ReplicationShared;
  readonly #placing: Placing;
  readonly #wants: Wants;
  /** Offers in a row that a peer has not answered in full. */
  readonly #attempts = new Map<string, number>();
  /** By peer, the pair of digests that did not agree at its last vector. */
  readonly #disagreed = new Map<string, string>();
  #fetchAlarmAt: Instant | undefined;

  constructor(shared: ReplicationShared) {
    this.#shared = shared;
    const { nodeId: seed, maxFetches } = shared.options;
    this.#wants = new Wants({ ...FETCH_BACKOFF, maxFetches, seed });
    this.#placing = new Placing(shared.replicas, shared.graph);
  }

  /** Roots that wait to be fetched. */
  get wanted(): number {
    return this.#wants.size;
  }

  restore({ roots, confirmed }: Recovered): void {
    const { replicas, graph, options } = this.#shared;
    for (const root of roots) replicas.setRoot(root, true);
    for (const version of graph.all()) {
      const account = replicas.add(version);
      if (account === undefined) continue;
      for (const nodeId of confirmed.get(version.cidText) ?? []) {
        replicas.setConfirmed(account, nodeId, true);
      }
      if (!replicas.isStored(version)) this.#want(account);
      const { minReplicas, nodeId } = options;
      const isOwn = version.version.author === nodeId;
      if (isOwn && replicas.copies(account).length < minReplicas) account.wants.add(minReplicas);
    }
  }

  /** Nodes to ask for a root, best first: connected before others, confirmed before likely. */
  sources(root: CID): string[] {
    const likely = this.#shared.replicas.likely(root);
    const isUp = (nodeId: string): boolean => this.#shared.up.has(nodeId);
    return [...likely.filter(isUp), ...likely.filter((nodeId) => !isUp(nodeId))];
  }

  /** Others keep the cluster now, or take another share of it. */
  members(members: readonly PlacementMember[]): void {
    this.#placing.begin(members);
    this.placeMore();
  }

  placeMore(): void {
    const { turn, up, replicas } = this.#shared;
    for (const account of this.#placing.next()) this.#opened(account);
    if (this.#placing.isOpen) turn.alarm(PLACE_ALARM, turn.now);
    for (const nodeId of up) {
      const isQuiet = !this.#attempts.has(nodeId);
      if (isQuiet && replicas.unconfirmed(nodeId).size > 0) this.offer(nodeId);
    }
  }

  /** A version is new in the graph. */
  added(version: SignedVersion): void {
    const account = this.#shared.replicas.add(version);
    if (account !== undefined) this.#opened(account);
  }

  stored(root: CID): void {
    const { replicas, turn } = this.#shared;
    this.#wants.delete(root);
    if (replicas.hasRoot(root)) return;
    turn.persist(TABLES.roots, root.toString(), encodeRoot());
    for (const account of replicas.setRoot(root, true)) this.#copied(account);
  }

  lost(root: CID): void {
    const { replicas, turn } = this.#shared;
    if (!replicas.hasRoot(root)) return;
    turn.persist(TABLES.roots, root.toString(), undefined);
    for (const account of replicas.setRoot(root, false)) {
      if (!account.isGuest) this.#want(account);
    }
  }

  fetchFailed(root: CID): void {
    this.#wants.failed(root, this.#shared.turn.now);
  }

  stirFetches(): void {
    this.#fetchAlarmAt = undefined;
    this.#wants.stir();
  }

  wantCopies(cidText: string, copies: number): void {
    const { graph, replicas, turn } = this.#shared;
    const version = graph.get(cidText);
    const account = version === undefined ? undefined : replicas.add(version, true);
    if (account === undefined) return;
    account.wants.add(copies);
    turn.outbox.changed.add(account);
    if (account.isGuest && replicas.isStored(account.version)) this.#copied(account);
  }

  peerUp(nodeId: string): void {
    this.#wants.hasten((root) => this.sources(root).includes(nodeId));
    this.#attempts.delete(nodeId);
    if (this.#shared.replicas.unconfirmed(nodeId).size > 0) this.#armOffers(nodeId);
  }

  peerDown(nodeId: string): void {
    this.#attempts.delete(nodeId);
    this.#shared.turn.alarm(OFFER_ALARM + nodeId, undefined);
  }

  /** Offers again what a peer has not confirmed. */
  offer(nodeId: string): void {
    const { up, replicas, turn } = this.#shared;
    if (!up.has(nodeId)) return;
    const accounts = [...replicas.unconfirmed(nodeId).values()];
    if (accounts.length === 0) {
      this.#attempts.delete(nodeId);
      return;
    }
    for (const account of accounts.slice(0, LIMITS.messageItems)) {
      turn.outbox.add('offers', nodeId, account);
    }
    this.#attempts.set(nodeId, (this.#attempts.get(nodeId) ?? 0) + 1);
    this.#armOffers(nodeId);
  }

  /** @returns whether the peer has versions that are not known here. */
  offered(from: string, versions: readonly CID[]): boolean {
    const { graph, replicas, turn } = this.#shared;
    let isBehind = false;
    for (const cid of versions) {
      const cidText = cid.toString();
      if (graph.get(cidText) === undefined) isBehind = true;
      const account = replicas.get(cidText);
      if (account === undefined) continue;
      this.#setConfirmed(account, from, true);
      if (replicas.isStored(account.version)) turn.outbox.add('acks', from, account);
    }
    return isBehind;
  }

  /** @param isReset what the node has said before counts no more. */
  confirmed(from: string, versions: readonly CID[], isReset: boolean): void {
    const { replicas } = this.#shared;
    const named = new Set(versions.map(String));
    if (isReset) {
      for (const account of replicas.confirmedBy(from)) {
        if (account.isGuest || named.has(account.version.cidText)) continue;
        this.#setConfirmed(account, from, false);
      }
    }
    for (const cidText of named) {
      const account = replicas.get(cidText);
      if (account !== undefined) this.#setConfirmed(account, from, true);
    }
  }

  /**
   * The peer says what it believes to be durable here. Acks under way make it differ for a while;
   * the same difference twice means that something was lost, and all is told anew.
   */
  compareHeld(from: string, held: Uint8Array): void {
    const { replicas, turn } = this.#shared;
    const here = replicas.here(from);
    const pair = Buffer.concat([held, here]).toString('hex');
    const isSame = Buffer.compare(held, here) === 0;
    if (!isSame && this.#disagreed.get(from) !== pair) {
      this.#disagreed.set(from, pair);
      return;
    }
    this.#disagreed.delete(from);
    if (isSame) return;
    const versions = [...replicas.hereFor(from)].map(({ version }) => version.cid);
    for (const [n, page] of pagesOf(versions).entries()) {
      turn.send(from, { type: 'stored', versions: page, isReset: n === 0 });
    }
  }

  /** At the end of each step. */
  flush(): void {
    const { replicas, turn } = this.#shared;
    const { offers, acks, changed } = turn.outbox;
    for (const [nodeId, accounts] of offers) {
      this.#sendPages(nodeId, accounts, 'offer');
      for (const account of accounts.values()) replicas.offered(account, nodeId);
      if (!this.#attempts.has(nodeId)) this.#armOffers(nodeId);
    }
    for (const [nodeId, accounts] of acks) this.#sendPages(nodeId, accounts, 'stored');
    for (const account of changed) this.#tellReplicated(account);
    this.#fetch();
  }

  #opened(account: Account): void {
    if (this.#shared.replicas.isStored(account.version)) this.#copied(account);
    else if (!account.isGuest) this.#want(account);
  }

  /** This node has become a copy of a version. */
  #copied(account: Account): void {
    const { up, turn } = this.#shared;
    turn.outbox.changed.add(account);
    for (const nodeId of account.concerned) {
      if (!up.has(nodeId)) continue;
      const isOpen = account.placed.includes(nodeId) && !account.confirmed.has(nodeId);
      turn.outbox.add(isOpen ? 'offers' : 'acks', nodeId, account);
    }
  }

  #want({ version }: Account): void {
    const { root, sizeBytes, author } = version.version;
    this.#wants.add(root, sizeBytes, author);
  }

  #armOffers(nodeId: string): void {
    const { options, turn } = this.#shared;
    const attempt = this.#attempts.get(nodeId) ?? 0;
    this.#attempts.set(nodeId, attempt);
    const delay = backoff(`${options.nodeId}/${nodeId}`, attempt, OFFER_BACKOFF);
    turn.alarm(OFFER_ALARM + nodeId, instant(turn.now + delay));
  }

  #setConfirmed(account: Account, nodeId: string, isCopy: boolean): void {
    const { replicas, turn } = this.#shared;
    if (!replicas.setConfirmed(account, nodeId, isCopy)) return;
    turn.outbox.changed.add(account);
    if (account.isGuest) return;
    const nodes = encodeReplicas([...account.confirmed]);
    turn.persist(TABLES.replicas, account.version.cidText, nodes);
  }

  #sendPages(nodeId: string, accounts: Map<string, Account>, type: 'offer' | 'stored'): void {
    const { turn } = this.#shared;
    const versions = [...accounts.values()].map(({ version }) => version.cid);
    for (const page of pagesOf(versions)) {
      if (type === 'offer') turn.send(nodeId, { type, versions: page });
      else turn.send(nodeId, { type, versions: page, isReset: false });
    }
  }

  #tellReplicated(account: Account): void {
    const nodes = this.#shared.replicas.copies(account);
    for (const copies of account.wants) {
      if (copies > nodes.length) continue;
      account.wants.delete(copies);
      const { cidText: version } = account.version;
      const { root } = account.version.version;
      this.#shared.turn.tell({ type: 'replicated', version, root, copies, nodes });
    }
  }

  #fetch(): void {
    const { up, turn } = this.#shared;
    if (!this.#wants.isStirred) return;
    const isReachable = (root: CID): boolean => {
      return this.sources(root).some((nodeId) => up.has(nodeId));
    };
    for (const { root, sizeBytes } of this.#wants.take(turn.now, isReachable)) {
      turn.tell({ type: 'fetchWanted', root, sizeBytes, sources: this.sources(root) });
    }
    const at = this.#wants.nextAt(turn.now);
    if (at === this.#fetchAlarmAt) return;
    this.#fetchAlarmAt = at;
    turn.alarm(FETCH_ALARM, at);
  }
}
