/** Many small files through the command line: into one node, out of another that holds none. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BenchCluster, withCluster } from './cluster.ts';
import type { Figure } from './figures.ts';
import { BIN, timed } from './processes.ts';

const FILES = 1000;
const FILE_BYTES = 4096;
const ROUNDS = 4;

/** Waits as a user would by default: `put` returns when the files are durable on several nodes. */
export async function directory(): Promise<Figure[]> {
  return await withCluster({ size: 4, storageWeights: [100, 100, 100, 0] }, async (cluster) => {
    const rounds = [];
    for (let round = 0; round < ROUNDS; round += 1) rounds.push(await once(cluster, round));
    return [
      {
        name: '1,000 files of 4 KiB, put and read elsewhere',
        unit: 'files/s',
        samples: rounds.map(({ putMs, getMs }) => FILES / ((putMs + getMs) / 1000)),
        goal: { least: 500 },
      },
      { name: '  put, durable on two nodes', unit: 'ms', samples: rounds.map((one) => one.putMs) },
      { name: '  read on another node', unit: 'ms', samples: rounds.map((one) => one.getMs) },
    ];
  });
}

async function once(
  { dir, nodes }: BenchCluster,
  round: number,
): Promise<{ putMs: number; getMs: number }> {
  const from = join(dir, `from-${round}`);
  const to = join(dir, `to-${round}`);
  mkdirSync(from);
  for (let i = 0; i < FILES; i += 1) writeFileSync(join(from, `${i}`), randomBytes(FILE_BYTES));
  const aegis = [process.execPath, BIN, 'kb'];
  const path = `files/${round}`;
  const put = await timed([...aegis, 'put', from, '--path', path, '--home', nodes[0]!.home]);
  const get = await timed([...aegis, 'get', path, '-o', to, '--home', nodes.at(-1)!.home]);
  const same = readdirSync(from).every((name) =>
    readFileSync(join(from, name)).equals(readFileSync(join(to, name))),
  );
  if (!same) throw new Error('the files came back different');
  return { putMs: put.wallMs, getMs: get.wallMs };
}
