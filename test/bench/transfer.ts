/** Large content from one node to another, against raw TCP, and what it costs in memory. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { type BenchNode, knows, withCluster } from './cluster.ts';
import type { Figure } from './figures.ts';
import { forgetPeak, pause, residentMib } from './processes.ts';

const MIB = 1024 * 1024;
const TRANSFER_BYTES = 256 * MIB;
const LARGE_BYTES = 1024 * MIB;
const ROUNDS = 5;
const RAW_CHUNKS = [64 * 1024, 256 * 1024] as const;
const IDLE_MS = 5000;
/** What was put has then moved from the log into the database, and the disk is at rest. */
const SETTLE_MS = 1500;

/** Node A holds every root, node B none, so that what B reads crosses the network. */
export async function transfer(): Promise<Figure[]> {
  return await withCluster({ size: 2, storageWeights: [100, 0] }, async ({ nodes: [a, b] }) => {
    const figures = await ratios(a!, b!);
    await pause(IDLE_MS);
    const idle = [a!, b!].map((node) => residentMib(node.pid));
    return [
      ...figures,
      { name: `resident, ${IDLE_MS / 1000} s after transfers`, unit: 'MiB', samples: idle },
    ];
  });
}

async function ratios(a: BenchNode, b: BenchNode): Promise<Figure[]> {
  const raw: number[] = [];
  const discard: number[] = [];
  const aegis: number[] = [];
  // The first round warms up both sides and is not counted.
  for (let round = 0; round <= ROUNDS; round += 1) {
    const rawMs = await rawTcpMs();
    const discardMs = await rawTcpOnce('discard', RAW_CHUNKS[1]);
    const path = `transfer-${round}`;
    await put(a, path, TRANSFER_BYTES);
    await knows(b, path);
    await pause(SETTLE_MS);
    const from = performance.now();
    const content = await b.client.content({ path });
    const ms = performance.now() - from;
    content.cancel();
    if (round === 0) continue;
    raw.push(rawMs);
    discard.push(discardMs);
    aegis.push(ms);
  }
  const rate = (ms: number): number => TRANSFER_BYTES / MIB / (ms / 1000);
  return [
    {
      name: '256 MiB node to node / raw TCP',
      unit: 'x',
      samples: raw.map((ms, i) => ms / aegis[i]!),
      goal: { least: 0.35 },
    },
    { name: '  node to node, durable to durable', unit: 'MiB/s', samples: aegis.map(rate) },
    { name: '  raw TCP, chunk by chunk', unit: 'MiB/s', samples: raw.map(rate) },
    { name: '  raw TCP, over one buffer', unit: 'MiB/s', samples: discard.map(rate) },
  ];
}

/** 1 GiB into a node and out of another, in a cluster of their own: the peaks are since start. */
export async function large(): Promise<Figure[]> {
  return await withCluster({ size: 2, storageWeights: [100, 0] }, async ({ nodes: [a, b] }) => {
    for (const { pid } of [a!, b!]) forgetPeak(pid);
    await put(a!, 'large', LARGE_BYTES);
    await knows(b!, 'large');
    const from = performance.now();
    const content = await b!.client.content({ path: 'large' });
    let bytes = 0;
    for await (const chunk of content.bytes) bytes += chunk.length;
    if (bytes !== LARGE_BYTES) throw new Error(`${bytes} bytes came back of ${LARGE_BYTES}`);
    const rate = LARGE_BYTES / MIB / ((performance.now() - from) / 1000);
    const peak = (name: string, { pid }: BenchNode): Figure => ({
      name: `peak resident, 1 GiB ${name}`,
      unit: 'MiB',
      samples: [residentMib(pid, 'VmHWM')],
      goal: { most: 300 },
    });
    return [
      peak('put and served', a!),
      peak('fetched and read', b!),
      { name: '  1 GiB fetched and read to its end', unit: 'MiB/s', samples: [rate] },
    ];
  });
}

async function put({ client }: BenchNode, path: string, sizeBytes: number): Promise<void> {
  const source = { kind: 'file', bytes: noise(sizeBytes), sizeBytes } as const;
  await client.put({ path, wait: 'local' }, source);
}

/** Never the same twice, so that no store has it already. */
async function* noise(sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < sizeBytes; at += MIB) {
    yield randomFillSync(Buffer.allocUnsafeSlow(Math.min(MIB, sizeBytes - at)));
  }
}

/** The better of two sizes of write. */
async function rawTcpMs(): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (const chunkBytes of RAW_CHUNKS) {
    best = Math.min(best, await rawTcpOnce('read', chunkBytes));
  }
  return best;
}

async function rawTcpOnce(reader: 'read' | 'discard', chunkBytes: number): Promise<number> {
  const program = join(import.meta.dirname, 'raw-tcp.ts');
  const server: ChildProcess = spawn(
    process.execPath,
    [program, 'serve', `${TRANSFER_BYTES}`, `${chunkBytes}`],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    const lines = createInterface({ input: server.stdout! });
    const port = await new Promise<string>((resolve) => lines.once('line', resolve));
    const { stdout } = await promisify(execFile)(process.execPath, [program, reader, port]);
    const { bytes, ms } = JSON.parse(stdout) as { bytes: number; ms: number };
    if (bytes !== TRANSFER_BYTES) throw new Error(`raw TCP lost bytes: ${bytes} came`);
    return ms;
  } finally {
    server.kill();
  }
}
