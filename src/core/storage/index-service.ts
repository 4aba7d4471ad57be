/**
 * `index.db`, in its worker: which words the shown versions have (W33), by SQLite's FTS5. A worker
 * of its own: folding and hashing the words of 1 MiB takes tenths of a second, for which neither
 * the loop nor those who read objects should wait. It decides nothing about versions, and what it
 * loses it is given again: so it syncs rarely, and no failure of it is one of the node.
 */
import type { DatabaseSync } from 'node:sqlite';
import { assert } from '../assert.ts';
import type { Phrase } from '../kb/find/query.ts';
import { Terms } from '../kb/find/terms.ts';
import { closeDatabase, type OpenOptions, openDatabase } from './database.ts';
import { IndexFilter } from './index-filter.ts';
import type {
  IndexEntry,
  IndexedContent,
  IndexHit,
  IndexOperations,
  IndexQuestion,
} from './index-protocol.ts';
import { IndexPurge } from './index-purge.ts';
import { INDEX_SPEC } from './index-schema.ts';
import type { Service } from './service.ts';

/** What counts how much for a hit: words of the path, of the message, of content; beginnings. */
const WEIGHTS = '8.0, 4.0, 1.0, 2.0';
/** Stands between two texts, so that no phrase goes from one to the next: no term is like it. */
const BREAK = ' x ';
const SCORE_MAX = 2 ** 31 - 1;

interface Row {
  readonly id: number;
  readonly version: Uint8Array;
  readonly content: IndexedContent;
}

interface FullText {
  readonly insert: (id: number, columns: readonly string[]) => void;
  readonly remove: (id: number) => void;
  readonly find: (match: string, limit: number) => IndexHit[];
}

export function indexService(
  path: string,
  options: OpenOptions & { readonly key?: Uint8Array | undefined },
): Service<IndexOperations> {
  const { key } = options;
  assert(key !== undefined, 'the index is opened with the key of its terms');
  const db = openDatabase(path, INDEX_SPEC, options);
  // After a power cut the last versions may be missing, and are found to be.
  db.exec('PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 1000;');
  // W46: what was written over cannot be read again.
  db.exec('PRAGMA secure_delete = ON');
  const terms = new Terms(key);
  ofThisKey(db, terms);
  const index = new Index(db, terms);
  const purge = new IndexPurge(db);
  return {
    handlers: {
      write: ({ entries, removed }) => index.write(entries, removed),
      look: (items) => items.map((item) => index.look(item)),
      waiting: (roots) => roots.flatMap((root) => index.waiting(root)),
      find: (question) => index.find(question),
      purge: (what) => {
        if (what === 'note') return purge.note();
        const isNoted = purge.isNoted;
        const isDone = purge.step();
        if (isNoted && isDone) index.filter.renew();
        return isDone;
      },
      news: (known) => index.filter.news(known),
      close: () => undefined,
    },
    close: () => closeDatabase(db),
  };
}

/** What was indexed under another key says nothing under this one. */
function ofThisKey(db: DatabaseSync, terms: Terms): void {
  const mark = terms.word('aegis');
  const found = db.prepare("SELECT value FROM facts WHERE name = 'key'").get()?.['value'];
  if (found === mark) return;
  db.exec(`
    BEGIN IMMEDIATE;
    DELETE FROM documents;
    INSERT INTO held (held) VALUES ('delete-all');
    INSERT INTO known (known) VALUES ('delete-all');
    INSERT INTO facts VALUES ('key', '${mark}') ON CONFLICT DO UPDATE SET value = '${mark}';
    COMMIT;`);
}

class Index {
  readonly filter: IndexFilter;
  readonly #db: DatabaseSync;
  readonly #terms: Terms;
  readonly #held: FullText;
  readonly #known: FullText;
  readonly #rows: ReturnType<typeof documentRows>;

  constructor(db: DatabaseSync, terms: Terms) {
    this.#db = db;
    this.#terms = terms;
    this.#held = fullText(db, 'held');
    this.#known = fullText(db, 'known');
    this.#rows = documentRows(db);
    this.filter = new IndexFilter(db);
  }

  write(entries: readonly IndexEntry[], removed: readonly string[]): IndexFilter['state'] {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      for (const path of removed) this.#remove(this.#terms.path(path));
      for (const entry of entries) this.#insert(entry);
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
    this.filter.settle();
    return this.filter.state;
  }

  look({ path, version }: { path: string; version: Uint8Array }): IndexedContent | 'new' {
    const row = this.#rows.get(this.#terms.path(path));
    return row !== undefined && Buffer.compare(row.version, version) === 0 ? row.content : 'new';
  }

  waiting(root: Uint8Array): Uint8Array[] {
    return this.#rows.waiting(root);
  }

  find({ phrases, limit, isHeldOnly }: IndexQuestion): { hits: IndexHit[]; isMore: boolean } {
    const match = matchOf(phrases);
    const found = [
      ...this.#held.find(match, limit + 1),
      ...(isHeldOnly ? [] : this.#known.find(match, limit + 1)),
    ];
    const best = found.toSorted((a, b) => b.score - a.score);
    return { hits: best.slice(0, limit), isMore: best.length > limit };
  }

  #insert(entry: IndexEntry): void {
    const path = this.#terms.path(entry.path);
    this.#remove(path);
    const { version, root, content, message = '', texts } = entry;
    const id = this.#rows.insert(path, version, root, content);
    const words = [entry.path, message].map((text) => this.#terms.wordsOf(text));
    const starts = this.#terms.startsOf(`${entry.path} ${message}`);
    const isHeld = content === 'held';
    const said = isHeld ? texts.map((text) => this.#terms.wordsOf(text)) : [];
    const columns = [...words.map(joined), said.map(joined).join(BREAK), joined(starts)];
    if (!isHeld) return this.#known.insert(id, columns);
    this.#held.insert(id, columns);
    for (const all of [...words, ...said, starts]) this.filter.add(all);
  }

  #remove(path: string): void {
    const row = this.#rows.get(path);
    if (row === undefined) return;
    const isHeld = row.content === 'held';
    (isHeld ? this.#held : this.#known).remove(row.id);
    this.#rows.remove(row.id);
    if (isHeld) this.filter.gone();
  }
}

const joined = (terms: readonly string[]): string => terms.join(' ');

/** Terms have only hex digits (`TERM_PATTERN`): nothing that is asked can mean anything else. */
function matchOf(phrases: readonly Phrase[]): string {
  const parts = phrases.flatMap(({ words, start }) => [
    ...(words.length > 0 ? [words.join(' ')] : []),
    ...(start === undefined ? [] : [start]),
  ]);
  assert(parts.length > 0 && parts.every((part) => /^[0-9a-f ]+$/.test(part)), 'terms are hex');
  return parts.map((part) => `"${part}"`).join(' AND ');
}

function fullText(db: DatabaseSync, table: 'held' | 'known'): FullText {
  const insert = db.prepare(
    `INSERT INTO ${table} (rowid, path, message, content, starts) VALUES (?, ?, ?, ?, ?)`,
  );
  const remove = db.prepare(`DELETE FROM ${table} WHERE rowid = ?`);
  const find = db.prepare(
    `SELECT version, -1000 * score AS score FROM (
      SELECT rowid AS id, rank AS score FROM ${table}
      WHERE ${table} MATCH ? AND rank MATCH 'bm25(${WEIGHTS})' ORDER BY rank LIMIT ?
    ) JOIN documents USING (id)`,
  );
  return {
    insert: (id, columns) => void insert.run(id, ...columns),
    remove: (id) => void remove.run(id),
    find: (match, limit) =>
      find.all(match, limit).map(({ version, score }) => ({
        version: version as Uint8Array,
        // A word that nearly all have counts for less than nothing.
        score: Math.min(Math.max(Math.round(Number(score)), 0), SCORE_MAX),
      })),
  };
}

function documentRows(db: DatabaseSync) {
  const get = db.prepare('SELECT id, version, content FROM documents WHERE path = ?');
  const remove = db.prepare('DELETE FROM documents WHERE id = ?');
  const waiting = db.prepare(
    "SELECT version FROM documents WHERE root = ? AND content = 'missing'",
  );
  const insert = db.prepare(
    'INSERT INTO documents (path, version, root, content) VALUES (?, ?, ?, ?)',
  );
  return {
    get: (path: string) => get.get(path) as unknown as Row | undefined,
    remove: (id: number) => void remove.run(id),
    waiting: (root: Uint8Array) => waiting.all(root).map((row) => row['version'] as Uint8Array),
    insert: (path: string, version: Uint8Array, root: Uint8Array, content: IndexedContent) =>
      Number(insert.run(path, version, root, content).lastInsertRowid),
  };
}
