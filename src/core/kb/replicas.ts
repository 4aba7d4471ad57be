/**
 * Who keeps what, as far as this node knows and is concerned: it keeps account of the versions
 * that it wrote or that the placement gives it. A copy is a node at which the version entry and
 * all objects of its root are durable. What is sent and made durable is decided elsewhere.
 */
import type { CID } from 'multiformats/cid';
import type { SignedVersion } from '../model/version.ts';
import { memberOf, SetDigest } from './author-log.ts';
import { keyOf } from './block.ts';
import { LIMITS } from './limits.ts';
import { type PlacementMember, placeHolders } from './placement.ts';

export interface ReplicaOptions {
  readonly nodeId: string;
  readonly members: readonly PlacementMember[];
  /** Copies that the placement asks for. */
  readonly replicas: number;
}

export interface Account {
  readonly version: SignedVersion;
  readonly rootKey: string;
  /** By placement, best first. */
  readonly placed: readonly string[];
  /** The author and the placed. Only their word on this version counts. */
  readonly concerned: ReadonlySet<string>;
  /** Other nodes that said they have a copy. */
  readonly confirmed: Set<string>;
  /** Numbers of copies that somebody waits for. */
  readonly wants: Set<number>;
  /** The version does not concern this node; somebody here asked all the same. Not durable. */
  readonly isGuest: boolean;
}

export class Replicas {
  readonly #options: ReplicaOptions;
  #members: readonly PlacementMember[];
  /** The members before these, the last ones last: what they were given they may still have. */
  readonly #past: (readonly PlacementMember[])[] = [];
  readonly #accounts = new Map<string, Account>();
  readonly #byRoot = new Map<string, Set<Account>>();
  /** Roots that are complete and durable here. */
  readonly #roots = new Set<string>();
  /** By node: what is stored here and has to be offered to it. */
  readonly #unconfirmed = new Map<string, Map<string, Account>>();
  /** By node: the accounts in which it is confirmed. */
  readonly #confirmedBy = new Map<string, Set<Account>>();
  /** By node: the copies that it is believed to have. */
  readonly #believed = new Map<string, SetDigest>();
  /** By node: the copies here that concern it. */
  readonly #here = new Map<string, SetDigest>();

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#members = options.members;
  }

  /** For what is placed from now on; what is known already is to be moved. */
  setMembers(members: readonly PlacementMember[]): void {
    this.#past.push(this.#members);
    if (this.#past.length > LIMITS.pastPlacements) this.#past.shift();
    this.#members = members;
  }

  /** Versions with fewer copies than the placement asks for. */
  get underReplicated(): number {
    let count = 0;
    for (const account of this.#accounts.values()) {
      if (account.isGuest) continue;
      const wanted = Math.min(this.#options.replicas, account.placed.length);
      const placed = account.placed.filter((nodeId) => this.#has(account, nodeId)).length;
      if (placed < wanted) count += 1;
    }
    return count;
  }

  placed(root: CID): string[] {
    return placeHolders(root, this.#members, this.#options.replicas);
  }

  /** Other nodes that may have a root, best first: those that said so, authors, the placed. */
  likely(root: CID): string[] {
    const { nodeId, replicas } = this.#options;
    const accounts = [...this.ofRoot(root)];
    const likely = new Set<string>();
    for (const { confirmed } of accounts) for (const one of confirmed) likely.add(one);
    for (const { version } of accounts) likely.add(version.version.author);
    for (const one of accounts[0]?.placed ?? this.placed(root)) likely.add(one);
    for (const members of this.#past.toReversed()) {
      for (const one of placeHolders(root, members, replicas)) likely.add(one);
    }
    likely.delete(nodeId);
    return [...likely];
  }

  /**
   * Opens the account of a version anew, if the present members are to keep it otherwise. What is
   * known of copies stays known where it still concerns this node.
   */
  move(version: SignedVersion): Account | undefined {
    const before = this.#accounts.get(version.cidText);
    const placed = this.placed(version.version.root);
    if (before !== undefined && before.placed.join() === placed.join()) return undefined;
    const confirmed = [...(before?.confirmed ?? [])];
    if (before !== undefined) this.#close(before);
    const account = this.add(version, (before?.wants.size ?? 0) > 0);
    if (account === undefined) return undefined;
    for (const nodeId of confirmed) this.setConfirmed(account, nodeId, true);
    for (const copies of before?.wants ?? []) account.wants.add(copies);
    return account;
  }

  #close(account: Account): void {
    for (const nodeId of [...account.confirmed]) this.setConfirmed(account, nodeId, false);
    if (this.isStored(account.version)) this.#toggleHere(account, false);
    this.#accounts.delete(account.version.cidText);
    const group = this.#byRoot.get(account.rootKey);
    group?.delete(account);
    if (group?.size === 0) this.#byRoot.delete(account.rootKey);
  }

  /** Opens the account of a version; undefined when it does not concern this node, unless asked. */
  add(version: SignedVersion, isAsked = false): Account | undefined {
    const known = this.#accounts.get(version.cidText);
    if (known !== undefined) return known;
    const placed = this.placed(version.version.root);
    const concerned = new Set([version.version.author, ...placed]);
    const isGuest = !concerned.has(this.#options.nodeId);
    if (isGuest && !isAsked) return undefined;
    const rootKey = keyOf(version.version.root);
    const account = {
      version,
      rootKey,
      placed,
      concerned,
      confirmed: new Set<string>(),
      wants: new Set<number>(),
      isGuest,
    };
    this.#accounts.set(version.cidText, account);
    const group = this.#byRoot.get(rootKey) ?? new Set();
    this.#byRoot.set(rootKey, group.add(account));
    if (this.isStored(version)) this.#toggleHere(account, true);
    return account;
  }

  get(cidText: string): Account | undefined {
    return this.#accounts.get(cidText);
  }

  /** The accounts of the versions of a root. */
  ofRoot(root: CID): Iterable<Account> {
    return this.#byRoot.get(keyOf(root)) ?? [];
  }

  hasRoot(root: CID): boolean {
    return this.#roots.has(keyOf(root));
  }

  /** Whether version and content are here. A deletion has no content to keep. */
  isStored({ version }: SignedVersion): boolean {
    return version.deleted === true || this.hasRoot(version.root);
  }

  /** Notes that a root has become durable here, or is lost. @returns the accounts that changed. */
  setRoot(root: CID, isHere: boolean): Account[] {
    if (this.hasRoot(root) === isHere) return [];
    const accounts = [...this.ofRoot(root)].filter(
      (account) => account.version.version.deleted !== true,
    );
    if (isHere) this.#roots.add(keyOf(root));
    else this.#roots.delete(keyOf(root));
    for (const account of accounts) this.#toggleHere(account, isHere);
    return accounts;
  }

  /** Notes what a node said about its copy. @returns whether that is new. */
  setConfirmed(account: Account, nodeId: string, isCopy: boolean): boolean {
    if (!account.concerned.has(nodeId) || nodeId === this.#options.nodeId) return false;
    if (account.confirmed.has(nodeId) === isCopy) return false;
    const all = this.#confirmedBy.get(nodeId) ?? new Set();
    this.#confirmedBy.set(nodeId, all);
    if (isCopy) {
      account.confirmed.add(nodeId);
      all.add(account);
    } else {
      account.confirmed.delete(nodeId);
      all.delete(account);
    }
    if (!account.isGuest) digestOf(this.#believed, nodeId).toggle(memberOf(account.version));
    this.#setUnconfirmed(account, nodeId, !isCopy && this.isStored(account.version));
    return true;
  }

  /** The accounts in which a node is confirmed. */
  confirmedBy(nodeId: string): Account[] {
    return [...(this.#confirmedBy.get(nodeId) ?? [])];
  }

  /** The nodes with a copy, this one among them. */
  copies(account: Account): string[] {
    const { nodeId } = this.#options;
    return this.isStored(account.version) ? [nodeId, ...account.confirmed] : [...account.confirmed];
  }

  /** What has to be offered to a node, the longest untold first. */
  unconfirmed(nodeId: string): ReadonlyMap<string, Account> {
    return this.#unconfirmed.get(nodeId) ?? new Map();
  }

  /** Puts an offer behind the others. */
  offered(account: Account, nodeId: string): void {
    const map = this.#unconfirmed.get(nodeId);
    if (map?.delete(account.version.cidText)) map.set(account.version.cidText, account);
  }

  /** The digest of the copies that `nodeId` is believed to have. */
  believed(nodeId: string): Uint8Array {
    return digestOf(this.#believed, nodeId).bytes;
  }

  /** The digest of the copies here of which `nodeId` keeps account. */
  here(nodeId: string): Uint8Array {
    return digestOf(this.#here, nodeId).bytes;
  }

  /** The copies here of which `nodeId` keeps account. */
  *hereFor(nodeId: string): Generator<Account> {
    for (const account of this.#accounts.values()) {
      if (account.isGuest || !account.concerned.has(nodeId)) continue;
      if (this.isStored(account.version)) yield account;
    }
  }

  #has(account: Account, nodeId: string): boolean {
    return nodeId === this.#options.nodeId
      ? this.isStored(account.version)
      : account.confirmed.has(nodeId);
  }

  #toggleHere(account: Account, isHere: boolean): void {
    for (const nodeId of account.isGuest ? [] : account.concerned) {
      digestOf(this.#here, nodeId).toggle(memberOf(account.version));
    }
    for (const nodeId of account.placed) {
      this.#setUnconfirmed(account, nodeId, isHere && !account.confirmed.has(nodeId));
    }
  }

  #setUnconfirmed(account: Account, nodeId: string, isOpen: boolean): void {
    if (nodeId === this.#options.nodeId || !account.placed.includes(nodeId)) return;
    const map = this.#unconfirmed.get(nodeId) ?? new Map<string, Account>();
    this.#unconfirmed.set(nodeId, map);
    if (isOpen) map.set(account.version.cidText, account);
    else map.delete(account.version.cidText);
  }
}

function digestOf(map: Map<string, SetDigest>, nodeId: string): SetDigest {
  const digest = map.get(nodeId) ?? new SetDigest();
  map.set(nodeId, digest);
  return digest;
}
