/**
 * The tables of `index.db`. Nothing in it can be read without the key of terms (W47, W48): paths
 * and words stand under it, and the rest are CIDs. Full text is kept without its text
 * (contentless), so there are no excerpts. A change of the tables needs a new schema version, and
 * no migration: the file is made anew from what it is an index of.
 */
import { KIB, MIB } from '../units.ts';
import type { DatabaseSpec } from './database.ts';

/** Terms are lower-case hex, so the plainest tokenizer does: it was `words.ts` that found them. */
const FULL_TEXT = `fts5(
  path, message, content, starts, content = '', contentless_delete = 1, tokenize = 'ascii'
)`;

export const INDEX_SPEC: DatabaseSpec = {
  // 'aegX' in ASCII.
  applicationId: 0x61656758,
  schemaVersion: 1,
  pageSizeBytes: 8 * KIB,
  incrementalVacuum: true,
  cacheSizeBytes: 8 * MIB,
  // `held` has the versions whose content is indexed, which only some nodes can; `known` the rest.
  schema: `
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE documents (
      id INTEGER PRIMARY KEY,
      path TEXT NOT NULL UNIQUE,
      version BLOB NOT NULL,
      root BLOB NOT NULL,
      content TEXT NOT NULL
    ) STRICT;
    CREATE INDEX waiting ON documents (root) WHERE content = 'missing';
    CREATE VIRTUAL TABLE held USING ${FULL_TEXT};
    CREATE VIRTUAL TABLE known USING ${FULL_TEXT};
    CREATE VIRTUAL TABLE held_terms USING fts5vocab(held, 'row');`,
  migrations: {},
  loss: 'Nothing is lost: the node makes the index anew, from what it holds.',
};
