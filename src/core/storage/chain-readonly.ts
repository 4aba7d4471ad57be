/** Reads the facts of a home's `chain.db` from another process. Small: for short commands. */
import { CHAIN_SPEC } from './chain-service.ts';
import { openReadOnly } from './database.ts';

/** Every row of some rooms, or of all but some. @throws as `readChainRoom`. */
export function* chainRows(
  path: string,
  isWanted: (room: string) => boolean,
): Generator<{ readonly table: string; readonly key: string; readonly value: Uint8Array }> {
  const db = openReadOnly(path, CHAIN_SPEC);
  try {
    const rooms = db.prepare('SELECT DISTINCT room FROM entries ORDER BY room').all();
    const rows = db.prepare('SELECT key, value FROM entries WHERE room = ? ORDER BY key');
    for (const { room } of rooms) {
      const table = room as string;
      if (!isWanted(table)) continue;
      for (const { key, value } of rows.iterate(table)) {
        yield { table, key: key as string, value: value as Uint8Array };
      }
    }
  } finally {
    db.close();
  }
}

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
