/**
 * W27: hashes all objects again, a slice at a time, in the order of their rows, and goes on after a
 * restart. Damaged rows are set aside by the caller. When the next slice is due is not known here.
 */
import type { DatabaseSync } from 'node:sqlite';
import { type Hashers, matches } from './multihash.ts';
import type { ScrubState } from './protocol.ts';

/** Rows of one slice, however small they are. */
const SLICE_ROWS = 4096;

export interface ScrubSlice {
  /** The row up to which all are looked at; undefined: that was the last one. */
  readonly next: number | undefined;
  readonly objects: number;
  readonly bytes: number;
  readonly damaged: readonly Uint8Array[];
}

/** @param reading sees what is durable; @param db is written within transactions of the caller. */
export function scrubRows(db: DatabaseSync, reading: DatabaseSync, hashers: Hashers) {
  const rows = reading.prepare('SELECT id, key, bytes FROM objects WHERE id > ? ORDER BY id');
  const state = db.prepare('SELECT * FROM scrub');
  const save = db.prepare(
    `UPDATE scrub SET at = ?, objects = ?, bytes = ?, damaged = ?, started_at = ?, done_at = ?,
     done_damaged = ?`,
  );
  const read = (): ScrubState => {
    const row = state.get()!;
    const time = (name: string): number | undefined =>
      row[name] === null ? undefined : Number(row[name]);
    return {
      at: Number(row['at']),
      objects: Number(row['objects']),
      bytes: Number(row['bytes']),
      damaged: Number(row['damaged']),
      startedAt: time('started_at'),
      doneAt: time('done_at'),
      doneDamaged: Number(row['done_damaged']),
    };
  };
  return {
    read,
    slice(after: number, bytesMax: number): ScrubSlice {
      const damaged: Uint8Array[] = [];
      let [objects, bytes, last] = [0, 0, after];
      for (const row of rows.iterate(after)) {
        const key = row['key'] as Uint8Array;
        const object = row['bytes'] as Uint8Array;
        objects += 1;
        bytes += object.length;
        last = Number(row['id']);
        if (!matches(key, object, hashers)) damaged.push(key);
        if (bytes >= bytesMax || objects >= SLICE_ROWS) {
          return { next: last, objects, bytes, damaged };
        }
      }
      return { next: undefined, objects, bytes, damaged };
    },
    /** Notes that a slice has been looked at. */
    passed({ next, objects, bytes, damaged }: ScrubSlice, now: number): void {
      const before = read();
      const all = before.damaged + damaged.length;
      const startedAt = before.startedAt ?? now;
      if (next === undefined) save.run(0, 0, 0, 0, null, now, all);
      else {
        const counts = [before.objects + objects, before.bytes + bytes, all] as const;
        save.run(next, ...counts, startedAt, before.doneAt ?? null, before.doneDamaged);
      }
    },
    /** From the first object again. */
    restart(): void {
      const { doneAt, doneDamaged } = read();
      save.run(0, 0, 0, 0, null, doneAt ?? null, doneDamaged);
    },
  };
}
