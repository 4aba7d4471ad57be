/**
 * Who keeps what, as far as this node knows and is concerned: it keeps account of the versions
 * that it wrote or that the placement gives it. A copy is a node at which the version entry and
 * all objects of its root are durable. All of it lies in rows (W40); what is sent is decided
 * elsewhere.
 */
import { CID } from 'multiformats/cid';
import { encode } from '../model/cbor.ts';
import type { SignedVersion } from '../model/version.ts';
import { type Account, Accounts, accountKey, accountOf, newAccount } from './accounts.ts';
import { Held } from './held.ts';
import { LIMITS } from './limits.ts';
import { type PlacementMember, placeHolders } from './placement.ts';
import { type KbStore, TABLES } from './store.ts';

export interface ReplicaOptions {
  readonly nodeId: string;
  readonly members: readonly PlacementMember[];
  /** Copies that the placement asks for. */
  readonly replicas: number;
}

/** Accounts of one root that are looked at for who may have it. */
const LOOKED_AT = 64;
const SHORT = 'short';

export class Replicas {
  readonly #options: ReplicaOptions;
  readonly #store: KbStore;
  readonly #changed: (account: Pick<Account, 'key'>, isShort: boolean) => void;
  readonly #accounts: Accounts;
  readonly #held: Held;
  #members: readonly PlacementMember[];
  /** The members before these, the last ones last: what they were given they may still have. */
  readonly #past: (readonly PlacementMember[])[] = [];
  /** By node, the key of the account that was offered last. */
  readonly #offered = new Map<string, string>();
  #short: number;

  /** @param changed a version has got too few copies, or has enough again. */
  constructor(
    options: ReplicaOptions,
    store: KbStore,
    changed: (account: Pick<Account, 'key'>, isShort: boolean) => void = () => {},
  ) {
    this.#options = options;
    this.#store = store;
    this.#changed = changed;
    this.#accounts = new Accounts(store);
    this.#held = new Held(store);
    this.#members = options.members;
    this.#short = readCount(store.get(TABLES.counters, SHORT));
  }

  get members(): readonly PlacementMember[] {
    return this.#members;
  }

  /** For what is placed from now on; what is known already is to be moved. */
  setMembers(members: readonly PlacementMember[]): void {
    this.#past.push(this.#members);
    if (this.#past.length > LIMITS.pastPlacements) this.#past.shift();
    this.#members = members;
  }

  /** Versions with fewer copies than the placement asks for. */
  get underReplicated(): number {
    return this.#short;
  }

  placed(root: CID): string[] {
    return placeHolders(root, this.#members, this.#options.replicas);
  }

  /** Other nodes that may have a root, best first: those that said so, authors, the placed. */
  likely(root: CID): string[] {
    const { nodeId, replicas } = this.#options;
    const accounts = this.ofRoot(root).take(LOOKED_AT).toArray();
    const likely = new Set<string>();
    for (const { confirmed } of accounts) for (const one of confirmed) likely.add(one);
    for (const { author } of accounts) if (author !== undefined) likely.add(author);
    for (const one of accounts[0]?.placed ?? this.placed(root)) likely.add(one);
    for (const members of this.#past.toReversed()) {
      for (const one of placeHolders(root, members, replicas)) likely.add(one);
    }
    likely.delete(nodeId);
    return [...likely];
  }

  /** Nodes that have said that they have a root, as far as this node keeps account of it. */
  confirmed(root: CID): Set<string> {
    const nodes = new Set<string>();
    for (const { confirmed } of this.ofRoot(root).take(LOOKED_AT)) {
      for (const nodeId of confirmed) nodes.add(nodeId);
    }
    return nodes;
  }

  /**
   * Opens the account of a version anew, if the present members are to keep it otherwise. What is
   * known of copies stays known where it still concerns this node.
   */
  move(version: SignedVersion): Account | undefined {
    const before = this.#accounts.get(accountKey(version.version.root, version.cidText));
    const placed = this.placed(version.version.root);
    if (before !== undefined && before.placed.join() === placed.join()) return undefined;
    if (before !== undefined) this.close(before);
    const account = this.open(version, before?.isGuest === true);
    if (account === undefined) return undefined;
    for (const nodeId of before?.confirmed ?? []) this.setConfirmed(account, nodeId, true);
    return this.fresh(account);
  }

  /** The account is of no concern any more. */
  close({ key }: Account): void {
    for (const nodeId of this.#accounts.get(key)?.confirmed ?? []) {
      this.setConfirmed({ key }, nodeId, false);
    }
    const account = this.#accounts.get(key);
    if (account === undefined) return;
    if (this.isStored(account)) this.#toggleHere(account, false);
    if (account.isShort) this.#countShort(account, false);
    this.#accounts.delete(key);
  }

  /** Opens the account of a version; undefined when it does not concern this node, unless asked. */
  open(signed: SignedVersion, isAsked = false): Account | undefined {
    const known = this.#accounts.get(accountKey(signed.version.root, signed.cidText));
    if (known !== undefined) return known;
    const account = newAccount(signed, this.placed(signed.version.root));
    const isGuest = !account.concerned.has(this.#options.nodeId);
    if (isGuest && !isAsked) return undefined;
    this.#save({ ...account, isGuest });
    const opened = this.fresh(account)!;
    if (this.isStored(opened)) this.#toggleHere(opened, true);
    return opened;
  }

  get({ cidText, version }: SignedVersion): Account | undefined {
    return this.#accounts.get(accountKey(version.root, cidText));
  }

  /** An account as it is now. */
  fresh({ key }: Pick<Account, 'key'>): Account | undefined {
    return this.#accounts.get(key);
  }

  /** The accounts of the versions of a root. */
  ofRoot(root: CID): Generator<Account> {
    return this.#accounts.ofRoot(root);
  }

  /** Accounts from a key on and before another. */
  page(from: string, to: string | undefined, limit: number): Account[] {
    return this.#accounts.page(from, to, limit);
  }

  hasRoot(root: CID): boolean {
    return this.#store.get(TABLES.roots, root.toString()) !== undefined;
  }

  /** Roots that are complete here, in the order of their text. */
  roots(after: string | undefined, limit: number): CID[] {
    const from = after === undefined ? '' : `${after}\0`;
    return this.#store.range({ table: TABLES.roots, from, limit }).map(({ key }) => CID.parse(key));
  }

  /** Whether version and content are here. A deletion has no content to keep. */
  isStored({ root, isDeleted }: Pick<Account, 'root' | 'isDeleted'>): boolean {
    return isDeleted || this.hasRoot(root);
  }

  /** Notes that a root has become durable here, or is lost. @returns the accounts that changed. */
  setRoot(root: CID, isHere: boolean): Account[] {
    if (this.hasRoot(root) === isHere) return [];
    const row = isHere ? encode({ v: 1, type: 'root' }) : undefined;
    this.#store.set(TABLES.roots, root.toString(), row);
    const accounts: Account[] = [];
    for (const account of this.ofRoot(root)) {
      if (account.isDeleted) continue;
      this.#toggleHere(account, isHere);
      this.#save(account);
      accounts.push(account);
    }
    return accounts;
  }

  /** Notes what a node said about its copy. @returns whether that is new. */
  setConfirmed({ key }: Pick<Account, 'key'>, nodeId: string, isCopy: boolean): boolean {
    const account = this.#accounts.get(key);
    if (account === undefined || nodeId === this.#options.nodeId) return false;
    if (!account.concerned.has(nodeId) || account.confirmed.has(nodeId) === isCopy) return false;
    const confirmed = new Set(account.confirmed);
    if (isCopy) confirmed.add(nodeId);
    else confirmed.delete(nodeId);
    this.#save({ ...account, confirmed });
    if (!account.isGuest) this.#held.toggle('there', nodeId, account);
    this.#setUnconfirmed(account, nodeId, !isCopy && this.isStored(account));
    return true;
  }

  /** The nodes with a copy, this one among them. */
  copies({ key }: Pick<Account, 'key'>): string[] {
    const account = this.#accounts.get(key);
    if (account === undefined) return [];
    const { nodeId } = this.#options;
    return this.isStored(account) ? [nodeId, ...account.confirmed] : [...account.confirmed];
  }

  /** Whether all that the placement names have said that they have it. */
  isSettled({ placed, confirmed }: Account): boolean {
    const { nodeId } = this.#options;
    return placed.every((one) => one === nodeId || confirmed.has(one));
  }

  hasUnconfirmed(nodeId: string): boolean {
    return this.#store.under(TABLES.unconfirmed, `${nodeId}/`).next().done !== true;
  }

  /** What has to be offered to a node, after what was offered to it last, and round again. */
  unconfirmed(nodeId: string, limit: number): Account[] {
    const prefix = `${nodeId}/`;
    const last = this.#offered.get(nodeId);
    const keys = this.#store.under(TABLES.unconfirmed, prefix, last).take(limit).toArray();
    if (last !== undefined && keys.length < limit) {
      const again = this.#store.under(TABLES.unconfirmed, prefix).take(limit - keys.length);
      keys.push(...again.filter(({ key }) => key <= last));
    }
    const end = keys.at(-1);
    if (end !== undefined) this.#offered.set(nodeId, end.key);
    return keys
      .map(({ key }) => this.#accounts.get(key.slice(prefix.length)))
      .filter((account) => account !== undefined);
  }

  /** The digest of the copies that `nodeId` is believed to have. */
  believed(nodeId: string): Uint8Array {
    return this.#held.digest('there', nodeId);
  }

  /** The digest of the copies here of which `nodeId` keeps account. */
  here(nodeId: string): Uint8Array {
    return this.#held.digest('here', nodeId);
  }

  /** Whether a node keeps account of the copy here. */
  isTold(account: Account, nodeId: string): boolean {
    return !account.isGuest && account.concerned.has(nodeId) && this.isStored(account);
  }

  #save(account: Account): void {
    const isShort = !account.isGuest && this.#isShort(account);
    if (isShort !== account.isShort) this.#countShort(account, isShort);
    this.#accounts.set(accountOf({ ...account, isShort }));
  }

  #isShort(account: Account): boolean {
    const { nodeId, replicas } = this.#options;
    const { placed, confirmed } = account;
    const isStored = this.isStored(account);
    const has = placed.filter((one) => (one === nodeId ? isStored : confirmed.has(one)));
    return has.length < Math.min(replicas, placed.length);
  }

  #countShort(account: Pick<Account, 'key'>, isShort: boolean): void {
    this.#changed(account, isShort);
    this.#short += isShort ? 1 : -1;
    const row = Buffer.alloc(6);
    row.writeUIntBE(this.#short, 0, 6);
    this.#store.set(TABLES.counters, SHORT, row);
  }

  #toggleHere(account: Account, isHere: boolean): void {
    for (const nodeId of account.isGuest ? [] : account.concerned) {
      if (nodeId !== this.#options.nodeId) this.#held.toggle('here', nodeId, account);
    }
    for (const nodeId of account.placed) {
      this.#setUnconfirmed(account, nodeId, isHere && !account.confirmed.has(nodeId));
    }
  }

  #setUnconfirmed(account: Account, nodeId: string, isOpen: boolean): void {
    if (nodeId === this.#options.nodeId || !account.placed.includes(nodeId)) return;
    const key = `${nodeId}/${account.key}`;
    if ((this.#store.get(TABLES.unconfirmed, key) !== undefined) === isOpen) return;
    this.#store.set(TABLES.unconfirmed, key, isOpen ? Uint8Array.of(1) : undefined);
  }
}

const readCount = (row: Uint8Array | undefined): number =>
  row === undefined ? 0 : Buffer.from(row).readUIntBE(0, 6);
