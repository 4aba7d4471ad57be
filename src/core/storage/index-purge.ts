/**
 * Takes the last traces of what was deleted out of `index.db` (W46): FTS5 only marks entries as
 * gone until it merges what they stand in, and the order of terms tells who has the key what was
 * said. All of the index is merged, a part at a time, so that questions are answered in between.
 */
import type { DatabaseSync } from 'node:sqlite';
import { checkpoint, giveBack } from './database.ts';
import { kindOf } from './sqlite-errors.ts';

/** Pages that one step writes, about. */
const STEP_PAGES = 500;
const TABLES = ['held', 'known'] as const;

export class IndexPurge {
  readonly #db: DatabaseSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  note(): boolean {
    const sql = "INSERT INTO facts VALUES ('purge', ?) ON CONFLICT DO UPDATE SET value = ?";
    this.#db.prepare(sql).run('new', 'new');
    return false;
  }

  get isNoted(): boolean {
    return this.#state !== undefined;
  }

  /** @returns whether there is nothing more to do. */
  step(): boolean {
    const state = this.#state;
    if (state === undefined) return true;
    // A negative number begins to merge everything into one.
    const pages = state === 'new' ? -STEP_PAGES : STEP_PAGES;
    this.#db.exec("UPDATE facts SET value = 'going' WHERE name = 'purge'");
    const changes = TABLES.map((table) => this.#merge(table, pages));
    // sqlite.org/fts5.html: a merge that changed less than two rows has had nothing to do.
    if (changes.some((count) => count >= 2)) return false;
    this.#db.exec("DELETE FROM facts WHERE name = 'purge'");
    giveBack(this.#db, STEP_PAGES);
    try {
      checkpoint(this.#db, 'TRUNCATE');
    } catch (error) {
      if (kindOf(error) !== 'full') throw error;
    }
    return true;
  }

  get #state(): unknown {
    return this.#db.prepare("SELECT value FROM facts WHERE name = 'purge'").get()?.['value'];
  }

  #merge(table: (typeof TABLES)[number], pages: number): number {
    const before = this.#changes();
    this.#db.exec(`INSERT INTO ${table} (${table}, rank) VALUES ('merge', ${pages})`);
    return this.#changes() - before;
  }

  #changes(): number {
    return Number(this.#db.prepare('SELECT total_changes() AS count').get()?.['count']);
  }
}
