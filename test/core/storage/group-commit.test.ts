import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { CONTENT_SPEC } from '../../../src/core/storage/content-schema.ts';
import { openDatabase } from '../../../src/core/storage/database.ts';
import { GroupCommit, type GroupCommitOptions } from '../../../src/core/storage/group-commit.ts';
import { MIB } from '../../../src/core/units.ts';
import { withDirectory } from '../../helpers/keystores.ts';

const NEVER_MS = 2 ** 31 - 1;

interface Bench {
  readonly db: DatabaseSync;
  readonly group: GroupCommit;
  write(key: number, sizeBytes: number): Promise<void>;
  /** Bytes of the database without its log. */
  fileBytes(): number;
}

async function withGroup(
  options: GroupCommitOptions,
  use: (bench: Bench) => Promise<void>,
): Promise<void> {
  await withDirectory(async (dir) => {
    const path = join(dir, 'content.db');
    const db = openDatabase(path, CONTENT_SPEC);
    const fatal = (error: unknown): never => {
      throw error;
    };
    const group = new GroupCommit(options, { db, fatal });
    const insert = db.prepare('INSERT INTO objects (key, bytes) VALUES (?, ?)');
    const write = (key: number, sizeBytes: number): Promise<void> =>
      group.stage(sizeBytes, () => {
        insert.run(Uint8Array.of(key), new Uint8Array(sizeBytes));
      });
    await use({ db, group, write, fileBytes: () => statSync(path).size });
    db.close();
  });
}

describe('the log of a store', () => {
  it('moves into the database in a pause, and not before', async () => {
    await withGroup({ checkpointBytes: MIB, pauseMs: 20 }, async ({ write, fileBytes }) => {
      await Promise.all([write(1, 2 * MIB), write(2, 2 * MIB)]);
      expect(fileBytes()).toBeLessThan(MIB);
      await expect.poll(fileBytes, { timeout: 5000 }).toBeGreaterThan(4 * MIB);
    });
  });

  it('stays where it is while it is short', async () => {
    await withGroup({ pauseMs: 1 }, async ({ db, write, fileBytes }) => {
      await write(1, MIB);
      await new Promise((resolve) => setImmediate(resolve));
      expect(fileBytes()).toBeLessThan(MIB);
      expect(db.prepare('SELECT count(*) AS n FROM objects').get()).toEqual({ n: 1 });
    });
  });

  it('waits for no pause when it is too long', async () => {
    const options = { checkpointBytes: MIB, pauseMs: NEVER_MS, logBytesMax: 3 * MIB };
    await withGroup(options, async ({ write, fileBytes }) => {
      await write(1, 2 * MIB);
      await write(2, 2 * MIB);
      expect(fileBytes()).toBeLessThan(MIB);
      await write(3, 1);
      expect(fileBytes()).toBeGreaterThan(4 * MIB);
    });
  });
});
