/**
 * The thread that copies the stores. It opens both for reading only and holds one snapshot of each
 * while it copies. First the facts, then the content: a fact is written after the content that it
 * names is durable, so a later snapshot of the content has all that an earlier one of the facts
 * names. (The other way round, facts of what was put in between would name what is not there.)
 * What is deleted between the two is looked for among the peers when the copy is started.
 *
 * It writes slowly, and makes it durable as it goes, so that a vote never waits behind a disk
 * that has gigabytes to catch up on.
 */
import { closeSync, constants, fdatasyncSync, fsyncSync, lstatSync, openSync } from 'node:fs';
import { backup, DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../assert.ts';
import { AegisError } from '../errors.ts';
import { MIB } from '../units.ts';
import { CHAIN_SPEC } from './chain-service.ts';
import { CONTENT_SPEC } from './content-schema.ts';
import type { CopyAnswer, CopyStart } from './copy.ts';
import { checkpoint, type DatabaseSpec, integer, openReadOnly } from './database.ts';
import { explainSqlite } from './sqlite-errors.ts';

/** Copied at once, between two looks at the clock. */
const STEP_BYTES = MIB;

assert(parentPort !== null, 'the copying runs in a worker thread only');
const { chainDb, contentDb, to, bytesPerSecondMax } = workerData as CopyStart;
const port = parentPort;

async function run(): Promise<CopyAnswer> {
  using facts = new Snapshot(chainDb, CHAIN_SPEC);
  using content = new Snapshot(contentDb, CONTENT_SPEC);
  const chainBytes = await facts.copyTo(to.chainDb);
  const contentBytes = await content.copyTo(to.contentDb);
  rename(to.contentDb);
  return { copied: { chainBytes, contentBytes } };
}

/** W40: the facts of the copy are compared with it once, since it may lack what was deleted. */
function rename(path: string): void {
  const db = new DatabaseSync(path);
  try {
    db.exec('UPDATE identity SET id = randomblob(16)');
    checkpoint(db, 'TRUNCATE');
  } finally {
    db.close();
  }
}

/** What was committed to a database at one moment. */
class Snapshot implements Disposable {
  readonly #db: DatabaseSync;
  readonly #path: string;
  readonly #spec: DatabaseSpec;

  constructor(path: string, spec: DatabaseSpec) {
    this.#path = path;
    this.#spec = spec;
    this.#db = openReadOnly(path, spec);
    // The first read fixes what is seen, until the transaction ends.
    this.#db.exec('BEGIN');
    integer(this.#db, 'schema_version');
  }

  async copyTo(path: string): Promise<number> {
    const { O_CREAT, O_EXCL, O_RDWR } = constants;
    const file = openSync(path, O_CREAT | O_EXCL | O_RDWR, 0o600);
    const begunMs = performance.now();
    let written = 0;
    try {
      await backup(this.#db, path, {
        rate: Math.max(1, Math.floor(STEP_BYTES / this.#spec.pageSizeBytes)),
        progress: () => {
          written += STEP_BYTES;
          fdatasyncSync(file);
          rest((written / bytesPerSecondMax) * 1000 - (performance.now() - begunMs));
        },
      });
      fsyncSync(file);
    } catch (error) {
      throw error instanceof AegisError ? error : explainSqlite(error, this.#path);
    } finally {
      closeSync(file);
    }
    return lstatSync(path).size;
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

/** Nothing else is to be done in this thread. */
function rest(durationMs: number): void {
  if (durationMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}

function failure(error: unknown): CopyAnswer {
  const explained = error instanceof AegisError ? error : explainSqlite(error, chainDb);
  return { failure: { ...explained.toBody(), details: explained.details } };
}

// Last, so that all of this file is there.
port.postMessage(await run().catch(failure), []);
