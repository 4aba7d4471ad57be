/**
 * The account of the copies of one version, and its row. Rows of the versions of one root stand
 * beside each other. Nodes have numbers in them, since every row names several.
 */
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { assert } from '../assert.ts';
import { isMerge } from '../model/merge.ts';
import type { SignedVersion } from '../model/version.ts';
import { MIB } from '../units.ts';
import { ByteCache } from './byte-cache.ts';
import { type KbStore, TABLES } from './store.ts';

export interface Account {
  /** Of its row, too. */
  readonly key: string;
  readonly cid: CID;
  readonly cidText: string;
  readonly root: CID;
  /** Undefined for a merge. */
  readonly author: string | undefined;
  /** There is no content to keep. */
  readonly isDeleted: boolean;
  /** By placement, best first. */
  readonly placed: readonly string[];
  /** The author and the placed. Only their word on this version counts. */
  readonly concerned: ReadonlySet<string>;
  /** Other nodes that said they have a copy. */
  readonly confirmed: ReadonlySet<string>;
  /** The version does not concern this node; somebody here asked all the same. */
  readonly isGuest: boolean;
  /** Fewer copies than the placement asks for; counted as such. */
  readonly isShort: boolean;
}

const FLAGS = { deleted: 1, guest: 2, short: 4 } as const;
const NOBODY = 0xffff;
const CACHE_BYTES = 4 * MIB;
const OBJECT_BYTES = 1024;

/** A text for a root that begins with its hash; equal roots have equal ones. */
export function rootKeyOf({ code, multihash }: CID): string {
  const hash = Buffer.from(multihash.digest).toString('hex');
  return `${hash}.${code.toString(16)}.${multihash.code.toString(16)}`;
}

export const accountKey = (root: CID, cidText: string): string => `${rootKeyOf(root)}/${cidText}`;

export class Accounts {
  readonly #store: KbStore;
  readonly #cache = new ByteCache<Account>(CACHE_BYTES);
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];

  constructor(store: KbStore) {
    this.#store = store;
    for (const { key, value } of store.under(TABLES.nodes, '')) {
      const number = Buffer.from(value).readUInt16BE();
      this.#numbers.set(key, number);
      this.#names[number] = key;
    }
  }

  get(key: string): Account | undefined {
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    const row = this.#store.get(TABLES.replicas, key);
    return row === undefined ? undefined : this.#keep(this.#read(key, row));
  }

  /** The accounts of the versions of a root, read as they are taken. */
  *ofRoot(root: CID): Generator<Account> {
    for (const { key, value } of this.#store.under(TABLES.replicas, `${rootKeyOf(root)}/`)) {
      yield this.#cache.get(key) ?? this.#read(key, value);
    }
  }

  /** At most `limit` of them, from a key on and before another, in the order of the keys. */
  page(from: string, to: string | undefined, limit: number): Account[] {
    const rows = this.#store.range({ table: TABLES.replicas, from, to, limit });
    return rows.map(({ key, value }) => this.#cache.get(key) ?? this.#read(key, value));
  }

  set(account: Account): void {
    const { key, author, isDeleted, placed, confirmed, isGuest, isShort } = account;
    const flags =
      (isDeleted ? FLAGS.deleted : 0) | (isGuest ? FLAGS.guest : 0) | (isShort ? FLAGS.short : 0);
    const numbers = [
      author === undefined ? NOBODY : this.#numberOf(author),
      ...[...placed, ...confirmed].map((nodeId) => this.#numberOf(nodeId)),
    ];
    const row = Buffer.alloc(2 + 2 * numbers.length);
    row[0] = flags;
    row[1] = placed.length;
    for (const [n, number] of numbers.entries()) row.writeUInt16BE(number, 2 + 2 * n);
    this.#store.set(TABLES.replicas, key, row);
    this.#keep(account);
  }

  delete(key: string): void {
    this.#store.set(TABLES.replicas, key, undefined);
    this.#cache.delete(key);
  }

  #keep(account: Account): Account {
    this.#cache.set(account.key, account, OBJECT_BYTES);
    return account;
  }

  #read(key: string, row: Uint8Array): Account {
    const view = Buffer.from(row.buffer, row.byteOffset, row.length);
    const [flags, placedCount] = [view[0]!, view[1]!];
    const nodes = Array.from({ length: (view.length - 4) / 2 }, (_, n) =>
      this.#nameOf(view.readUInt16BE(4 + 2 * n)),
    );
    const author = view.readUInt16BE(2);
    const [rootKey, cidText] = key.split('/') as [string, string];
    return accountOf({
      key,
      cid: CID.parse(cidText),
      cidText,
      root: rootOf(rootKey),
      author: author === NOBODY ? undefined : this.#nameOf(author),
      isDeleted: (flags & FLAGS.deleted) !== 0,
      placed: nodes.slice(0, placedCount),
      confirmed: new Set(nodes.slice(placedCount)),
      isGuest: (flags & FLAGS.guest) !== 0,
      isShort: (flags & FLAGS.short) !== 0,
    });
  }

  #nameOf(number: number): string {
    const name = this.#names[number];
    assert(name !== undefined, 'the nodes of accounts have rows');
    return name;
  }

  #numberOf(nodeId: string): number {
    const known = this.#numbers.get(nodeId);
    if (known !== undefined) return known;
    const number = this.#names.length;
    assert(number < NOBODY, 'a cluster has fewer nodes');
    this.#names.push(nodeId);
    this.#numbers.set(nodeId, number);
    const row = Buffer.alloc(2);
    row.writeUInt16BE(number);
    this.#store.set(TABLES.nodes, nodeId, row);
    return number;
  }
}

export const accountOf = (fields: Omit<Account, 'concerned'>): Account => ({
  ...fields,
  concerned: new Set([...(fields.author === undefined ? [] : [fields.author]), ...fields.placed]),
});

/** A new one: nobody has said anything. */
export const newAccount = (
  { cid, cidText, version }: SignedVersion,
  placed: readonly string[],
): Account =>
  accountOf({
    key: accountKey(version.root, cidText),
    cid,
    cidText,
    root: version.root,
    author: isMerge(version) ? undefined : version.author,
    isDeleted: version.deleted === true,
    placed,
    confirmed: new Set(),
    isGuest: false,
    isShort: false,
  });

function rootOf(rootKey: string): CID {
  const [hash, code, hashCode] = rootKey.split('.') as [string, string, string];
  const digest = Digest.create(Number.parseInt(hashCode, 16), Buffer.from(hash, 'hex'));
  return CID.createV1(Number.parseInt(code, 16), digest);
}
