/**
 * Spreads roots: who has a root complete tells the placed holders, by offers, until each has said
 * that it is durable there; and who lacks a root that it should hold wants it fetched. What each
 * node has is kept account of in replicas.ts. Here nobody chooses new holders for dead ones, and
 * nothing is freed.
 */
import type { CID } from 'multiformats/cid';
import { isMerge } from '../model/merge.ts';
import type { SignedVersion } from '../model/version.ts';
import { type Instant, instant, MINUTE, SECOND } from '../units.ts';
import type { Account } from './accounts.ts';
import { backoff } from './backoff.ts';
import { HeldCheck } from './held-check.ts';
import { LIMITS } from './limits.ts';
import { type KeyRange, pagesOf } from './messages.ts';
import type { PlacementMember } from './placement.ts';
import { Placing } from './placing.ts';
import type { ReplicationShared } from './replication-types.ts';
import { uncounted } from './uncounted.ts';
import { Wants } from './wants.ts';

const OFFER_BACKOFF = { firstMs: SECOND, maxMs: MINUTE };
const FETCH_BACKOFF = { firstMs: 2 * SECOND, maxMs: 5 * MINUTE };

/** Versions of one root. */
const LOOKED_AT = 16;

export const FETCH_ALARM = 'fetch';
export const OFFER_ALARM = 'offer/';
export const PLACE_ALARM = 'place';

export class Copies {
  readonly check: HeldCheck;
  readonly #shared: ReplicationShared;
  readonly #placing: Placing;
  readonly #wants: Wants;
  /** Offers in a row that a peer has not answered in full. */
  readonly #attempts = new Map<string, number>();
  /** By version, the numbers of copies that somebody waits for. */
  readonly #waiting = new Map<string, Set<number>>();
  #fetchAlarmAt: Instant | undefined;

  constructor(shared: ReplicationShared) {
    this.#shared = shared;
    const { nodeId: seed, maxFetches } = shared.options;
    const { replicas, graph, store } = shared;
    this.#wants = new Wants({ ...FETCH_BACKOFF, maxFetches, seed }, store);
    this.#placing = new Placing(replicas, graph, store);
    this.check = new HeldCheck(shared, (account, nodeId) => {
      this.#setConfirmed(account, nodeId, false);
    });
  }

  /** Roots that wait to be fetched. */
  get wanted(): number {
    return this.#wants.size;
  }

  /** Once, after a restart. */
  start(): void {
    const { graph, deps } = this.#shared;
    const gone = new Set(uncounted(graph, deps.keyOf));
    for (const cidText of gone) {
      const path = graph.get(cidText)?.version.path;
      if (path === undefined) continue;
      const removed = graph.remove(path, (version) => gone.has(version.cidText));
      for (const version of removed) this.#removed(version);
    }
    // Others kept the cluster when it ended, or not all was placed.
    if (this.#placing.isOpen) this.placeMore();
  }

  /** Nodes to ask for a root, best first: connected before others, confirmed before likely. */
  sources(root: CID): string[] {
    const likely = [...new Set([...this.#shared.replicas.likely(root), ...this.#mergers(root)])];
    const isUp = (nodeId: string): boolean => this.#shared.up.has(nodeId);
    return [...likely.filter(isUp), ...likely.filter((nodeId) => !isUp(nodeId))];
  }

  /** Nobody is the author of a merge: whoever wrote what it merges may have computed it. */
  *#mergers(root: CID): Generator<string> {
    const { graph, replicas, options } = this.#shared;
    for (const { author, cidText } of replicas.ofRoot(root).take(LOOKED_AT)) {
      if (author !== undefined) continue;
      for (const parent of graph.get(cidText)?.version.parents ?? []) {
        const version = graph.get(parent.toString())?.version;
        if (version === undefined || isMerge(version)) continue;
        if (version.author !== options.nodeId) yield version.author;
      }
    }
  }

  /** Others keep the cluster now, or take another share of it. */
  members(members: readonly PlacementMember[]): void {
    this.#placing.begin(members);
    this.placeMore();
  }

  placeMore(): void {
    const { turn, up, replicas } = this.#shared;
    const { accounts, left } = this.#placing.next();
    for (const { version } of left) this.#leave(version.root);
    for (const account of accounts) this.#opened(account, true);
    if (this.#placing.isOpen) turn.alarm(PLACE_ALARM, turn.now);
    for (const nodeId of up) {
      const isQuiet = !this.#attempts.has(nodeId);
      if (isQuiet && replicas.hasUnconfirmed(nodeId)) this.offer(nodeId);
    }
  }

  /** A version is new in the graph. */
  added(version: SignedVersion): void {
    const account = this.#shared.replicas.open(version);
    if (account !== undefined) this.#opened(account, false);
  }

  /** A version is not in the graph any more. */
  #removed(version: SignedVersion): void {
    const { replicas } = this.#shared;
    const account = replicas.get(version);
    if (account === undefined) return;
    replicas.close(account);
    this.#leave(account.root);
  }

  stored(root: CID): void {
    this.#wants.delete(root);
    for (const account of this.#shared.replicas.setRoot(root, true)) this.#copied(account);
  }

  lost(root: CID): void {
    for (const account of this.#shared.replicas.setRoot(root, false)) {
      if (this.#isToHold(account)) this.#want(account, true);
    }
  }

  /** W30: the content of a version may go. */
  release(version: SignedVersion): void {
    this.#removed(version);
  }

  /** A root is not to be here. */
  unwant(root: CID): void {
    this.#wants.delete(root);
  }

  fetchFailed(root: CID): void {
    this.#wants.failed(root, this.#shared.turn.now);
  }

  stirFetches(): void {
    this.#fetchAlarmAt = undefined;
    this.#wants.stir();
  }

  wantCopies(cidText: string, copies: number): void {
    const { graph, replicas } = this.#shared;
    const version = graph.get(cidText);
    const account = version && replicas.open(version, true);
    if (account === undefined) return;
    this.#await(account, copies);
    if (account.isGuest && replicas.isStored(account)) this.#copied(account);
  }

  peerUp(nodeId: string): void {
    this.#wants.hasten((root) => this.sources(root).includes(nodeId));
    this.#attempts.delete(nodeId);
    if (this.#shared.replicas.hasUnconfirmed(nodeId)) this.#armOffers(nodeId);
  }

  peerDown(nodeId: string): void {
    this.#attempts.delete(nodeId);
    this.check.peerDown(nodeId);
    this.#shared.turn.alarm(OFFER_ALARM + nodeId, undefined);
  }

  /** Offers again what a peer has not confirmed. */
  offer(nodeId: string): void {
    const { up, replicas, turn } = this.#shared;
    if (!up.has(nodeId)) return;
    const accounts = replicas.unconfirmed(nodeId, LIMITS.messageItems);
    if (accounts.length === 0) {
      this.#attempts.delete(nodeId);
      return;
    }
    for (const account of accounts) turn.outbox.add('offers', nodeId, account);
    this.#attempts.set(nodeId, (this.#attempts.get(nodeId) ?? 0) + 1);
    this.#armOffers(nodeId);
  }

  /** @returns whether the peer has versions that are not known here. */
  offered(from: string, versions: readonly CID[]): boolean {
    const { graph, replicas, turn } = this.#shared;
    let isBehind = false;
    for (const cid of versions) {
      const version = graph.get(cid.toString());
      if (version === undefined) isBehind = true;
      const account = version && replicas.get(version);
      if (account === undefined) continue;
      this.#setConfirmed(account, from, true);
      if (replicas.isStored(account)) turn.outbox.add('acks', from, account);
    }
    return isBehind;
  }

  /** @param within of what is there the peer has these and nothing else. */
  confirmed(from: string, versions: readonly CID[], within?: KeyRange): void {
    const { graph, replicas } = this.#shared;
    const named = new Set(versions.map(String));
    if (within !== undefined) this.check.reset(from, named, within);
    for (const cidText of named) {
      const version = graph.get(cidText);
      const account = version && replicas.get(version);
      if (account !== undefined) this.#setConfirmed(account, from, true);
    }
  }

  /** W22: a node could prove a copy, or could not. */
  judged(nodeId: string, root: CID, isHeld: boolean): void {
    const { replicas } = this.#shared;
    for (const account of [...replicas.ofRoot(root)]) this.#setConfirmed(account, nodeId, isHeld);
    if (!isHeld && replicas.hasUnconfirmed(nodeId)) this.offer(nodeId);
  }

  /** Tries at once what would be tried later: a root, or all. */
  hasten(root: CID | undefined): void {
    const { up, replicas } = this.#shared;
    this.#wants.hasten((one) => root === undefined || one.equals(root));
    for (const nodeId of up) {
      this.#attempts.delete(nodeId);
      if (replicas.hasUnconfirmed(nodeId)) this.offer(nodeId);
    }
  }

  /** What has been done to fetch a root. */
  tried(root: CID): ReturnType<Wants['tried']> {
    return this.#wants.tried(root);
  }

  /** At the end of each step. */
  flush(): void {
    const { offers, acks, changed } = this.#shared.turn.outbox;
    for (const [nodeId, accounts] of offers) {
      this.#sendPages(nodeId, accounts, 'offer');
      if (!this.#attempts.has(nodeId)) this.#armOffers(nodeId);
    }
    for (const [nodeId, accounts] of acks) this.#sendPages(nodeId, accounts, 'stored');
    for (const key of changed) this.#tellReplicated(key);
    this.#fetch();
  }

  #opened(account: Account, isRepair: boolean): void {
    if (this.#shared.replicas.isStored(account)) this.#copied(account);
    else if (this.#isToHold(account)) this.#want(account, isRepair);
  }

  /** W29: an author keeps what it wrote until enough others do. */
  #isToHold({ isGuest, placed, confirmed }: Account): boolean {
    const { nodeId, replicas } = this.#shared.options;
    return !isGuest && (placed.includes(nodeId) || confirmed.size < replicas);
  }

  /** A version of a root is of no concern here any more. */
  #leave(root: CID): void {
    const isWanted = this.#shared.replicas.ofRoot(root).some((account) => !account.isGuest);
    if (!isWanted) this.#wants.delete(root);
  }

  /** This node has become a copy of a version. */
  #copied(account: Account): void {
    const { up, turn } = this.#shared;
    this.#changed(account);
    for (const nodeId of account.concerned) {
      if (!up.has(nodeId)) continue;
      const isOpen = account.placed.includes(nodeId) && !account.confirmed.has(nodeId);
      turn.outbox.add(isOpen ? 'offers' : 'acks', nodeId, account);
    }
  }

  #want({ cidText, root }: Account, isRepair: boolean): void {
    const version = this.#shared.graph.get(cidText)?.version;
    if (version === undefined) return;
    const { sizeBytes, author } = version;
    this.#wants.add({ root, sizeBytes, author, isRepair });
  }

  #await(account: Account, copies: number): void {
    const waiting = this.#waiting.get(account.cidText) ?? new Set();
    this.#waiting.set(account.cidText, waiting.add(copies));
    this.#shared.turn.outbox.changed.add(account.key);
  }

  /** There are more or fewer copies of a version. */
  #changed(account: Account): void {
    const { options, replicas, turn } = this.#shared;
    turn.outbox.changed.add(account.key);
    const { nodeId: self, minReplicas } = options;
    // Whoever waited for it may have waited in a run before.
    const isNews = account.author === self && replicas.copies(account).length === minReplicas;
    if (isNews) this.#await(account, minReplicas);
  }

  #armOffers(nodeId: string): void {
    const { options, turn } = this.#shared;
    const attempt = this.#attempts.get(nodeId) ?? 0;
    this.#attempts.set(nodeId, attempt);
    const delay = backoff(`${options.nodeId}/${nodeId}`, attempt, OFFER_BACKOFF);
    turn.alarm(OFFER_ALARM + nodeId, instant(turn.now + delay));
  }

  #setConfirmed(account: Account, nodeId: string, isCopy: boolean): void {
    const { replicas, doubts } = this.#shared;
    // W22
    if (isCopy && doubts.refuses(account, nodeId)) return;
    if (replicas.setConfirmed(account, nodeId, isCopy)) this.#changed(account);
  }

  #sendPages(nodeId: string, accounts: Map<string, Account>, type: 'offer' | 'stored'): void {
    const { turn } = this.#shared;
    const versions = [...accounts.values()].map(({ cid }) => cid);
    for (const page of pagesOf(versions)) {
      if (type === 'offer') turn.send(nodeId, { type, versions: page });
      else turn.send(nodeId, { type, versions: page });
    }
  }

  #tellReplicated(key: string): void {
    const { replicas, turn } = this.#shared;
    const account = replicas.fresh({ key });
    if (account === undefined) return;
    const { cidText: version, root } = account;
    const nodes = replicas.copies(account);
    const waiting = this.#waiting.get(version);
    for (const copies of waiting ?? []) {
      if (copies > nodes.length) continue;
      waiting!.delete(copies);
      turn.tell({ type: 'replicated', version, root, copies, nodes });
    }
    if (waiting?.size === 0) this.#waiting.delete(version);
    if (account.isGuest && replicas.isSettled(account) && !this.#waiting.has(version)) {
      replicas.close(account);
    }
  }

  #fetch(): void {
    const { up, turn } = this.#shared;
    if (!this.#wants.isStirred) return;
    const isReachable = (root: CID): boolean => {
      return this.sources(root).some((nodeId) => up.has(nodeId));
    };
    for (const { root, sizeBytes, isRepair } of this.#wants.take(turn.now, isReachable)) {
      const sources = this.sources(root);
      turn.tell({ type: 'fetchWanted', root, sizeBytes, sources, isRepair });
    }
    const at = this.#wants.nextAt(turn.now);
    if (at === this.#fetchAlarmAt) return;
    this.#fetchAlarmAt = at;
    turn.alarm(FETCH_ALARM, at);
  }
}
