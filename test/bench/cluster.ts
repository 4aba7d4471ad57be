/** Real daemons for the bench, in a directory that goes away. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VERSION } from '../../src/cli/version.ts';
import { Client } from '../../src/core/api/client/client.ts';
import { resolveHome } from '../../src/core/config/home.ts';
import { Devnet } from '../../src/core/node/devnet.ts';
import { BIN, until } from './processes.ts';

export interface BenchNode {
  readonly name: string;
  readonly nodeId: string;
  readonly home: string;
  /** Of the present daemon: another one after a restart. */
  pid: number;
  /** So is this: a daemon writes new tokens when it starts. */
  client: Client;
}

export interface ClusterOptions {
  readonly size: number;
  /** Share of the replicas, node by node. */
  readonly storageWeights?: readonly number[];
  /** Onion services in the Tor network of this torrc. @default on loopback */
  readonly torrc?: string;
}

/** Behind Tor all that is waited for takes longer. */
const ONION_WAIT_MS = 120_000;

export interface BenchCluster {
  readonly dir: string;
  readonly passphraseFile: string;
  readonly nodes: readonly BenchNode[];
  /** From each start of a daemon to its READY, one after the other. */
  readonly startMs: readonly number[];
  /** Starts the daemon of a node again that has been killed; resolves when it is ready. */
  start(node: BenchNode): Promise<void>;
  /** The same; resolves when all are connected. */
  restart(node: BenchNode): Promise<void>;
}

/** Starts a cluster, waits until everybody knows everybody, and stops it after `use`. */
export async function withCluster<T>(
  options: ClusterOptions,
  use: (cluster: BenchCluster) => Promise<T>,
): Promise<T> {
  return await withDirectory(async (dir) => {
    const where = { dir: join(dir, 'net'), bin: BIN, version: VERSION };
    const isOnion = options.torrc !== undefined;
    const devnet = await Devnet.create(where, { ...options, route: isOnion ? 'require' : 'off' });
    const waitMs = isOnion ? ONION_WAIT_MS : undefined;
    try {
      const startMs: number[] = [];
      for (const { name } of devnet.nodes) {
        const from = performance.now();
        await devnet.resume(name);
        startMs.push(performance.now() - from);
      }
      const nodes: BenchNode[] = [];
      for (const { name, home, pid } of await devnet.status()) {
        const client = clientOf(home);
        const { nodeId } = await client.call('node.status');
        nodes.push({ name, nodeId, home, pid: pid!, client });
      }
      for (const node of nodes) await connected(node, options.size - 1, waitMs);
      const start = async (node: BenchNode): Promise<void> => {
        await devnet.resume(node.name);
        const now = (await devnet.status()).find(({ name }) => name === node.name);
        node.pid = now!.pid!;
        node.client = clientOf(node.home);
      };
      const restart = async (node: BenchNode): Promise<void> => {
        await start(node);
        for (const each of nodes) await connected(each, options.size - 1, waitMs);
      };
      const passphraseFile = join(where.dir, 'passphrase');
      return await use({ dir, passphraseFile, nodes, startMs, start, restart });
    } finally {
      await devnet.down();
    }
  });
}

export async function withDirectory<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'aegis-bench-'));
  try {
    return await use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Resolves when a node has learnt of a version. */
export async function knows({ client }: BenchNode, path: string): Promise<void> {
  await until(`the version of ${path}`, async () => {
    const { entries } = await client.call('kb.ls', { query: { prefix: '', recursive: true } });
    return entries.some((entry) => entry.path === path) ? true : undefined;
  });
}

function clientOf(home: string): Client {
  const { socket, adminToken } = resolveHome({ home, env: {} });
  return new Client({ socket, token: readFileSync(adminToken, 'utf8').trim(), timeoutMs: 60_000 });
}

async function connected({ client }: BenchNode, peers: number, waitMs?: number): Promise<void> {
  const look = async (): Promise<true | undefined> => {
    const status = await client.call('node.status');
    return status.peers.connected === peers ? true : undefined;
  };
  await until(`${peers} connected peers`, look, waitMs);
}
