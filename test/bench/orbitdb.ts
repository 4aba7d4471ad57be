/**
 * Small writes, side by side with OrbitDB in one run: three nodes that all keep everything, a write
 * counts once all three have it on their disks (aegis: `--wait replicated --replicas 3`; OrbitDB
 * tells nobody, so its peers tell the bench, and its LevelDB is made to sync). What the custodians
 * decide comes on top in aegis and is shown apart; OrbitDB has nothing like it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type BenchNode, withCluster, withDirectory } from './cluster.ts';
import { type Figure, median } from './figures.ts';
import { pause } from './processes.ts';

const NODES = 3;
const ROUNDS = 3;
const ALONE = 100;
const TOGETHER = 512;
const IN_FLIGHT = 64;
const VALUE_CHARS = 250;
/** Peers find each other's interest in a topic by heartbeats of a second. */
const SETTLE_MS = 3000;
const LOST_MS = 30_000;

const HERE = join(import.meta.dirname, 'orbitdb');

/** One write, durable on all nodes when it resolves. */
type Write = (key: string, value: string) => Promise<unknown>;

interface Round {
  /** Milliseconds of each write. */
  readonly alone: readonly number[];
  readonly aloneRate: number;
  readonly togetherRate: number;
}

export async function orbitdb(): Promise<Figure[]> {
  if (!existsSync(join(HERE, 'node_modules'))) {
    throw new Error('first: npm ci --ignore-scripts --prefix test/bench/orbitdb');
  }
  return await withCluster({ size: NODES }, async ({ nodes: [node] }) =>
    withDirectory(async (dir) => {
      const { write, stop } = await startPeers(dir);
      try {
        return await compare(node!, write);
      } finally {
        stop();
      }
    }),
  );
}

async function compare(node: BenchNode, orbit: Write): Promise<Figure[]> {
  const ours: Round[] = [];
  const theirs: Round[] = [];
  // The first round warms up both and is not counted.
  for (let round = 0; round <= ROUNDS; round += 1) {
    const a = await measure(writer(node, 'replicated'), `a${round}`);
    const b = await measure(orbit, `b${round}`);
    if (round === 0) continue;
    ours.push(a);
    theirs.push(b);
  }
  const final = await each(writer(node, 'final'), 'final', ALONE);
  const ratio = (of: (round: Round) => number) =>
    ours.map((round, i) => of(round) / of(theirs[i]!));
  return [
    {
      name: 'writes a second / OrbitDB, one at a time',
      unit: 'x',
      samples: ratio(({ aloneRate }) => aloneRate),
      goal: { least: 10 },
    },
    {
      name: `writes a second / OrbitDB, ${IN_FLIGHT} in flight`,
      unit: 'x',
      samples: ratio(({ togetherRate }) => togetherRate),
      goal: { least: 10 },
    },
    ...figuresOf('aegis', ours),
    ...figuresOf('OrbitDB', theirs),
    { name: '  aegis, final by the custodians', unit: 'ms', samples: final },
  ];
}

const figuresOf = (name: string, rounds: readonly Round[]): Figure[] => [
  { name: `  ${name}, one at a time`, unit: 'ms', samples: rounds.flatMap(({ alone }) => alone) },
  {
    name: `  ${name}, one at a time`,
    unit: '1/s',
    samples: rounds.map(({ aloneRate }) => aloneRate),
  },
  {
    name: `  ${name}, ${IN_FLIGHT} in flight`,
    unit: '1/s',
    samples: rounds.map(({ togetherRate }) => togetherRate),
  },
];

async function measure(write: Write, prefix: string): Promise<Round> {
  const alone = await each(write, `${prefix}-alone`, ALONE);
  const from = performance.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < TOGETHER) {
      next += 1;
      await write(`${prefix}-${next}`, valueOf(prefix, next));
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  const togetherRate = TOGETHER / ((performance.now() - from) / 1000);
  return { alone, aloneRate: 1000 / median(alone), togetherRate };
}

async function each(write: Write, prefix: string, count: number): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < count; i += 1) {
    const from = performance.now();
    await write(`${prefix}-${i}`, valueOf(prefix, i));
    samples.push(performance.now() - from);
  }
  return samples;
}

const valueOf = (prefix: string, i: number): string =>
  `${prefix} ${i} ${performance.now()} `.padEnd(VALUE_CHARS, 'x');

const writer =
  ({ client }: BenchNode, wait: 'replicated' | 'final'): Write =>
  async (path, value) => {
    const bytes = Buffer.from(value);
    const source = {
      kind: 'file',
      bytes: (async function* () {
        yield bytes;
      })(),
      sizeBytes: bytes.length,
    } as const;
    const query = wait === 'final' ? { path, wait } : { path, wait, replicas: NODES };
    await client.put(query, source);
  };

interface Peer {
  readonly child: ChildProcess;
  readonly address: string;
  ask(action: string, args?: Readonly<Record<string, unknown>>): Promise<string>;
  /** Resolves when the entry is written there. */
  has(hash: string): Promise<void>;
}

async function startPeers(dir: string): Promise<{ write: Write; stop(): void }> {
  const peers: Peer[] = [];
  const stop = (): void => {
    for (const { child } of peers) child.kill();
  };
  try {
    for (let n = 0; n < NODES; n += 1) peers.push(await startPeer(join(dir, `orbit-${n}`)));
    const [first, ...others] = peers as [Peer, ...Peer[]];
    for (const [n, { ask }] of others.entries()) {
      for (const { address } of [first, ...others.slice(0, n)]) await ask('dial', { address });
    }
    const address = await first.ask('create');
    for (const { ask } of others) await ask('join', { address });
    await pause(SETTLE_MS);
    const write: Write = async (key, value) => {
      const hash = await first.ask('put', { key, value });
      await Promise.all(others.map((peer) => peer.has(hash)));
    };
    return { write, stop };
  } catch (error) {
    stop();
    throw error;
  }
}

async function startPeer(dir: string): Promise<Peer> {
  const child = fork(join(HERE, 'peer.js'), [dir, '--sync'], { stdio: 'inherit' });
  const answers = new Map<number, (message: Message) => void>();
  const seen = new Set<string>();
  const waiting = new Map<string, () => void>();
  const ready = Promise.withResolvers<string>();
  child.once('exit', () => ready.reject(new Error('an OrbitDB peer ended')));
  child.on('message', (message: Message) => {
    if (message.type === 'ready') ready.resolve(message.address!);
    else if (message.type === 'done') answers.get(message.id!)?.(message);
    else {
      seen.add(message.hash!);
      waiting.get(message.hash!)?.();
    }
  });
  let count = 0;
  return {
    child,
    address: await ready.promise,
    ask: (action, args = {}) =>
      new Promise((resolve, reject) => {
        count += 1;
        const id = count;
        answers.set(id, ({ failure, value }) => {
          answers.delete(id);
          if (failure === undefined) resolve(value ?? '');
          else reject(new Error(`OrbitDB: ${failure}`));
        });
        child.send({ id, action, ...args });
      }),
    has: (hash) =>
      new Promise((resolve, reject) => {
        if (seen.has(hash)) return resolve();
        const timer = setTimeout(() => reject(new Error('OrbitDB has lost an entry')), LOST_MS);
        waiting.set(hash, () => {
          clearTimeout(timer);
          waiting.delete(hash);
          resolve();
        });
      }),
  };
}

interface Message {
  readonly type: 'ready' | 'done' | 'has';
  readonly id?: number;
  readonly address?: string;
  readonly hash?: string;
  readonly value?: string;
  readonly failure?: string;
}
