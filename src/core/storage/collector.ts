/**
 * W31, in the worker: finds what nothing keeps, and deletes it. Each call is a slice of a few
 * milliseconds, and whoever collects calls again: reads and writes of others pass in between.
 *
 * A row is garbage if it is older than the collection and than every lease that was open when it
 * began, if no kept root reaches it, and if nobody has touched it since. So what is being written
 * needs no look at all. What is kept, and why, is decided elsewhere.
 */
import type { DatabaseSync } from 'node:sqlite';
import { CID } from 'multiformats/cid';
import { AegisError } from '../errors.ts';
import { MIB } from '../units.ts';
import { IdSet } from './id-set.ts';
import type { Leases } from './leases.ts';
import { type Hashers, matches } from './multihash.ts';
import { linksOf, mayLink } from './object-links.ts';
import type { Marked, Swept, UnkeptRoots } from './protocol.ts';

/** So long one slice of looking for what is kept takes. */
const SLICE_MS = 4;
/** Objects that go in one transaction, and their bytes: what is freed is written, too. */
const BATCH_LENGTH = 256;
const BATCH_BYTES = 16 * MIB;
/** Rows that are looked at in one slice. */
const SCAN_LENGTH = 4096;

interface Run {
  /** Rows above this one are not looked at. */
  readonly newestId: number;
  readonly marks: IdSet;
  /** Nodes whose links have been followed: for roots that must be whole, and for others. */
  readonly wholes: IdSet;
  readonly parts: IdSet;
  /** Rows of roots that stay; those above `newestRootId` are not looked at. */
  readonly kept: IdSet;
  readonly newestRootId: number;
  /** Objects to be marked. Depth first, so it grows with the depth and not with the base. */
  readonly stack: { readonly cid: CID; readonly root: CID; readonly isWhole: boolean }[];
  /** The row up to which garbage has gone. */
  sweptId: number;
}

type Statements = ReturnType<typeof statementsOf>;

export class Collector {
  readonly #leases: Leases;
  readonly #hashers: Hashers;
  readonly #sql: Statements;
  #run: Run | undefined;

  constructor(db: DatabaseSync, leases: Leases, hashers: Hashers) {
    this.#leases = leases;
    this.#hashers = hashers;
    this.#sql = statementsOf(db);
  }

  /** The newest row. */
  get newestId(): number {
    return Number(this.#sql.newest.get()?.['id'] ?? 0);
  }

  /** @throws {AegisError} `BUSY` when a collection is under way. */
  begin(): void {
    if (this.#run !== undefined) throw new AegisError('BUSY', 'a collection is under way');
    let newestId = this.newestId;
    const marks = new IdSet();
    for (const lease of this.#leases.all()) {
      newestId = Math.min(newestId, lease.newestId);
      marks.join(lease.touched);
    }
    const newestRootId = Number(this.#sql.newestRoot.get()?.['id'] ?? 0);
    const [wholes, parts, kept] = [new IdSet(), new IdSet(), new IdSet()];
    this.#run = { newestId, marks, wholes, parts, kept, newestRootId, stack: [], sweptId: 0 };
    for (const lease of this.#leases.all()) for (const root of lease.roots) this.keep(root, false);
  }

  end(): void {
    this.#run = undefined;
  }

  /**
   * Keeps a root and what is below it. Nothing goes before it has been followed.
   * @param isWhole all of it has to be here: what is not, is told.
   */
  keep(root: Uint8Array, isWhole: boolean): void {
    const run = this.#run;
    if (run === undefined) return;
    const row = this.#sql.root.get(root);
    const isNew = row === undefined || run.kept.add(Number(row['id']));
    if (!isNew && !isWhole) return;
    const cid = CID.decode(root);
    run.stack.push({ cid, root: cid, isWhole });
  }

  /** Somebody counts on this row from now on. */
  touch(id: number): void {
    this.#run?.marks.add(id);
  }

  /** One slice of following what is kept. */
  mark(): Marked {
    const run = this.#underWay();
    const until = performance.now() + SLICE_MS;
    const broken: Uint8Array[] = [];
    for (let count = 1; run.stack.length > 0; count += 1) {
      const next = run.stack.pop()!;
      if (!this.#visit(run, next) && next.isWhole) broken.push(next.root.bytes);
      if (count % 16 === 0 && performance.now() > until) break;
    }
    return { left: run.stack.length, broken };
  }

  /** Roots that nobody has kept, in the order of their rows. */
  unkept(after: number, limit: number): UnkeptRoots {
    const run = this.#underWay();
    const rows = this.#sql.roots.all(after, run.newestRootId, limit);
    const unkept = rows.filter((row) => !run.kept.has(Number(row['id'])));
    const roots = unkept.map((row) => row['cid'] as Uint8Array);
    return { roots, next: rows.length < limit ? undefined : Number(rows.at(-1)?.['id']) };
  }

  /** Forgets roots that are still unkept; part of the caller's transaction. */
  forget(roots: readonly Uint8Array[]): void {
    const run = this.#underWay();
    for (const root of roots) {
      const id = this.#sql.root.get(root)?.['id'];
      if (id !== undefined && !run.kept.has(Number(id))) this.#sql.forget.run(id);
    }
  }

  /**
   * Deletes the next garbage, part of the caller's transaction; counts it only, with `isDry`.
   * Roots that have come to be kept in between are followed first.
   */
  sweep(isDry: boolean): Swept {
    const run = this.#underWay();
    if (run.stack.length > 0) {
      this.mark();
      return { objects: 0, bytes: 0, isDone: false };
    }
    const garbage: { readonly id: number; readonly size: number }[] = [];
    let bytes = 0;
    let seen = 0;
    let isFull = false;
    for (const row of this.#sql.rows.iterate(run.sweptId, run.newestId, SCAN_LENGTH)) {
      const id = Number(row['id']);
      seen += 1;
      run.sweptId = id;
      if (run.marks.has(id)) continue;
      garbage.push({ id, size: Number(row['size']) });
      bytes += Number(row['size']);
      isFull = garbage.length >= BATCH_LENGTH || bytes >= BATCH_BYTES;
      if (isFull) break;
    }
    if (isDry) return { objects: garbage.length, bytes, isDone: !isFull && seen < SCAN_LENGTH };
    const { objects, bytes: gone } = this.#delete(run, garbage);
    const isAll = objects === garbage.length;
    return { objects, bytes: gone, isDone: isAll && !isFull && seen < SCAN_LENGTH };
  }

  /** As many as a slice has time for: small objects each touch another page of the index. */
  #delete(run: Run, garbage: readonly { id: number; size: number }[]): Omit<Swept, 'isDone'> {
    const until = performance.now() + SLICE_MS;
    let objects = 0;
    let bytes = 0;
    for (const { id, size } of garbage) {
      this.#sql.remove.run(id);
      objects += 1;
      bytes += size;
      if (objects === garbage.length || performance.now() < until) continue;
      run.sweptId = id;
      break;
    }
    if (objects > 0) this.#sql.count.run(-objects, -bytes);
    return { objects, bytes };
  }

  /** @returns whether the object is here and sound. */
  #visit(run: Run, { cid, root, isWhole }: Run['stack'][number]): boolean {
    const isNode = mayLink(cid);
    const key = cid.multihash.bytes;
    const row = isNode ? this.#sql.node.get(key) : this.#sql.leaf.get(key);
    if (row === undefined) return false;
    const id = Number(row['id']);
    run.marks.add(id);
    if (!isNode || run.wholes.has(id) || (!isWhole && run.parts.has(id))) return true;
    const bytes = row['bytes'] as Uint8Array;
    // Damage must not hide what hangs below it.
    if (!matches(key, bytes, this.#hashers)) return false;
    (isWhole ? run.wholes : run.parts).add(id);
    for (const link of linksOf(cid, bytes)) run.stack.push({ cid: link, root, isWhole });
    return true;
  }

  #underWay(): Run {
    if (this.#run === undefined) throw new AegisError('BUSY', 'the collection has ended');
    return this.#run;
  }
}

function statementsOf(db: DatabaseSync) {
  return {
    newest: db.prepare('SELECT max(id) AS id FROM objects'),
    node: db.prepare('SELECT id, bytes FROM objects WHERE key = ?'),
    leaf: db.prepare('SELECT id FROM objects WHERE key = ?'),
    rows: db.prepare(
      `SELECT id, length(bytes) AS size FROM objects WHERE id > ? AND id <= ?
       ORDER BY id LIMIT ?`,
    ),
    remove: db.prepare('DELETE FROM objects WHERE id = ?'),
    count: db.prepare('UPDATE totals SET objects = objects + ?, bytes = bytes + ?'),
    newestRoot: db.prepare('SELECT max(id) AS id FROM roots'),
    root: db.prepare('SELECT id FROM roots WHERE cid = ?'),
    roots: db.prepare('SELECT id, cid FROM roots WHERE id > ? AND id <= ? ORDER BY id LIMIT ?'),
    forget: db.prepare('DELETE FROM roots WHERE id = ?'),
  };
}
