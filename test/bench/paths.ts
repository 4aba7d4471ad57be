/**
 * What a path costs where there are many: put, get, log and find among 1,000 paths and among
 * 1,000,000 (or `AEGIS_BENCH_PATHS`), in one daemon that is custodian alone, so that all of it lies
 * there; and what memory it takes with them, and to start again.
 */
import { packTar } from '../../src/core/api/tar.ts';
import { type BenchCluster, type BenchNode, withCluster } from './cluster.ts';
import type { Figure } from './figures.ts';
import { pause, residentMib } from './processes.ts';

const FEW = 1000;
const MANY = Number(process.env['AEGIS_BENCH_PATHS'] ?? 1_000_000);
const BATCH = 20_000;
const BATCH_MS = 600_000;
const SAMPLES = 200;
const IDLE_MS = 10_000;
const DIRECTORIES = 1000;

const pathOf = (i: number): string => `base/${i % DIRECTORIES}/document ${i}.txt`;
const textOf = (i: number): string => `Document ${i}, about subject${i % 5000} and others.\n`;

type Actions = Readonly<Record<'put' | 'get' | 'log' | 'find', (serial: number) => Promise<void>>>;

export async function paths(): Promise<Figure[]> {
  return await withCluster({ size: 1 }, async (cluster) => {
    const node = cluster.nodes[0]!;
    await fill(node, 0, FEW);
    const few = await measure(node, FEW);
    const from = performance.now();
    await fill(node, FEW, MANY);
    const rate = (MANY - FEW) / ((performance.now() - from) / 1000);
    const many = await measure(node, MANY);
    const figures = (Object.keys(few) as (keyof Actions)[]).flatMap((name): Figure[] => [
      {
        name: `${name} among ${MANY} paths / among ${FEW}`,
        unit: 'x',
        // Medians: one sample of either says nothing of the other.
        samples: [middle(many[name]) / middle(few[name])],
        goal: { most: 2 },
      },
      { name: `  ${name} among ${FEW} paths`, unit: 'ms', samples: few[name] },
      { name: `  ${name} among ${MANY} paths`, unit: 'ms', samples: many[name] },
    ]);
    return [
      ...figures,
      { name: '  paths imported', unit: '1/s', samples: [rate] },
      ...(await memory(cluster, node)),
    ];
  });
}

async function memory(cluster: BenchCluster, node: BenchNode): Promise<Figure[]> {
  await pause(IDLE_MS);
  const before = residentMib(node.pid);
  await node.client.call('node.stop').catch(() => {});
  await pause(IDLE_MS);
  const from = performance.now();
  await cluster.start(node);
  const startMs = performance.now() - from;
  await pause(IDLE_MS);
  const goal = { most: 300 };
  return [
    { name: `resident with ${MANY} paths, after import`, unit: 'MiB', samples: [before], goal },
    {
      name: `resident with ${MANY} paths, after a restart`,
      unit: 'MiB',
      samples: [residentMib(node.pid)],
      goal,
    },
    { name: '  start', unit: 'ms', samples: [startMs] },
  ];
}

async function fill({ client }: BenchNode, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += BATCH) {
    const end = Math.min(to, at + BATCH);
    const entries = (async function* () {
      for (let i = at; i < end; i += 1) {
        const bytes = Buffer.from(textOf(i));
        const content = (async function* () {
          yield bytes;
        })();
        yield { path: pathOf(i), kind: 'file', sizeBytes: bytes.length, bytes: content } as const;
      }
    })();
    const source = { kind: 'directory', bytes: packTar(entries) } as const;
    await client.putEach({ timeoutMs: BATCH_MS, wait: 'final' }, source);
    console.error(`  ${end} paths`);
  }
}

async function measure(node: BenchNode, count: number): Promise<Record<keyof Actions, number[]>> {
  const actions = actionsOf(node, count);
  const samples: Record<keyof Actions, number[]> = { put: [], get: [], log: [], find: [] };
  // By turns, so that what else the machine does meets all of them.
  for (let serial = 0; serial < SAMPLES; serial += 1) {
    for (const name of Object.keys(samples) as (keyof Actions)[]) {
      const from = performance.now();
      await actions[name](serial);
      samples[name].push(performance.now() - from);
    }
  }
  return samples;
}

function actionsOf({ client }: BenchNode, count: number): Actions {
  const any = (serial: number): number => (serial * 7919 + 13) % count;
  return {
    async put(serial) {
      const bytes = Buffer.from(`new ${count} ${serial}`);
      const content = (async function* () {
        yield bytes;
      })();
      const path = `new/${count}/${serial}`;
      await client.put({ path, wait: 'final', replicas: 1 }, { kind: 'file', bytes: content });
    },
    async get(serial) {
      const content = await client.content({ path: pathOf(any(serial)) });
      for await (const _ of content.bytes);
    },
    async log(serial) {
      await client.call('kb.log', { query: { path: pathOf(any(serial)) } });
    },
    async find(serial) {
      await client.call('kb.find', { query: { query: `document ${any(serial)}`, local: true } });
    },
  };
}

const middle = (samples: readonly number[]): number =>
  samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)]!;
