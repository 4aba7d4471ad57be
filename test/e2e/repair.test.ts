/**
 * Goal: copies come back by themselves, whatever has become of them.
 * Setup: seven daemons in three zones, with a short grace period and a slow pace of repair.
 * Check: two nodes gone for good with their disks, an object that rots, one that is missing, and a
 * node that drains: in the end every document has three copies in three zones.
 */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { CID } from 'multiformats/cid';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Result } from '../../src/core/api/contract/endpoints.ts';
import { KIB, MIB, MINUTE, SECOND } from '../../src/core/units.ts';
import { clientOf } from './support/api.ts';
import { Cluster, eventually } from './support/cluster.ts';
import { flipBit, setAside, storedBytes } from './support/store.ts';

const ZONES = ['a', 'b', 'c', 'a', 'b', 'c', 'a'];
const GRACE_MS = 3 * SECOND;
const BYTES_PER_SECOND = 2 * MIB;
/** Of each of the two smaller halves of the documents. */
const LARGE = 12;
const SMALL = 12;

let cluster: Cluster;
const paths: string[] = [];
let totalBytes = 0;

async function put(node: number, path: string, sizeBytes: number): Promise<void> {
  const bytes = randomBytes(sizeBytes);
  async function* chunks() {
    yield bytes;
  }
  const query = { path, wait: 'replicated', replicas: 3, timeoutMs: MINUTE } as const;
  await clientOf(cluster, node, MINUTE).put(query, { kind: 'file', bytes: chunks() });
  paths.push(path);
  totalBytes += sizeBytes;
}

const where = (node: number, path: string): Promise<Result<'kb.where'>> =>
  clientOf(cluster, node).call('kb.where', { query: { path } });
const status = (node: number): Promise<Result<'kb.status'>> =>
  clientOf(cluster, node).call('kb.status', { query: {} });

/** Zones of nodes that are there and hold the document, without those that are named. */
async function zonesOf(node: number, path: string, without: readonly string[] = []) {
  const { holders } = await where(node, path);
  const there = holders.filter(({ confirmed, reachable }) => confirmed && reachable);
  return there.filter(({ name }) => !without.includes(name!)).map(({ zone }) => zone);
}

async function untilCopied(node: number, patienceMs: number, without: readonly string[] = []) {
  for (const path of paths) {
    await eventually(
      () => zonesOf(node, path, without),
      (zones) => new Set(zones).size === 3,
      `${path} has copies in three zones`,
      patienceMs,
    );
  }
}

const compare = (a: string, b: string): number => (a < b ? -1 : 1);
const isWell = ({ underReplicated, wanted }: Result<'kb.status'>): boolean =>
  underReplicated === 0 && wanted === 0;

beforeAll(async () => {
  cluster = await Cluster.start({
    size: ZONES.length,
    zones: ZONES,
    config: {
      'kb.graceMs': String(GRACE_MS),
      'kb.repairBytesPerSecond': String(BYTES_PER_SECOND),
    },
  });
  for (let i = 0; i < LARGE; i += 1) await put((i % ZONES.length) + 1, `large-${i}`, MIB);
  for (let i = 0; i < SMALL; i += 1) await put((i % ZONES.length) + 1, `small-${i}`, KIB);
}, 2 * MINUTE);
afterAll(() => cluster.stop());

test('W20, W21, W24: two nodes are gone for good, and others take over', async () => {
  for (const node of [1, 2]) {
    await cluster.devnet.kill(String(node));
    rmSync(cluster.home(node).data, { recursive: true });
  }
  const absent = await eventually(
    async () => (await status(3)).absent.map(({ name }) => name ?? '').toSorted(compare),
    (names) => names.length === 2,
    'both are absent',
    10 * GRACE_MS,
  );
  expect(absent).toEqual(['node1', 'node2']);
  // As if one node alone had to fetch all that is lost, which is two sevenths of all copies.
  const lostBytes = (3 * totalBytes * 2) / ZONES.length;
  await untilCopied(3, GRACE_MS + (1.5 * SECOND * lostBytes) / BYTES_PER_SECOND);
  for (const node of [3, 4, 5, 6, 7]) {
    await cluster.until(() => status(node), isWell, `node ${node} says that all is well`);
  }
  const run = await cluster.run(3, 'kb', 'status');
  expect(run.exit, run.stderr).toBe(0);
  expect(run.stdout.toString()).toContain('absent');
});

/** A node that is up, and a document that it holds. */
async function held(): Promise<{ node: number; path: string; cid: string }> {
  for (const path of paths.toReversed()) {
    const { holders, cid } = await where(3, path);
    const holder = holders.find(({ self, placed, reachable, confirmed }) => {
      return !self && placed && reachable && confirmed;
    });
    if (holder !== undefined) return { node: Number(holder.name!.slice(4)), path, cid };
  }
  throw new Error('nobody holds anything');
}

test('W27: an object that has rotted is found, set aside and fetched again', async () => {
  const { node, cid } = await held();
  const { home } = cluster.node(node);
  const bytes = storedBytes(home, cid);
  flipBit(home, cid);
  const begun = await cluster.json<Result<'kb.scrub'>>(node, 'kb', 'scrub', '--now');
  expect(begun.hurried).toBe(true);
  await cluster.until(
    () => storedBytes(home, cid),
    (found) => found?.equals(bytes!) === true,
    'the object is sound again',
  );
  expect(setAside(home, cid)).toBe(1);
  const done = await cluster.until(
    () => clientOf(cluster, node).call('kb.scrub', { body: {} }),
    ({ hurried }) => !hurried,
    'all has been looked at',
  );
  expect(done).toMatchObject({ lastDamaged: 1, startedAt: null });
});

test('W22: a copy that is not there cannot be proved, and comes back', async () => {
  const { node, path, cid } = await held();
  const { home } = cluster.node(node);
  const db = new DatabaseSync(cluster.home(node).contentDb, { timeout: 5000 });
  db.prepare('DELETE FROM objects WHERE key = ?').run(CID.parse(cid).multihash.bytes);
  db.close();
  // An audit draws one object of several: it is repeated until it has drawn that one.
  await eventually(
    () => repair(path, node),
    ({ unproved }) => unproved.some(({ name }) => name === `node${node}`),
    'the holder could not prove its copy',
    MINUTE,
  );
  await cluster.until(
    () => storedBytes(home, cid),
    (found) => found !== undefined,
    'the object is there again',
  );
  await cluster.until(() => status(other(node)), isWell, 'the copy counts again');
});

const other = (node: number): number => (node === 4 ? 5 : 4);

/** By all others that hold it: each has its own word for what a holder has confirmed. */
async function repair(path: string, without: number): Promise<Result<'kb.repair'>> {
  const { holders } = await where(3, path);
  const replies = await Promise.all(
    holders
      .filter(({ placed, reachable, name }) => {
        return placed && reachable && name !== `node${without}`;
      })
      .map(({ name }) => {
        const client = clientOf(cluster, Number(name!.slice(4)), MINUTE);
        return client.call('kb.repair', { body: { path } });
      }),
  );
  return { ...replies[0]!, unproved: replies.flatMap(({ unproved }) => unproved) };
}

test('W26: a drain ends when all that is there has its copies on others', async () => {
  const run = await cluster.run(4, 'node', 'drain', '--timeout', '2m');
  expect(run.exit, run.stderr).toBe(0);
  await untilCopied(3, 30 * SECOND, ['node4']);
  const { draining } = await status(3);
  expect(draining.map(({ name }) => name)).toEqual(['node4']);
  // It is a source still.
  const got = await cluster.run(4, 'kb', 'get', 'small-0', '-o', '-');
  expect(got.stdout.length, got.stderr).toBe(KIB);
  const undone = await cluster.run(4, 'node', 'drain', '--undo');
  expect(undone.exit, undone.stderr).toBe(0);
  await cluster.until(
    async () => (await status(3)).draining,
    (nodes) => nodes.length === 0,
    'the others place documents there again',
  );
});
