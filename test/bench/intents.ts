/**
 * Intents through the API of real daemons: how many a second become final, how long one takes in a
 * cluster that has nothing else to do, and how soon the cluster goes on when its leader is killed.
 * Each intent is signed by its daemon and verified by every custodian; all votes are durable.
 */
import { randomBytes } from 'node:crypto';
import { versionCidOf } from '../../src/core/model/version.ts';
import { type BenchCluster, type BenchNode, withCluster } from './cluster.ts';
import type { Figure } from './figures.ts';
import { cpuMsOf, pause, until } from './processes.ts';

const WARM_UP_MS = 4000;
const MEASURED_MS = 15_000;
const SINGLE_ROUNDS = 100;
const KILLS = 100;
/** Requests that each daemon has open at once, and intents a request. */
const LOAD = { requests: 3, intents: 50 } as const;
/** The same with one signature for many changes. */
const BATCHED = { requests: 3, intents: 5, changes: 100 } as const;

let made = 0;

/** Moves of new refs to versions that nobody has: the chain decides about names, not content. */
const submission = (changes: number) => ({
  changes: Array.from({ length: changes }, () => {
    made += 1;
    return { path: `bench/${made}`, version: versionCidOf(randomBytes(16)).toString() };
  }),
});

export async function intents(): Promise<Figure[]> {
  return await withCluster({ size: 4 }, async ({ nodes }) => {
    const each = await load(nodes, { ...LOAD, changes: 1 });
    await settled(nodes);
    const batched = await load(nodes, BATCHED);
    await settled(nodes);
    const single = await singles(nodes);
    return [
      {
        name: '4 custodians, one signature an intent, final',
        unit: 'intents/s',
        samples: [each.perSecond],
        goal: { least: 2000 },
      },
      {
        name: '  from request to final',
        unit: 'ms',
        samples: each.latenciesMs,
        of: 'p95',
        goal: { most: 500 },
      },
      processor('1,000 intents', each),
      {
        name: '4 custodians, one signature for 100 changes, final',
        unit: 'changes/s',
        samples: [batched.perSecond],
      },
      { name: '  from request to final', unit: 'ms', samples: batched.latenciesMs },
      processor('1,000 changes', batched),
      {
        name: 'one intent in an idle cluster, final',
        unit: 'ms',
        samples: single,
        goal: { most: 40 },
      },
    ];
  });
}

interface Load {
  readonly perSecond: number;
  readonly latenciesMs: readonly number[];
  /** Of all daemons together. */
  readonly cpuMsPerThousand: number;
}

/** Every request waits until all that it carries is final; all its intents count as that late. */
async function load(
  nodes: readonly BenchNode[],
  shape: { requests: number; intents: number; changes: number },
): Promise<Load> {
  const from = performance.now() + WARM_UP_MS;
  const end = from + MEASURED_MS;
  const latenciesMs: number[] = [];
  let decided = 0;
  const usage = (): number => nodes.reduce((sum, { pid }) => sum + cpuMsOf(pid), 0);
  const worker = async ({ client }: BenchNode): Promise<void> => {
    while (performance.now() < end) {
      const body = {
        intents: Array.from({ length: shape.intents }, () => submission(shape.changes)),
      };
      const sentAt = performance.now();
      const reply = await client.call('intents.submit', { body: { ...body, wait: 'final' } });
      const now = performance.now();
      if (!reply.intents.every(({ result }) => result === 'done')) {
        throw new Error(`an intent is not done: ${JSON.stringify(reply.intents[0])}`);
      }
      if (now >= from && now < end) decided += shape.intents * shape.changes;
      if (sentAt < from) continue;
      for (let i = 0; i < shape.intents; i += 1) latenciesMs.push(now - sentAt);
    }
  };
  const workers = nodes.flatMap((node) =>
    Array.from({ length: shape.requests }, () => worker(node)),
  );
  const measured = async (): Promise<number> => {
    await pause(WARM_UP_MS);
    const before = usage();
    await pause(MEASURED_MS);
    return usage() - before;
  };
  const [cpuMs] = await Promise.all([measured(), ...workers]);
  const perSecond = decided / (MEASURED_MS / 1000);
  return { perSecond, latenciesMs, cpuMsPerThousand: (cpuMs / decided) * 1000 };
}

/** What does not depend on what else runs on the machine as much as time does. */
const processor = (what: string, { cpuMsPerThousand }: Load): Figure => ({
  name: `  processor, 4 daemons, of ${what}`,
  unit: 'ms',
  samples: [cpuMsPerThousand],
});

async function singles(nodes: readonly BenchNode[]): Promise<number[]> {
  const samples: number[] = [];
  for (let round = 0; round < SINGLE_ROUNDS; round += 1) {
    const { client } = nodes[round % nodes.length]!;
    const sentAt = performance.now();
    await client.call('intents.submit', { body: { intents: [submission(1)], wait: 'final' } });
    samples.push(performance.now() - sentAt);
    await pause(20);
  }
  return samples;
}

/** From the `kill -9` of the leader of the next height until a block is final without it. */
export async function failover(): Promise<Figure[]> {
  return await withCluster({ size: 4 }, async (cluster) => {
    const samples: number[] = [];
    for (let round = 0; round < KILLS; round += 1) samples.push(await killLeader(cluster));
    return [
      {
        name: 'leader killed, next block final',
        unit: 'ms',
        samples,
        of: 'p95',
        goal: { most: 1500 },
      },
    ];
  });
}

async function killLeader({ nodes, restart }: BenchCluster): Promise<number> {
  await settled(nodes);
  const { leader } = await nodes[0]!.client.call('consensus.status');
  const victim = nodes.find(({ nodeId }) => nodeId === leader?.nodeId);
  if (victim === undefined) throw new Error('nobody leads the next height');
  const witness = nodes.find((node) => node !== victim)!;
  const killedAt = performance.now();
  process.kill(victim.pid, 'SIGKILL');
  await witness.client.call('intents.submit', {
    body: { intents: [submission(1)], wait: 'final' },
  });
  const tookMs = performance.now() - killedAt;
  await restart(victim);
  return tookMs;
}

/** All nodes stand at one height, connected, and nothing waits. */
async function settled(nodes: readonly BenchNode[]): Promise<void> {
  await until('one height everywhere', async () => {
    const all = await Promise.all(nodes.map(({ client }) => client.call('consensus.status')));
    const calm = all.every(
      ({ height, mempool, connected }) =>
        height === all[0]!.height && mempool.intents === 0 && connected === nodes.length,
    );
    return calm ? true : undefined;
  });
}
