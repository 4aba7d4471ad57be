/**
 * Goal: a node that catches up comes to the honest history, whoever else it asks.
 * Setup: one custodian, who has made blocks; five members in the hands of this test, of whom each
 * lies in another way about the history; and a node that was away.
 * Check: the node names each of them, takes nothing of what they say, and comes to the history of
 * the one that is honest.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LIMITS } from '../../src/core/chain/limits.ts';
import type { OutgoingMessage } from '../../src/core/chain/messages.ts';
import { readChainRow, TABLES } from '../../src/core/chain/rows.ts';
import { chainRows } from '../../src/core/storage/chain-readonly.ts';
import { untilHeight } from './support/agreement.ts';
import { clientOf, putFinal, statusOf } from './support/api.ts';
import { Cluster } from './support/cluster.ts';
import { type Lie, SyncLiar } from './support/sync-liar.ts';

const JOINER = 7;
const BLOCKS = 6;

let cluster: Cluster;
const liars: SyncLiar[] = [];

beforeAll(async () => {
  cluster = await Cluster.start({ size: 7, agents: 6 });
  await Promise.all([2, 3, 4, 5, 6, 7].map((node) => cluster.run(node, 'node', 'stop')));
  for (let n = 0; n < BLOCKS; n += 1) await putFinal(cluster, 1, `doc-${n}`, `text ${n}`);
});
afterAll(async () => {
  await Promise.all(liars.map((liar) => liar.stop()));
  await cluster.stop();
});

interface Block {
  readonly height: number;
  readonly block: Uint8Array;
  readonly certificate: Uint8Array;
}

/** What the honest node has. */
function history(): Block[] {
  const rows = [...chainRows(cluster.home(1).chainDb, (room) => room.startsWith('chain/'))];
  const blocks = new Map(
    rows.filter(({ table }) => table === TABLES.blocks).map(({ key, value }) => [key, value]),
  );
  return rows
    .filter(({ table }) => table === TABLES.chain)
    .map(({ key, value }) => {
      const { digest, certificate } = readChainRow(value);
      return {
        height: Number(key),
        block: blocks.get(`${key}/${digest}`)!,
        certificate: certificate!,
      };
    });
}

interface Line {
  readonly event?: string;
  readonly nodeId?: string;
}

/** Node ids, each once, in order. */
const named = (): string[] => {
  const lines = readFileSync(cluster.home(JOINER).securityLog, 'utf8').trimEnd().split('\n');
  const events = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Line);
  const all = events.filter(({ event }) => event === 'liar').map(({ nodeId }) => nodeId!);
  return [...new Set(all)].toSorted();
};

test('five of six peers lie about the history, each in another way', async () => {
  const blocks = history();
  const top = blocks.at(-1)!;
  expect(blocks.map(({ height }) => height)).toEqual(blocks.map((_, at) => at + 1));
  const answer = (
    from: number,
    change: (found: Block[]) => readonly Uint8Array[],
    certificate = top.certificate,
  ): OutgoingMessage => {
    const found = blocks.filter(({ height }) => height >= from);
    return { type: 'blocks', from, window: { blocks: change(found), certificate } };
  };
  const plain = (found: Block[]): Uint8Array[] => found.map(({ block }) => block);
  const spoilt = top.certificate.slice();
  spoilt[spoilt.length - 1]! ^= 1;
  let times = 0;
  const lies: Lie[] = [
    // Another history: nobody has signed for it.
    (from) => answer(from, plain, spoilt),
    // It claims blocks and has none.
    (from) => ({ type: 'blocks', from, window: undefined }),
    // More than anybody may send.
    (from) =>
      answer(from, (found) =>
        Array.from({ length: LIMITS.windowBlocks + 1 }, () => found[0]!.block),
      ),
    // Slow: it says nothing.
    () => undefined,
    // Each time another one.
    (from) => {
      times += 1;
      const isOdd = times % 2 === 1;
      return answer(from, (found) => (isOdd ? plain(found).toReversed() : plain(found).slice(1)));
    },
  ];
  await cluster.run(1, 'node', 'stop');
  for (const [at, lie] of lies.entries()) {
    liars.push(await SyncLiar.join(cluster, at + 2, top.height, lie));
  }
  expect((await cluster.start(JOINER)).exit).toBe(0);
  const [forked, cut, big, slow, double] = liars as [
    SyncLiar,
    SyncLiar,
    SyncLiar,
    SyncLiar,
    SyncLiar,
  ];
  const false4 = [forked, cut, big, double].map(({ nodeId }) => nodeId);
  await cluster.until(
    () => named(),
    (found) => false4.every((nodeId) => found.includes(nodeId)) && slow.asked > 0,
    'all liars are named',
  );
  expect((await statusOf(cluster, JOINER)).height).toBe(0);
  expect((await cluster.start(1)).exit).toBe(0);
  // Either may come further meanwhile.
  await untilHeight(cluster, top.height, [1, JOINER]);
  const params = { id: String(top.height) };
  const [own, there] = await Promise.all(
    [1, JOINER].map((node) => clientOf(cluster, node).call('consensus.block', { params })),
  );
  expect(there!.digest).toBe(own!.digest);
  expect(named()).toEqual(false4.toSorted());
  const why = await cluster.run(JOINER, 'peers', 'why', forked.nodeId);
  expect(why.stdout.toString()).toContain('certificate');
});
