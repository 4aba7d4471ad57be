/**
 * R2, on the disk of a node that is stopped: what the state of its cluster is, and how a home goes
 * over to a cluster that goes on from there. What was there before is renamed, never deleted. It
 * makes no genesis and asks nobody.
 */
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Ledger } from '../chain/ledger.ts';
import { LIMITS } from '../chain/limits.ts';
import { originRows } from '../chain/origin.ts';
import type { OriginFile, OriginHead } from '../chain/origin-file.ts';
import { decodeRef } from '../chain/ref.ts';
import { RECOVERY_TABLES, sortRows, TABLES } from '../chain/rows.ts';
import type { StoredRow } from '../chain/types.ts';
import type { HomePaths } from '../config/home.ts';
import { AegisError, toAegisError } from '../errors.ts';
import { statIfPresent, syncDirectory, writeFileAtomic } from '../files.ts';
import { decode } from '../model/cbor.ts';
import { type Genesis, openGenesis } from '../model/genesis.ts';
import type { Log } from '../ports.ts';
import { chainRows } from '../storage/chain-readonly.ts';
import { ChainStore } from '../storage/chain-store.ts';
import { FINALS_TABLE, finalRow, readFinal } from './finals.ts';

/** What a state file holds. */
export const ORIGIN_TABLES: readonly string[] = [TABLES.state, TABLES.former, FINALS_TABLE];

/** Rows of one transaction. */
const BATCH_ROWS = 2000;

/**
 * The state that a home has, as the cluster after it would begin.
 * @throws {AegisError} `NOT_FOUND` when no block is final here, `STORE_DAMAGED`.
 */
export function readOrigin(chainDb: string, genesisBytes: Uint8Array): OriginFile {
  const genesis = openGenesis(genesisBytes);
  const { clusterId } = genesis;
  const wanted = [...RECOVERY_TABLES, TABLES.state, FINALS_TABLE];
  const isWanted = (room: string) => wanted.includes(room);
  const rows = sortRows(chainRows(chainDb, isWanted));
  const { ledger } = Ledger.recover({ clusterId, genesis }, rows);
  const { height } = ledger.tip;
  if (height === 0 && genesis.origin === undefined) {
    throw new AegisError('NOT_FOUND', 'no block is final in this home');
  }
  const finals = [...chainRows(chainDb, (room) => room === FINALS_TABLE)].map(asPast);
  const head = { clusterId, height, stateRoot: ledger.tree.root };
  return { head, rows: [...originRows(clusterId, genesisBytes, rows), ...finals] };
}

/** What was decided in a cluster before has no height in the one after it. */
function asPast({ key, value }: StoredRow): StoredRow {
  const { result } = readFinal(value)!;
  return { table: FINALS_TABLE, key, value: finalRow({ height: 0, result }) };
}

export const isSameState = (a: OriginHead, b: OriginHead): boolean =>
  a.clusterId === b.clusterId &&
  a.height === b.height &&
  Buffer.compare(a.stateRoot, b.stateRoot) === 0;

/** Where the things of the cluster before lie. */
const asideOf = (path: string, clusterId: string): string => `${path}.${clusterId}`;

/** Of one SQLite file and what lies beside it. */
const SUFFIXES = ['', '-wal', '-shm', '.standing'];

export interface RecoveryHome {
  /** The genesis of the cluster before, if the home was in it. */
  readonly genesis: Uint8Array | undefined;
  readonly chainDb: string | undefined;
}

/**
 * What a home has of the cluster before: also one that was stopped on its way to the next.
 * @throws {AegisError} `EXISTS` for a home that is in another cluster.
 */
export async function findBefore(
  paths: HomePaths,
  clusterId: string,
  read: (path: string) => Promise<Uint8Array>,
): Promise<RecoveryHome> {
  const places = [paths.genesis, asideOf(paths.genesis, clusterId)];
  for (const path of places) {
    if ((await statIfPresent(path)) === undefined) continue;
    const genesis = await read(path);
    if (openGenesis(genesis).clusterId !== clusterId) break;
    const databases = [asideOf(paths.chainDb, clusterId), paths.chainDb];
    for (const chainDb of databases) {
      if ((await statIfPresent(chainDb)) !== undefined) return { genesis, chainDb };
    }
    return { genesis, chainDb: undefined };
  }
  const isOther = await Promise.all([paths.genesis, paths.chainDb].map(statIfPresent));
  if (isOther.every((stats) => stats === undefined)) {
    return { genesis: undefined, chainDb: undefined };
  }
  throw new AegisError('EXISTS', `the node at ${paths.label} is in another cluster already`, {
    hint: 'Use another --home, or a home of the cluster that the genesis goes on from.',
  });
}

/**
 * Takes a home over to the cluster of a recovery genesis. Repeated after a crash it comes to its
 * end; until then the home has no genesis, and no daemon starts.
 * @throws {AegisError} `BAD_DATA` when the state is not that of the genesis.
 */
export async function layOrigin(
  paths: HomePaths,
  next: { readonly genesis: Genesis; readonly bytes: Uint8Array; readonly origin: OriginFile },
  before: RecoveryHome,
  log: Log,
): Promise<void> {
  const clusterId = next.origin.head.clusterId;
  checkOrigin(next.genesis, next.origin);
  const fresh = `${paths.chainDb}.next`;
  await removeDatabase(fresh);
  // What is still in its log must not be left behind when it is renamed.
  if (before.chainDb !== undefined) await (await ChainStore.open(before.chainDb, { log })).close();
  await fill(fresh, before.chainDb, next.origin.rows, log);
  await moveAside(paths.genesis, clusterId);
  await moveAside(paths.invitation, clusterId);
  if (before.chainDb === paths.chainDb) {
    await renameDatabase(paths.chainDb, asideOf(paths.chainDb, clusterId));
  } else if (before.chainDb !== undefined) {
    // Of an attempt that was cut: no daemon has run on it.
    await removeDatabase(paths.chainDb);
  }
  await renameDatabase(fresh, paths.chainDb);
  await writeFileAtomic(paths.genesis, next.bytes, { mode: 0o600 });
}

/** @throws {AegisError} `BAD_DATA` when a cluster of this genesis cannot go on from the state. */
export function checkOrigin(genesis: Genesis, { rows }: OriginFile): void {
  try {
    Ledger.recover({ clusterId: genesis.clusterId, genesis }, sortRows(rows));
  } catch (error) {
    const why = toAegisError(error).message;
    throw new AegisError('BAD_DATA', `the genesis does not go on from the state: ${why}`, {
      cause: error,
    });
  }
}

/** All that is not of the chain before, and the state. */
async function fill(
  path: string,
  before: string | undefined,
  rows: readonly StoredRow[],
  log: Log,
): Promise<void> {
  const store = await ChainStore.open(path, { log });
  try {
    for (const batch of batches(rows)) await store.commit(batch);
    if (before !== undefined) {
      for (const batch of batches(chainRows(before, isKept))) await store.commit(batch);
      // What this node knows itself wins over what it was told.
      const own = chainRows(before, (room) => room === FINALS_TABLE);
      for (const batch of batches(own)) await store.commit(batch.map(asPast));
    }
    for (const batch of batches(heads(rows))) await store.commit(batch);
  } finally {
    await store.close();
  }
}

const isKept = (room: string): boolean =>
  !room.startsWith('chain/') && !room.startsWith('consensus/') && !room.startsWith('node/finals');

/** What the state points to is final, whoever has told what else is. */
function* heads(rows: readonly StoredRow[]): Generator<StoredRow> {
  for (const { table, value } of rows) {
    if (table !== TABLES.state) continue;
    const leaf = decode(value, { maxBytes: LIMITS.leafBytes }) as { readonly type?: unknown };
    if (leaf.type !== 'ref') continue;
    for (const { version } of decodeRef(value).heads) {
      const final = finalRow({ height: 0, result: 'done' });
      yield { table: FINALS_TABLE, key: version.toString(), value: final };
    }
  }
}

function* batches<T>(items: Iterable<T>): Generator<T[]> {
  let batch: T[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length < BATCH_ROWS) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

async function moveAside(path: string, clusterId: string): Promise<void> {
  if ((await statIfPresent(path)) === undefined) return;
  await rename(path, asideOf(path, clusterId));
  await syncDirectory(dirname(path));
}

/** The file itself last: until then the name is that of what was there. */
async function renameDatabase(from: string, to: string): Promise<void> {
  for (const suffix of SUFFIXES.toReversed()) {
    if ((await statIfPresent(from + suffix)) !== undefined)
      await rename(from + suffix, to + suffix);
  }
  await syncDirectory(dirname(to));
}

async function removeDatabase(path: string): Promise<void> {
  for (const suffix of SUFFIXES) await rm(path + suffix, { force: true });
}
