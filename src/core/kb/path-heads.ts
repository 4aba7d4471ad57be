/**
 * The heads of each path, in rows: one for the path, with what is shown; and where there are
 * several heads one for each, in the order in which they would be shown. An author may make very
 * many heads of a path, so that nothing here reads all of them.
 */
import { assert } from '../assert.ts';
import type { SignedVersion } from '../model/version.ts';
import type { VersionsByCid } from './author-log.ts';
import { type KbStore, TABLES } from './store.ts';
import { DIGEST_OF_CID_BYTES, versionCidOfDigest } from './version-store.ts';

/** The greatest of `(generation, time, CID)` is shown. */
export const compareShown = (a: SignedVersion, b: SignedVersion): number =>
  a.version.generation - b.version.generation ||
  a.version.time - b.version.time ||
  Number(a.cidText > b.cidText) - Number(a.cidText < b.cidText);

export interface PathRow {
  /** CID of the head that is shown. */
  readonly shown: string;
  /** How many heads there are, this one among them. */
  readonly count: number;
  readonly isDeleted: boolean;
}

const HERE = Uint8Array.of(1);
/** Digits of the greatest safe integer. */
const DIGITS = 16;
const PAGE_ROWS = 64;

export class PathHeads {
  readonly #store: KbStore;
  readonly #versions: VersionsByCid;

  constructor(store: KbStore, versions: VersionsByCid) {
    this.#store = store;
    this.#versions = versions;
  }

  get(path: string): PathRow | undefined {
    const row = this.#store.get(TABLES.paths, path);
    return row === undefined ? undefined : readRow(row);
  }

  /** CIDs, the greatest first; read as they are taken. */
  *of(path: string): Generator<string> {
    const row = this.get(path);
    if (row === undefined) return;
    if (row.count === 1) {
      yield row.shown;
      return;
    }
    const from = `${path}\0`;
    for (let to = `${path}\u0001`; ; ) {
      const query = { table: TABLES.heads, from, to, limit: PAGE_ROWS, isReverse: true };
      const rows = this.#store.range(query);
      for (const { key } of rows) yield cidTextOf(key);
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE_ROWS) return;
      to = last.key;
    }
  }

  /** Whether nothing follows a version of this path that is known. */
  isHead(path: string, cidText: string): boolean {
    return this.#isHead(path, this.get(path), cidText);
  }

  /** Paths in the order of their bytes, as they are taken; deleted ones too. */
  *paths(prefix: string, after?: string): Generator<PathRow & { readonly path: string }> {
    for (const { key, value } of this.#store.under(TABLES.paths, prefix, after)) {
      yield { path: key, ...readRow(value) };
    }
  }

  /** Paths with several heads, in the order of their bytes. */
  *forked(after?: string): Generator<string> {
    for (let from = after === undefined ? '' : `${after}\u0001`; ; ) {
      const [row] = this.#store.range({ table: TABLES.heads, from, limit: 1 });
      if (row === undefined) return;
      const path = row.key.slice(0, row.key.indexOf('\0'));
      yield path;
      from = `${path}\u0001`;
    }
  }

  /** A new version takes the place of those of its parents that are heads. */
  follow(signed: SignedVersion): void {
    const { path, parents } = signed.version;
    const row = this.get(path);
    const gone = parents.map(String).filter((parent) => this.#isHead(path, row, parent));
    const before = row?.count ?? 0;
    const count = before - gone.length + 1;
    if (before > 1) for (const parent of gone) this.#setHead(this.#known(parent), false);
    const isKept = row !== undefined && !gone.includes(row.shown);
    if (before === 1 && isKept) this.#setHead(this.#known(row.shown), true);
    if (count > 1) this.#setHead(signed, true);
    const others = isKept ? this.#known(row.shown) : undefined;
    const shown = others ?? (before > 1 ? this.#greatest(path) : undefined);
    const isShown = shown === undefined || compareShown(signed, shown) > 0;
    this.#set(path, isShown ? signed : shown, count);
  }

  /** Says anew which heads a path has, e.g. when versions of it were taken out. */
  replace(path: string, heads: readonly SignedVersion[]): void {
    const row = this.get(path);
    if (row !== undefined && row.count > 1) {
      for (const { key } of this.#store.under(TABLES.heads, `${path}\0`)) {
        this.#store.set(TABLES.heads, key, undefined);
      }
    }
    const shown = heads.toSorted(compareShown).at(-1);
    if (shown === undefined) this.#store.set(TABLES.paths, path, undefined);
    else this.#set(path, shown, heads.length);
    if (heads.length > 1) for (const head of heads) this.#setHead(head, true);
  }

  #greatest(path: string): SignedVersion | undefined {
    const span = { from: `${path}\0`, to: `${path}\u0001`, limit: 1, isReverse: true };
    const [last] = this.#store.range({ table: TABLES.heads, ...span });
    return last === undefined ? undefined : this.#known(cidTextOf(last.key));
  }

  #isHead(path: string, row: PathRow | undefined, cidText: string): boolean {
    if (row === undefined || row.count === 1) return row?.shown === cidText;
    const key = headKey(path, this.#known(cidText));
    return this.#store.get(TABLES.heads, key) !== undefined;
  }

  #known(cidText: string): SignedVersion {
    const signed = this.#versions.get(cidText);
    assert(signed !== undefined, 'heads and parents are known');
    return signed;
  }

  #setHead(head: SignedVersion, isHead: boolean): void {
    const key = headKey(head.version.path, head);
    this.#store.set(TABLES.heads, key, isHead ? HERE : undefined);
  }

  #set(path: string, { cid, version }: SignedVersion, count: number): void {
    const row = Buffer.alloc(DIGEST_OF_CID_BYTES + 5);
    row.set(cid.multihash.digest);
    row.writeUInt32BE(count, DIGEST_OF_CID_BYTES);
    row[DIGEST_OF_CID_BYTES + 4] = version.deleted === true ? 1 : 0;
    this.#store.set(TABLES.paths, path, row);
  }
}

function readRow(row: Uint8Array): PathRow {
  const view = Buffer.from(row.buffer, row.byteOffset, row.length);
  return {
    shown: versionCidOfDigest(row.slice(0, DIGEST_OF_CID_BYTES)).toString(),
    count: view.readUInt32BE(DIGEST_OF_CID_BYTES),
    isDeleted: view[DIGEST_OF_CID_BYTES + 4] === 1,
  };
}

/** In the order of `compareShown`. A path holds no NUL. */
function headKey(path: string, { cidText, version }: SignedVersion): string {
  const order = [version.generation, version.time].map((n) => String(n).padStart(DIGITS, '0'));
  return `${path}\0${order.join('')}${cidText}`;
}

const cidTextOf = (key: string): string => key.slice(key.indexOf('\0') + 1 + 2 * DIGITS);
