/**
 * Goal: whatever befalls the processes, disks and connections of a cluster, nobody is ever told two
 * things, nothing that was final is lost, and it goes on when a quorum is there.
 * Setup: four and seven daemons; clients that swap and read through all of them, while a seeded
 * plan of faults runs.
 * Check: one chain, the history linearizable, no evidence, new writes final on all nodes.
 */
import { afterEach, expect, test } from 'vitest';
import { linearizable } from '../../src/core/sim/linearizability.ts';
import { expectKept, expectLiveness, expectOneChain, expectPeace } from './support/agreement.ts';
import { Cluster } from './support/cluster.ts';
import { Prng } from './support/random.ts';
import { Torment } from './support/torment.ts';
import { pathModel, Workload } from './support/workload.ts';

const SEED = Number(process.env['AEGIS_SEED'] ?? 20_261_121);
const ROUNDS = Number(process.env['AEGIS_E2E_ROUNDS'] ?? 8);
const TIMEOUT_MS = 240_000 + ROUNDS * 30_000;

let cluster: Cluster | undefined;
afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
});

test.each([
  { size: 4, rounds: ROUNDS, seed: SEED },
  { size: 7, rounds: Math.ceil(ROUNDS / 3), seed: SEED + 1 },
])(
  '$size nodes, $rounds faults, seed $seed',
  async ({ size, rounds, seed }) => {
    cluster = await Cluster.start({ size });
    const torment = new Torment(cluster, new Prng(seed));
    const workload = new Workload(cluster, seed);
    try {
      for (let round = 0; round < rounds; round += 1) await torment.round();
      await cluster.connected();
      await workload.end();
      await workload.readAll();
      const height = await expectLiveness(cluster);
      await expectOneChain(cluster, height);
      await expectKept(cluster, workload.reported);
      await expectPeace(cluster);
      expect(linearizable(pathModel, workload.history), 'the history is linearizable').toBe(true);
    } catch (error) {
      const plan = torment.journal.join('\n  ');
      const words = cluster.lastWords();
      throw new Error(`seed ${seed}, faults so far:\n  ${plan}\n${words}`, { cause: error });
    } finally {
      await workload.end().catch(() => {});
    }
    expect(workload.reported.length).toBeGreaterThan(rounds);
  },
  TIMEOUT_MS,
);
