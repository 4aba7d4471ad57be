/** Reads the facts of a home's `chain.db` from another process. Small: for short commands. */
import { CHAIN_SPEC } from './chain-service.ts';
import { openReadOnly } from './database.ts';

/** The values of a room. @throws {AegisError} `NOT_FOUND`, `STORE_DAMAGED`, `HOME_TOO_NEW`. */
export function readChainRoom(path: string, room: string): readonly Uint8Array[] {
  const db = openReadOnly(path, CHAIN_SPEC);
  try {
    const rows = db.prepare('SELECT value FROM entries WHERE room = ?').all(room);
    return rows.map(({ value }) => value as Uint8Array);
  } finally {
    db.close();
  }
}
