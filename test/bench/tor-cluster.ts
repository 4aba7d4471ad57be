/**
 * Four daemons as onion services in a private Tor network: how long a decision takes, how soon a
 * node that was away has what it missed, and how soon one that is banned is cut off.
 */
import { randomBytes } from 'node:crypto';
import { hasCode } from '../../src/core/errors.ts';
import { versionCidOf } from '../../src/core/model/version.ts';
import { type BenchCluster, type BenchNode, withCluster } from './cluster.ts';
import type { Figure } from './figures.ts';
import { residentMib, until } from './processes.ts';
import { share, withTor } from './tor-network.ts';

const DECISIONS = share(300);
const VERSIONS = share(1000);
const RUNS = share(10);
const CUTS = share(20);
/** A daemon takes 32 bodies at a time by default. */
const PUTS_AT_ONCE = 30;
/** And answers 64 requests at a time. */
const READS_AT_ONCE = 60;
const WAIT_MS = 120_000;

export const behindTor = (): Promise<Figure[]> =>
  withTor(({ torrc }) =>
    withCluster({ size: 4, storageWeights: [100, 100, 100, 0], torrc }, async (cluster) => {
      const figures = await finality(cluster);
      figures.push(...(await cut(cluster)));
      figures.push(...(await catchUp(cluster)));
      const resident = cluster.nodes.map(({ pid }) => residentMib(pid));
      return [...figures, { name: '  resident, a daemon', unit: 'MiB', samples: resident }];
    }),
  );

let made = 0;

/** One after the other, at one node after the other: nothing else is going on. */
async function finality({ nodes }: BenchCluster): Promise<Figure[]> {
  const samples: number[] = [];
  for (let round = 0; round < DECISIONS; round += 1) {
    made += 1;
    const version = versionCidOf(randomBytes(16)).toString();
    const intents = [{ changes: [{ path: `bench/${made}`, version }] }];
    const { client } = nodes[round % nodes.length]!;
    const from = performance.now();
    const timeoutMs = WAIT_MS;
    await client.call('intents.submit', { body: { intents, wait: 'final', timeoutMs } });
    samples.push(performance.now() - from);
  }
  return [{ name: '4 custodians behind Tor, one intent, final', unit: 'ms', samples, of: 'p95' }];
}

/** Node 1 bans node 4, until node 4 itself sees that its connection is gone. */
async function cut({ nodes }: BenchCluster): Promise<Figure[]> {
  const [judge, banned] = [nodes[0]!, nodes[3]!];
  const samples: number[] = [];
  const isConnected = async (): Promise<boolean> => {
    const { peer } = await banned.client.call('peers.show', { params: { id: judge.nodeId } });
    return peer.state === 'connected';
  };
  for (let round = 0; round < CUTS; round += 1) {
    const from = performance.now();
    const params = { id: banned.nodeId };
    await judge.client.call('peers.ban', { params });
    const gone = async () => ((await isConnected()) ? undefined : true);
    await until('the cut', gone, WAIT_MS);
    samples.push(performance.now() - from);
    await judge.client.call('peers.unban', { params });
    const back = async () => ((await isConnected()) ? true : undefined);
    await until('the banned node is back', back, WAIT_MS);
  }
  const name = 'a member is banned until it is cut off, seen from there';
  return [{ name, unit: 'ms', samples, of: 'p95', goal: { most: 5000 } }];
}

/**
 * Node 4 keeps nothing for others. It is killed, the others decide on new versions, and it starts
 * again: its Tor has forgotten every descriptor, so all of its dials are cold.
 */
async function catchUp({ nodes, start }: BenchCluster): Promise<Figure[]> {
  const [writer, reader] = [nodes[0]!, nodes[3]!];
  const fromReady: number[] = [];
  const fromConnected: number[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    process.kill(reader.pid, 'SIGKILL');
    const paths = Array.from({ length: VERSIONS }, (_, i) => `sync/${run}/${i}`);
    await all(paths, PUTS_AT_ONCE, (path) => put(writer, path));
    await start(reader);
    const readyAt = performance.now();
    await until('a connection', () => hasPeer(reader), WAIT_MS);
    const connectedAt = performance.now();
    await knowsAll(reader, `sync/${run}/`);
    await all(paths, READS_AT_ONCE, (path) => read(reader, path));
    const now = performance.now();
    fromReady.push(now - readyAt);
    fromConnected.push(now - connectedAt);
  }
  const name = `${VERSIONS} versions with their objects, after a cold dial`;
  return [
    { name, unit: 'ms', samples: fromReady, of: 'p95', goal: { most: 10_000 } },
    { name: '  from the first connection', unit: 'ms', samples: fromConnected, of: 'p95' },
  ];
}

async function hasPeer({ client }: BenchNode): Promise<true | undefined> {
  const { peers } = await client.call('node.status');
  return peers.connected > 0 ? true : undefined;
}

async function put({ client }: BenchNode, path: string): Promise<void> {
  async function* bytes() {
    yield randomBytes(256);
  }
  const query = { path, wait: 'final', replicas: 1, timeoutMs: WAIT_MS } as const;
  await client.put(query, { kind: 'file', bytes: bytes() });
}

/** Who holds it may not be connected yet: the user asks again. */
async function read({ client }: BenchNode, path: string): Promise<void> {
  const { bytes } = await until(path, () => contentOf(client, path), WAIT_MS);
  let size = 0;
  for await (const chunk of bytes) size += chunk.length;
  if (size !== 256) throw new Error(`${path} has ${size} bytes`);
}

async function contentOf(client: BenchNode['client'], path: string) {
  try {
    return await client.content({ path, timeoutMs: WAIT_MS });
  } catch (error) {
    if (hasCode(error, 'NOT_REACHABLE')) return undefined;
    throw error;
  }
}

async function knowsAll({ client }: BenchNode, prefix: string): Promise<void> {
  const look = async (): Promise<true | undefined> => {
    const query = { prefix, recursive: true, limit: VERSIONS };
    const { entries } = await client.call('kb.ls', { query });
    return entries.length === VERSIONS ? true : undefined;
  };
  await until(`${VERSIONS} versions`, look, WAIT_MS);
}

async function all<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
