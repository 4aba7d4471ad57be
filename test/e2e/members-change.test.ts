/**
 * Goal: a cluster changes its custodians while it works, and none of its nodes is needed for ever.
 * Setup: four custodians and four agents, with writers.
 * Check: it grows to seven and shrinks back; then each of the four gives way to another machine and
 * is stopped. Every height has one digest, and so one state, wherever it is asked for.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type {
  ChainExportOutput,
  ChainImportOutput,
  ChainVerifyOutput,
} from '../../src/core/api/contract/chain.ts';
import type { BlockSummary } from '../../src/core/api/contract/consensus.ts';
import { clientOf, putFinal, readLinearizable, statusOf } from './support/api.ts';
import { Cluster, eventually } from './support/cluster.ts';
import { decide, Load, stateAt, untilCustodians } from './support/governance.ts';

const ALL = [1, 2, 3, 4, 5, 6, 7, 8];
const FIRST = [1, 2, 3, 4];

let cluster: Cluster;
let load: Load;
/** Digests by height, of nodes that have been stopped since. */
const told = new Map<number, readonly string[]>();

beforeAll(async () => {
  cluster = await Cluster.start({ size: 8, agents: 4 });
  load = new Load(cluster, [1, 3, 6]);
});
afterAll(async () => {
  await load?.end().catch(() => {});
  await cluster?.stop();
});

const idOf = (node: number): string => cluster.node(node).nodeId;
const add = (node: number) => ({ op: 'add' as const, nodeId: idOf(node) });
const remove = (node: number) => ({ op: 'remove' as const, nodeId: idOf(node) });

/** From height 1 upwards. */
async function digestsOf(node: number): Promise<string[]> {
  const { height } = await statusOf(cluster, node);
  const blocks: BlockSummary[] = [];
  for (let from: number | null = height; from !== null && from > 0; ) {
    const query: { from: number; limit: number } = { from, limit: 200 };
    const page = await clientOf(cluster, node).call('consensus.blocks', { query });
    blocks.push(...page.blocks);
    from = page.next;
  }
  return blocks.toReversed().map(({ digest }) => digest);
}

async function untilHeight(height: number, nodes: readonly number[]): Promise<void> {
  const query = { for: `height=${height}`, timeoutMs: 60_000 };
  for (const node of nodes) await clientOf(cluster, node, 65_000).call('node.wait', { query });
}

test('it grows from four to seven under load', async () => {
  await decide(cluster, [1, 2, 3], [add(5)]);
  await untilCustodians(cluster, [...FIRST, 5], ALL);
  await decide(cluster, [5, 1, 2, 3], [add(6), add(7)]);
  await untilCustodians(cluster, [...FIRST, 5, 6, 7], ALL);
  const { height } = await putFinal(cluster, 7, 'seven', 'by the seventh');
  await untilHeight(height!, ALL);
  const { validators } = await clientOf(cluster, 2).call('consensus.validators');
  expect(validators).toHaveLength(7);
});

test('it shrinks back to four', async () => {
  await decide(cluster, [7, 1, 2, 3, 4], [remove(5), remove(6), remove(7)]);
  await untilCustodians(cluster, FIRST, ALL);
  const { height } = await putFinal(cluster, 7, 'again', 'by an agent again');
  await untilHeight(height!, ALL);
});

test('each machine gives way to another, under load', async () => {
  let custodians = FIRST;
  for (const [old, young] of [
    [1, 5],
    [2, 6],
    [3, 7],
    [4, 8],
  ] as const) {
    const voters = custodians.toReversed().slice(0, 3);
    await decide(cluster, voters, [add(young), remove(old)]);
    custodians = [...custodians.filter((node) => node !== old), young];
    const running = ALL.filter((node) => !told.has(node));
    await untilCustodians(cluster, custodians, running);
    // What it held, those after it hold before it goes; of what is being written, some never do.
    await load.end();
    await eventually(
      async () => {
        const all = custodians.map((node) => clientOf(cluster, node).call('node.status'));
        return (await Promise.all(all)).map(({ kb }) => kb.underReplicated);
      },
      (counts) => counts.every((count) => count === 0),
      `all copies are where they should be without node ${old}`,
    );
    told.set(old, await digestsOf(old));
    for (const node of custodians.slice(-2)) load.add(node);
    const { exit } = await cluster.run(old, 'node', 'stop');
    expect(exit).toBe(0);
  }
  await load.end();
  expect(load.final.size).toBeGreaterThan(0);
  for (const [path, text] of load.final) {
    const found = await readLinearizable(cluster, 8, path, 30_000);
    expect(found.text, path).toBe(text);
  }
});

test('every height has one digest everywhere', async () => {
  const { height } = await putFinal(cluster, 6, 'last', 'the last one');
  const running = ALL.filter((node) => !told.has(node));
  await untilHeight(height!, running);
  for (const node of running) told.set(node, await digestsOf(node));
  const [longest] = [...told.values()].toSorted((a, b) => b.length - a.length);
  for (const [node, digests] of told) {
    expect(digests.length, `blocks of node ${node}`).toBeGreaterThan(0);
    expect(digests, `node ${node}`).toEqual(longest!.slice(0, digests.length));
  }
  const { epoch } = await stateAt(cluster, 8);
  expect(epoch.custodians).toHaveLength(4);
});

test('its history verifies through all epochs, anew and by signatures', async () => {
  const whole = await cluster.json<ChainVerifyOutput>(8, 'chain', 'verify');
  expect(whole).toMatchObject({ from: 1, depth: 'genesis' });
  const from = String(whole.to);
  const last = await cluster.json<ChainVerifyOutput>(8, 'chain', 'verify', '--from', from);
  expect(last).toMatchObject({ depth: 'signatures', digest: whole.digest });
  const file = join(cluster.dir, 'history');
  const args = ['chain', 'export', file, '--from', from];
  const { handovers } = await cluster.json<ChainExportOutput>(8, ...args);
  // Each node that came or went ended an epoch.
  expect(handovers).toBeGreaterThan(6);
});

test('files bring nodes that were stopped on the way through all epochs', async () => {
  const [blocks, state] = [join(cluster.dir, 'blocks'), join(cluster.dir, 'state')];
  await cluster.json(8, 'chain', 'export', blocks);
  await cluster.json(8, 'chain', 'snapshot', state);
  const { height, digest } = await statusOf(cluster, 8);
  for (const [node, file] of [
    [1, blocks],
    [2, state],
  ] as const) {
    const imported = await cluster.json<ChainImportOutput>(node, 'chain', 'import', file);
    expect(imported).toMatchObject({ height, digest });
    expect(imported.before).toBeLessThan(height);
  }
  const whole = await cluster.json<ChainVerifyOutput>(1, 'chain', 'verify');
  expect(whole).toMatchObject({ from: 1, to: height, depth: 'genesis', digest });
});
