/**
 * Goal: keys change hands while everybody works, and nobody but their owner notices.
 * Setup: four daemons; clients that swap and read through all of them; each node in turn changes
 * its network key, its consensus key, identity and onion key, and then all at once.
 * Check: one chain, the history linearizable, no evidence, no view that failed for want of a key,
 * the same node ids, everybody connected; what was written before is read and proved after, and
 * each node starts again with what is in its home.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Result } from '../../src/core/api/contract/endpoints.ts';
import { linearizable } from '../../src/core/sim/linearizability.ts';
import { expectKept, expectLiveness, expectOneChain, expectPeace } from './support/agreement.ts';
import { clientOf, putFinal, readLinearizable } from './support/api.ts';
import { Cluster } from './support/cluster.ts';
import { rotate } from './support/rotate.ts';
import { pathModel, Workload } from './support/workload.ts';

const SEED = Number(process.env['AEGIS_SEED'] ?? 20_261_121);
const TIMEOUT_MS = 300_000;
const NODES = [1, 2, 3, 4];
const STEPS = [
  ['network'],
  ['consensus'],
  ['identity', 'onion'],
  ['identity', 'network', 'consensus', 'onion'],
] as const;

const ROLES = ['identityKey', 'networkKey', 'consensusKey', 'vrfKey', 'onionKey'] as const;

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ size: 4 });
}, TIMEOUT_MS);
afterAll(() => cluster.stop());

const keysOf = (node: number) => clientOf(cluster, node).call('keys.status');

/** In how many views each block from a height on was decided, beside the first. */
async function laterViews(from: number, upTo: number): Promise<number[]> {
  const views: number[] = [];
  for (let page: number | null = upTo; page !== null && page >= from; ) {
    const query: { from: number; limit: number } = { from: page, limit: 200 };
    const found: Result<'consensus.blocks'> = await clientOf(cluster, 1).call('consensus.blocks', {
      query,
    });
    for (const { height, view } of found.blocks) if (height >= from && view > 0) views.push(view);
    page = found.next;
  }
  return views;
}

describe('all keys of all custodians, one after another, under load', () => {
  const before: Result<'keys.status'>[] = [];
  let workload: Workload;
  let height = 0;

  test('change', { timeout: TIMEOUT_MS }, async () => {
    for (const node of NODES) {
      before.push(await keysOf(node));
      await putFinal(cluster, node, `before/${node}`, `written by ${node}`);
    }
    workload = new Workload(cluster, SEED);
    try {
      for (const node of NODES) {
        for (const roles of STEPS) {
          const done = await rotate(cluster, node, roles);
          expect(done.replaced, `node ${node}`).toEqual([...roles]);
          expect(done.from).toBe(done.height + 1);
        }
        await clientOf(cluster, node).call('keys.session');
      }
      await cluster.connected();
      await workload.end();
    } catch (error) {
      throw new Error(cluster.lastWords(), { cause: error });
    } finally {
      await workload.end().catch(() => {});
    }
  });

  test('nothing forks, fails or is lost', { timeout: TIMEOUT_MS }, async () => {
    await workload.readAll();
    height = await expectLiveness(cluster);
    await expectOneChain(cluster, height);
    await expectKept(cluster, workload.reported);
    await expectPeace(cluster);
    expect(linearizable(pathModel, workload.history), 'the history is linearizable').toBe(true);
    expect(workload.reported.length).toBeGreaterThan(20);
  });

  test('no height waits for more than the turn of one leader', async () => {
    const views = await laterViews(1, height);
    expect(views.filter((view) => view > 1)).toEqual([]);
    // A rotation may cost its own node one proposal; nobody else's.
    expect(views.length).toBeLessThanOrEqual(NODES.length * STEPS.length);
  });

  test('node ids stay, keys do not', async () => {
    for (const [n, old] of before.entries()) {
      const now = await keysOf(n + 1);
      expect(now.nodeId).toBe(old.nodeId);
      expect(now).toMatchObject({
        number: STEPS.length,
        keyEpoch: 2,
        frozen: false,
        pending: null,
      });
      expect(now).toMatchObject({ missing: [], restored: false });
      for (const role of ROLES) expect(now[role], role).not.toBe(old[role]);
      // O18: of the last two rotations, the one in between.
      expect(now.retiredOnionKey).not.toBeNull();
      expect([old.onionKey, now.onionKey]).not.toContain(now.retiredOnionKey?.key);
    }
  });

  test('everybody knows the keys of everybody', async () => {
    const views = await Promise.all(
      NODES.map(async (node) => {
        const { members } = await clientOf(cluster, node).call('cluster.members', {});
        return members.map(({ nodeId, number, keyEpoch, peerId, consensusKey }) => {
          return { nodeId, number, keyEpoch, peerId, consensusKey };
        });
      }),
    );
    for (const view of views) expect(view).toEqual(views[0]);
    for (const node of NODES) {
      const { session } = await keysOf(node);
      expect(session?.peers, `sessions that node ${node} knows`).toBe(NODES.length - 1);
    }
  });

  test('what was written with the first keys is still read, everywhere', async () => {
    for (const writer of NODES) {
      for (const reader of NODES) {
        const { text } = await readLinearizable(cluster, reader, `before/${writer}`);
        expect(text).toBe(`written by ${writer}`);
      }
    }
  });

  test('a change that a lost quorum and a kill -9 cut comes to its end', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const known = await keysOf(1);
    await putFinal(cluster, 1, 'cut', 'before');
    for (const node of ['3', '4']) await cluster.devnet.pause(node);
    const cut = rotate(cluster, 1, ['identity', 'network'], { timeoutMs: 3000 });
    await expect(cut).rejects.toMatchObject({ code: 'NOT_FINAL' });
    // What is signed now would count for nobody, or only perhaps.
    const held = { code: 'TRY_AGAIN' };
    await expect(putFinal(cluster, 1, 'cut', 'held', { timeoutMs: 500 })).rejects.toMatchObject(
      held,
    );
    await cluster.devnet.kill('1');
    await cluster.devnet.resume('1');
    expect(await keysOf(1)).toMatchObject({
      ...{ digest: known.digest, versions: known.versions + 1, pending: { state: 'submitted' } },
    });
    await expect(putFinal(cluster, 1, 'cut', 'held', { timeoutMs: 500 })).rejects.toMatchObject(
      held,
    );
    for (const node of ['3', '4']) await cluster.devnet.resume(node);
    const now = await cluster.until(
      () => keysOf(1),
      ({ pending }) => pending === null,
      'the rotation is final',
    );
    expect(now).toMatchObject({ number: known.number + 1, keyEpoch: known.keyEpoch + 1 });
    await cluster.connected();
    await putFinal(cluster, 1, 'cut', 'after');
    for (const node of NODES) {
      expect((await readLinearizable(cluster, node, 'cut')).text).toBe('after');
      const { versions } = await clientOf(cluster, node).call('kb.log', { query: { path: 'cut' } });
      expect(versions.length).toBe(2);
    }
  });

  test('each node starts again with its new keys', { timeout: TIMEOUT_MS }, async () => {
    for (const node of NODES) {
      const known = await keysOf(node);
      expect((await cluster.run(node, 'node', 'stop')).exit).toBe(0);
      const started = await cluster.start(node);
      expect(started.exit, started.stderr).toBe(0);
      await cluster.connected();
      const now = await keysOf(node);
      expect(now).toMatchObject({ digest: known.digest, number: known.number, missing: [] });
      await putFinal(cluster, node, `after/${node}`, `written by ${node}`);
    }
    await expectOneChain(cluster, await expectLiveness(cluster));
    await expectPeace(cluster);
  });
});
