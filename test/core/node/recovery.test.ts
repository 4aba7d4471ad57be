/** A home that goes over to another cluster, cut at each step on the disk. */
import { cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TABLES } from '../../../src/core/chain/rows.ts';
import { ensureHome, type HomePaths, resolveHome } from '../../../src/core/config/home.ts';
import { writeFileAtomic } from '../../../src/core/files.ts';
import { createGenesis, openGenesis } from '../../../src/core/model/genesis.ts';
import { createProposal } from '../../../src/core/model/proposals.ts';
import { FINALS_TABLE, finalRow, readFinal } from '../../../src/core/node/finals.ts';
import { findBefore, isSameState, layOrigin, readOrigin } from '../../../src/core/node/recovery.ts';
import type { Log } from '../../../src/core/ports.ts';
import { chainRows } from '../../../src/core/storage/chain-readonly.ts';
import { ChainStore } from '../../../src/core/storage/chain-store.ts';
import { DAY } from '../../../src/core/units.ts';
import { Owner } from '../../helpers/owner.ts';
import { Alone, bundleOf, goOn } from '../chain/support/alone.ts';
import { versionOf } from '../chain/support/fixtures.ts';

const log: Log = { write: () => {}, child: () => log };
const read = (path: string): Promise<Uint8Array> =>
  Promise.resolve(new Uint8Array(readFileSync(path)));

const dirs: string[] = [];
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

function largeProposal({ genesis }: Alone, owner: Owner): Uint8Array {
  const { clusterId, names } = genesis;
  const owners = [owner.nodeId];
  const changes = Array.from({ length: 16 }, (_, at) => {
    return { op: 'namespace' as const, path: `${at}`.padEnd(1000, 'x'), owners, writers: [] };
  });
  const times = { at: 1_000_000, createdAt: 1, expiresAt: 1_000_000 + DAY };
  const { keyEpoch } = owner.state;
  const by = { clusterId, proposer: owner.nodeId, keyEpoch, nonce: new Uint8Array(16) };
  return createProposal({ ...by, changes, ...times }, names, owner.identity).bytes;
}

/** A chain that has decided something, and the home that has it. */
async function setUp() {
  const dir = mkdtempSync(join(tmpdir(), 'aegis-recovery-'));
  dirs.push(dir);
  const paths = resolveHome({ home: join(dir, 'home'), env: {} });
  await ensureHome(paths);
  const owner = new Owner(1);
  const bundles = [bundleOf(owner, 'custodian')];
  const old = new Alone(owner, createGenesis({ name: 'old', createdAt: 1, bundles }));
  for (const version of ['a1', 'a2']) old.write('a', version);
  // A leaf that is larger than that of any path.
  old.handIn(largeProposal(old, owner));
  await writeFileAtomic(paths.genesis, old.bytes);
  const store = await ChainStore.open(paths.chainDb, { log });
  const [first, second] = ['a1', 'a2'].map((name) => versionOf(name).toString()) as [
    string,
    string,
  ];
  await store.commit([
    ...old.rows.values(),
    { table: 'kb/versions', key: first, value: new Uint8Array([1]) },
    { table: 'peers', key: 'p', value: new Uint8Array([2]) },
    { table: FINALS_TABLE, key: first, value: finalRow({ height: 1, result: 'done' }) },
    { table: FINALS_TABLE, key: 'bad', value: finalRow({ height: 2, result: 'refused' }) },
  ]);
  await store.close();
  const bytes = goOn(old, [owner]);
  const genesis = openGenesis(bytes);
  return { dir, paths, owner, old, next: { genesis, bytes }, first, second };
}

type SetUp = Awaited<ReturnType<typeof setUp>>;

async function enter({ paths, old, next }: SetUp): Promise<void> {
  const { clusterId } = old.genesis;
  const before = await findBefore(paths, clusterId, read);
  const origin = readOrigin(before.chainDb!, before.genesis!);
  await layOrigin(paths, { ...next, origin }, before, log);
}

const tableOf = (path: string, table: string) => [...chainRows(path, (room) => room === table)];

function expectJoined({ paths, owner, old, next, first, second }: SetUp): void {
  const { clusterId } = old.genesis;
  expect(new Uint8Array(readFileSync(paths.genesis))).toEqual(next.bytes);
  expect(new Uint8Array(readFileSync(`${paths.genesis}.${clusterId}`))).toEqual(old.bytes);
  expect(existsSync(`${paths.chainDb}.next`)).toBe(false);
  const rows = [...chainRows(paths.chainDb, () => true)];
  const chain = new Alone(owner, next.bytes, rows).chain;
  expect([chain.height, chain.ref('a')]).toEqual([0, old.chain.ref('a')]);
  // The knowledge base and the peers stay; of the chain before nothing is left but its state.
  expect(tableOf(paths.chainDb, 'kb/versions')).toHaveLength(1);
  expect(tableOf(paths.chainDb, 'peers')).toHaveLength(1);
  expect(tableOf(paths.chainDb, TABLES.blocks)).toEqual([]);
  const finals = tableOf(paths.chainDb, FINALS_TABLE);
  expect(new Map(finals.map(({ key, value }) => [key, readFinal(value)]))).toEqual(
    new Map([
      ['bad', { height: 0, result: 'refused' }],
      [first, { height: 0, result: 'done' }],
      [second, { height: 0, result: 'done' }],
    ]),
  );
  // What was there is kept whole.
  const kept = tableOf(`${paths.chainDb}.${clusterId}`, TABLES.chain);
  expect(kept).toHaveLength(old.chain.height);
}

/** What an attempt leaves that ends after so many of its steps on the disk. */
const CUTS: readonly ((paths: HomePaths, id: string, whole: string) => void)[] = [
  (paths, id) => renameSync(paths.genesis, `${paths.genesis}.${id}`),
  (paths, id) => renameSync(`${paths.chainDb}.standing`, `${paths.chainDb}.${id}.standing`),
  (paths, id) => renameSync(paths.chainDb, `${paths.chainDb}.${id}`),
  // The new one, built by another attempt, is half in its place, then whole.
  (paths, _id, whole) => cpSync(`${whole}.standing`, `${paths.chainDb}.standing`),
  (paths, _id, whole) => cpSync(whole, paths.chainDb),
];

describe('a home that joins a recovery', () => {
  let whole = '';
  beforeAll(async () => {
    const done = await setUp();
    // It outlives the first test.
    dirs.splice(0);
    await enter(done);
    whole = done.paths.chainDb;
    return () => rmSync(done.dir, { recursive: true });
  });

  it('has the state of its chain, its knowledge base and its peers', async () => {
    const home = await setUp();
    const origin = readOrigin(home.paths.chainDb, home.old.bytes);
    expect(isSameState(origin.head, home.next.genesis.origin!)).toBe(true);
    await enter(home);
    expectJoined(home);
    const store = await ChainStore.open(home.paths.chainDb, { log });
    // Nothing has been voted in the new cluster.
    expect((await store.standing()).standing).toBe('sound');
    await store.close();
  });

  for (let cut = 1; cut <= CUTS.length; cut += 1) {
    it(`comes to its end when it was cut after step ${cut}`, async () => {
      const home = await setUp();
      const { paths, old } = home;
      for (const step of CUTS.slice(0, cut)) step(paths, old.genesis.clusterId, whole);
      expect(existsSync(paths.genesis)).toBe(false);
      await enter(home);
      expectJoined(home);
    });
  }

  it('is left alone when the state is not the genesis’s, or the cluster another', async () => {
    const home = await setUp();
    const { paths, old, next } = home;
    const before = await findBefore(paths, old.genesis.clusterId, read);
    const origin = readOrigin(before.chainDb!, before.genesis!);
    const rows = origin.rows.filter(({ table }) => table !== TABLES.state);
    const lie = { ...next, origin: { ...origin, rows } };
    await expect(layOrigin(paths, lie, before, log)).rejects.toThrow(/does not go on/);
    expect(new Uint8Array(readFileSync(paths.genesis))).toEqual(old.bytes);
    const other = findBefore(paths, next.genesis.clusterId, read);
    await expect(other).rejects.toThrow(/another cluster already/);
  });
});
