/**
 * Goal: a node that has lost its facts never numbers two versions alike.
 * Setup: four daemons; node 1 writes; its chain.db is taken away.
 * Check: it refuses to write while its peers are silent, gets its history back from them, and goes
 * on with the next number; no node has seen an equivocation.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resolveHome } from '../../src/core/config/home.ts';
import { Cluster } from './support/cluster.ts';

interface Log {
  versions: { author: string; sequence: number; version: string }[];
}

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start({ size: 4 });
});
afterAll(() => cluster.stop());

async function put(path: string, text: string, wait = 'replicated') {
  const file = join(cluster.dir, 'in.txt');
  writeFileSync(file, text);
  return await cluster.run(1, 'kb', 'put', file, '--path', path, '--wait', wait);
}

async function forgetFacts(): Promise<void> {
  await cluster.devnet.kill('1');
  const { chainDb } = resolveHome({ home: cluster.node(1).home, env: {} });
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${chainDb}${suffix}`, { force: true });
}

test('lost facts come back from the peers before anything new is written', async () => {
  for (const text of ['one', 'two', 'three']) expect((await put('notes', text)).exit).toBe(0);
  await forgetFacts();
  for (const node of ['2', '3', '4']) await cluster.devnet.kill(node);
  await cluster.devnet.resume('1');
  const alone = await put('notes', 'alone', 'local');
  expect(alone.exit).toBe(75);
  expect(alone.stderr).toContain('lost its facts');

  await cluster.devnet.up();
  await cluster.until(
    () => put('notes', 'four'),
    (run) => run.exit === 0,
    'node 1 writes again',
  );
  for (const node of [1, 2, 3, 4]) {
    const log = await cluster.until(
      () => cluster.json<Log>(node, 'kb', 'log', 'notes'),
      (found) => found.versions.length === 4,
      `node ${node} knows four versions`,
    );
    const numbers = log.versions.map((version) => version.sequence);
    expect(numbers.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4]);
  }
});
