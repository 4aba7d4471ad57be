/**
 * Goal: a custodian that may have forgotten what it signed, or cannot keep what it signs, does not
 * vote; the others go on, and it comes back by itself.
 * Setup: four daemons. With one of the others down as well, every vote of the rest is needed.
 * Check: what `consensus status --why` says, that nothing becomes final by a vote that must not be,
 * and that the node's vote counts again in the end.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canMount } from '../core/storage/support/child.ts';
import { needs } from '../helpers/needs.ts';
import { expectLiveness, expectOneChain, expectPeace } from './support/agreement.ts';
import { clientOf, putFinal, readLinearizable, statusOf, untilFinal } from './support/api.ts';
import { aegis, Cluster, type Run } from './support/cluster.ts';
import { startOnSmallDisk } from './support/small-disk.ts';
import { copyData, damageTail, takeData } from './support/store.ts';

/** Each case leaves it well, with every node voting. */
let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ size: 4 });
});
afterAll(() => cluster.stop());

/** A path that no case has used. */
let serial = 0;
const fresh = (name: string): string => {
  serial += 1;
  return `${name}/${serial}`;
};

const NODES = [1, 2, 3, 4];
/** The node that things happen to, and the one whose absence makes its vote count. */
const [DOUBTFUL, SPARE] = [4, 3];

const home = (node: number): string[] => ['--home', cluster.node(node).home];
const put = (node: number, path: string, ...args: string[]): Promise<Run> =>
  aegis([...home(node), 'kb', 'put', '-', '--path', path, ...args], { input: Buffer.from(path) });

/** The put is queued, and the custodians that run cannot decide it. */
async function expectStandstill(path: string): Promise<void> {
  const { height } = await statusOf(cluster, 1);
  const run = await put(1, path, '--timeout', '3s');
  expect(run.exit, run.stderr).toBe(75);
  expect((await statusOf(cluster, 1)).height).toBe(height);
}

const expectFinalEverywhere = async (path: string, nodes = NODES): Promise<void> => {
  for (const node of nodes) await untilFinal(cluster, node, path);
};

/** D4: a doubt ends with the height that comes after all that may have been voted on. */
async function untilVoting(node: number): Promise<void> {
  while (!(await statusOf(cluster, node)).isVoting) await putFinal(cluster, 1, fresh('more'), 'x');
}

/** With the spare one down a write is final only by this node's vote. */
async function expectVoteCounts(): Promise<void> {
  await cluster.devnet.kill(String(SPARE));
  const path = fresh('by-its-vote');
  const { height } = await putFinal(cluster, 1, path, 'it votes', { timeoutMs: 60_000 });
  const params = { id: String(height) };
  const block = await clientOf(cluster, 1).call('consensus.block', { params });
  const signers = block.certificate.signers.map(({ name }) => name);
  expect(signers).toContain(cluster.node(DOUBTFUL).name);
  await cluster.devnet.resume(String(SPARE));
}

async function expectWell(): Promise<void> {
  await cluster.connected();
  const height = await expectLiveness(cluster);
  await expectOneChain(cluster, height);
  await expectPeace(cluster);
}

/** Something of every node is in the chain, and a path, which is returned, of two of them. */
async function history(): Promise<string> {
  const path = fresh('shared');
  await putFinal(cluster, DOUBTFUL, path, 'first');
  const { version: ifVersion } = await readLinearizable(cluster, 1, path);
  await putFinal(cluster, 1, path, 'second', { ifVersion });
  for (const node of NODES) await putFinal(cluster, node, fresh(`of-${node}`), `of ${node}`);
  return path;
}

async function expectHistory(path: string): Promise<void> {
  for (const node of NODES) {
    expect(await readLinearizable(cluster, node, path)).toMatchObject({ text: 'second' });
    const log = await clientOf(cluster, node).call('kb.log', { query: { path } });
    expect(log, `log of node ${node}`).toMatchObject({ heads: 1, total: 2 });
  }
}

const data = (): string => cluster.home(DOUBTFUL).data;

async function damage(): Promise<string> {
  const shared = await history();
  await cluster.devnet.kill(String(DOUBTFUL));
  expect(damageTail(data(), 40)).toBeGreaterThan(0);
  return shared;
}

async function restore(): Promise<string> {
  await putFinal(cluster, DOUBTFUL, fresh('before'), 'before the backup');
  await cluster.devnet.kill(String(DOUBTFUL));
  copyData(data(), `${data()}.backup`);
  await cluster.devnet.resume(String(DOUBTFUL));
  const shared = await history();
  await cluster.devnet.kill(String(DOUBTFUL));
  takeData(`${data()}.backup`, data());
  return shared;
}

describe('a node in doubt does not vote until all it may have voted on is final', () => {
  test.each([
    { what: 'the end of its log is damaged', spoil: damage },
    { what: 'its home is an older copy', spoil: restore },
  ])('$what', async ({ spoil }) => {
    const shared = await spoil();
    const queued = fresh('queued');
    await cluster.devnet.kill(String(SPARE));
    await cluster.devnet.resume(String(DOUBTFUL));

    const { nodeId } = cluster.node(DOUBTFUL);
    const status = await statusOf(cluster, DOUBTFUL);
    expect(status).toMatchObject({ isVoting: false, doubt: expect.any(String) });
    const why = await cluster.run(DOUBTFUL, 'consensus', 'status', '--why');
    expect(why.stdout.toString()).toContain('does not vote, it is in doubt');
    await expectStandstill(queued);
    const { votes } = await statusOf(cluster, 1);
    expect([...votes.prepare, ...votes.commit]).not.toContain(nodeId);

    // The others are a quorum without it: what was queued becomes final by itself.
    await cluster.devnet.resume(String(SPARE));
    await expectFinalEverywhere(queued);
    await untilVoting(DOUBTFUL);
    await expectVoteCounts();
    await expectHistory(shared);
    await expectWell();
  });
});

test('more in doubt than may be: one is vouched for, and the other gets over it', async () => {
  const queued = fresh('queued');
  await putFinal(cluster, 1, fresh('before'), 'before the move');
  for (const node of [SPARE, DOUBTFUL]) {
    await cluster.devnet.kill(String(node));
    const { data: stores } = cluster.home(node);
    copyData(stores, `${stores}.moved`);
    takeData(`${stores}.moved`, stores);
    await cluster.devnet.resume(String(node));
    expect((await statusOf(cluster, node)).doubt).toContain('--vouch');
  }
  await cluster.connected();
  await expectStandstill(queued);

  expect((await cluster.run(DOUBTFUL, 'node', 'stop')).exit).toBe(0);
  const unsure = await cluster.start(DOUBTFUL, '--vouch');
  expect(unsure.exit, unsure.stderr).toBe(2);
  const run = await cluster.start(DOUBTFUL, '--vouch', '--yes');
  expect(run.exit, run.stderr).toBe(0);
  expect(await statusOf(cluster, DOUBTFUL)).toMatchObject({ isVoting: true, doubt: null });
  await expectFinalEverywhere(queued);
  await untilVoting(SPARE);
  await expectVoteCounts();
  await expectWell();
});

/** What a daemon logs when a commit fails for want of room. */
const NO_ROOM = 'the disk takes no more facts';

test.skipIf(!needs('unshare', 'a full disk under a custodian') || !canMount())(
  'a node whose disk is full does not vote until there is room',
  async () => {
    expect((await cluster.run(DOUBTFUL, 'node', 'stop')).exit).toBe(0);
    const disk = await startOnSmallDisk(cluster, DOUBTFUL, '96m');
    await cluster.connected();
    // To the node its new disk is a copy of its home.
    await untilVoting(DOUBTFUL);
    disk.fill();
    const hasStopped = () => readFileSync(cluster.home(DOUBTFUL).logFile, 'utf8').includes(NO_ROOM);
    for (let i = 0; !hasStopped(); i += 1) await putFinal(cluster, 1, `full/${i}`, `full ${i}`);
    disk.fill();
    const refused = await put(DOUBTFUL, 'nowhere', '--timeout', '3s');
    expect(refused.exit, refused.stderr).toBe(75);
    await cluster.devnet.kill(String(SPARE));
    const queued = fresh('queued');
    await expectStandstill(queued);

    // Without the spare one the queue moves by this node's vote alone.
    disk.free();
    await expectFinalEverywhere(queued, [1, 2, DOUBTFUL]);
    await cluster.devnet.resume(String(SPARE));
    await expectFinalEverywhere(queued);
    await expectWell();
  },
);
