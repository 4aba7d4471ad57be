/** What `bench` needs: a devnet that runs, its own or one for the time being, and the machine. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { Client } from '../core/api/client/client.ts';
import type { BenchRampResult } from '../core/api/contract/bench.ts';
import { type HomePaths, resolveHome } from '../core/config/home.ts';
import { devnetOptions } from './devnet.ts';

const ANSWER_MS = 30_000;
const CONNECTED_MS = 100;

interface BenchNodes {
  readonly clients: readonly Client[];
  readonly isTemporary: boolean;
}

/** Uses the devnet of the home, which runs on; or one that is gone after `use`. */
export async function benchDevnet<T>(
  where: { readonly home: HomePaths; readonly nodes: number; readonly signal: AbortSignal },
  use: (nodes: BenchNodes) => Promise<T>,
): Promise<T> {
  const { Devnet } = await import('../core/node/devnet.ts');
  const { home, nodes: size, signal } = where;
  const own = devnetOptions(home);
  if (Devnet.exists(own.dir)) {
    const running = await Devnet.open(own).up(signal);
    return await use({ clients: running.map((node) => clientOf(node.home)), isTemporary: false });
  }
  const dir = mkdtempSync(join(tmpdir(), 'aegis-bench-'));
  try {
    const devnet = await Devnet.create({ ...own, dir: join(dir, 'net') }, { size });
    try {
      const running = await devnet.up(signal);
      const clients = running.map((node) => clientOf(node.home));
      await Promise.all(clients.map((client) => connected(client, size - 1, signal)));
      return await use({ clients, isTemporary: true });
    } finally {
      await devnet.down();
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function clientOf(home: string): Client {
  const { socket, adminToken } = resolveHome({ home, env: {} });
  const token = readFileSync(adminToken, 'utf8').trim();
  return new Client({ socket, token, timeoutMs: ANSWER_MS });
}

async function connected(client: Client, peers: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const status = await client.call('consensus.status');
    if (status.connected > peers) return;
    await new Promise((resolve) => setTimeout(resolve, CONNECTED_MS));
  }
}

export function machineFacts(aegis: string): Pick<BenchRampResult, 'machine' | 'versions'> {
  const { openssl } = process.versions;
  const sqlite = process.versions.sqlite ?? 'none';
  const [first] = cpus();
  return {
    machine: {
      processor: first?.model.trim() || 'unknown processor',
      cores: cpus().length,
      memoryBytes: totalmem(),
      platform: `${process.platform}-${process.arch}`,
    },
    versions: { aegis, node: process.version, openssl, sqlite },
  };
}
