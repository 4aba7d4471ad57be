/**
 * The tables of this room as the step that runs sees them (W41): what it writes is there at once,
 * and is handed over once, at the end of the step. It knows no disk.
 */
import type { LogEntry } from '../machine.ts';
import { MemoryRows } from '../memory-rows.ts';
import type { Row, Rows, RowsQuery } from '../ports.ts';
import { StepRows } from '../step-rows.ts';
import { MIB } from '../units.ts';
import { ByteCache } from './byte-cache.ts';

export const TABLES = {
  /** By CID: the bytes of a version or of a merge. */
  versions: 'kb/versions',
  /** By path: what is shown, and how many heads there are. */
  paths: 'kb/paths',
  /** Of paths with several heads: `path NUL order CID`. */
  heads: 'kb/heads',
  /** By path and CID: versions that shred (W46). */
  shreds: 'kb/shreds',
  /** By author: how far its log goes. */
  authors: 'kb/authors',
  /** By author and number of the page: its versions in order. */
  log: 'kb/log',
  /** By author, sequence and CID: further versions of one sequence. */
  twins: 'kb/twins',
  /** By author, level and number: digests of parts of a log that are complete. */
  digests: 'kb/digests',
  /** By path: those that show a merge with conflicts. */
  conflicted: 'kb/conflicted',
  /** By CID: roots that are complete here. */
  roots: 'kb/roots',
  /** By root and version: who has a copy, of versions that concern this node. */
  replicas: 'kb/replicas',
  /** By node, root and version: what has to be offered to it. */
  unconfirmed: 'kb/unconfirmed',
  /** By root: what has to be fetched. */
  wanted: 'kb/wanted',
  /** The same by author and root, for turns. */
  queues: 'kb/queues',
  /** By node: digests of the copies here and there. */
  held: 'kb/held',
  /** By node id: its number in the rows of `replicas`. */
  nodes: 'kb/nodes',
  /** By node: since when it is absent. */
  absent: 'kb/absent',
  /** By node: that it drains. */
  draining: 'kb/draining',
  /** By key of the account: since when a version has too few copies. */
  short: 'kb/short',
  /** By node and root: that it could not prove a copy that it has confirmed. */
  doubted: 'kb/doubted',
  /** By root: when all of its holders had confirmed a copy that is to leave here. */
  safe: 'kb/safe',
  /** By name. */
  counters: 'kb/counters',
} as const;

const FIRST_ROWS = 8;
const PAGE_ROWS = 512;
/** Of one table. */
const CACHE_BYTES = MIB;
/** What a row takes in memory beside its key and value, about. */
const ROW_BYTES = 200;

/** A row, or that there is none. */
interface Read {
  readonly value: Uint8Array | undefined;
}

export class KbStore {
  readonly #rows: StepRows;
  /** By table, what was read and written lately: nobody else writes these tables. */
  readonly #read = new Map<string, ByteCache<Read>>();
  #written = new Map<string, Map<string, LogEntry>>();

  /** @param below what was written before; without it, a store in memory. */
  constructor(below: Rows = new MemoryRows()) {
    this.#rows = new StepRows(below);
  }

  /** At the start of each step. What was taken is below by now. */
  begin(): void {
    this.#rows.begin();
    for (const entries of this.#written.values()) {
      for (const { table, key, value } of entries.values()) this.#rows.set(table, key, value);
    }
  }

  set(table: string, key: string, value: Uint8Array | undefined): void {
    this.#rows.set(table, key, value);
    let written = this.#written.get(table);
    if (written === undefined) this.#written.set(table, (written = new Map()));
    written.set(key, { table, key, value });
    this.#keep(table, key, value);
  }

  get(table: string, key: string): Uint8Array | undefined {
    const read = this.#read.get(table)?.get(key);
    if (read !== undefined) return read.value;
    const value = this.#rows.get(table, key);
    this.#keep(table, key, value);
    return value;
  }

  range(query: RowsQuery): readonly Row[] {
    return this.#rows.range(query);
  }

  /** The rows whose keys begin with `prefix`, after the key `after`; read as they are taken. */
  *under(table: string, prefix: string, after?: string): Generator<Row> {
    let from = after === undefined ? prefix : `${after}\0`;
    const to = endOf(prefix);
    // Most who ask take a few: a page is larger than the one before.
    for (let limit = FIRST_ROWS; ; limit = Math.min(4 * limit, PAGE_ROWS)) {
      const rows = this.range({ table, from, to, limit });
      for (const row of rows) {
        if (!row.key.startsWith(prefix)) return;
        yield row;
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < limit) return;
      from = `${last.key}\0`;
    }
  }

  /** All that was written since the last call, each key once, as it is now. */
  take(): LogEntry[] {
    const entries = [...this.#written.values()].flatMap((table) => [...table.values()]);
    this.#written = new Map();
    return entries;
  }

  #keep(table: string, key: string, value: Uint8Array | undefined): void {
    let read = this.#read.get(table);
    if (read === undefined) this.#read.set(table, (read = new ByteCache(CACHE_BYTES)));
    read.set(key, { value }, 2 * key.length + (value?.length ?? 0) + ROW_BYTES);
  }
}

/** Behind all keys that begin with a prefix, where that is easily said. */
function endOf(prefix: string): string | undefined {
  const last = prefix.charCodeAt(prefix.length - 1);
  if (Number.isNaN(last) || last >= 0x7f) return undefined;
  return prefix.slice(0, -1) + String.fromCharCode(last + 1);
}
