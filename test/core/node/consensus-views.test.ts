import { expect, it } from 'vitest';
import { Roster } from '../../../src/core/chain/roster.ts';
import type { ArchivedBlock } from '../../../src/core/node/block-archive.ts';
import { ConsensusViews, type ConsensusViewsDeps } from '../../../src/core/node/consensus-views.ts';
import { KIB } from '../../../src/core/units.ts';

const BLOCK_BYTES = 500 * KIB;

/** A chain of so many large blocks; counts how many are read. */
function chainOf(height: number, durable = height) {
  const reads = { blocks: 0 };
  const blockAt = (at: number): ArchivedBlock => {
    const header = { height: at, view: 0, intents: 1, proposer: 'node', time: at };
    const block = { header, digest: `${at}`, bytes: new Uint8Array(BLOCK_BYTES) };
    return { block, certificate: { height: at, signers: [] } } as unknown as ArchivedBlock;
  };
  const archive = {
    blocks: async (from: number, upTo: number) => {
      reads.blocks += upTo - from + 1;
      return Array.from({ length: upTo - from + 1 }, (_, n) => blockAt(from + n));
    },
  };
  const store = { range: async () => [] };
  const genesis = { members: [], custodians: [{ nodeId: 'first' }] };
  const handover = { height: 2, custodians: [{ nodeId: 'later' }] };
  const chain = { height, roster: new Roster([]), handovers: () => [handover] };
  const room = { chain, archive, height: durable };
  const deps = { genesis, room, store, self: 'node', isConnected: () => true };
  return { views: new ConsensusViews(deps as unknown as ConsensusViewsDeps), reads };
}

const heights = (blocks: readonly { readonly height: number }[]) =>
  blocks.map(({ height }) => height);

it('lists large blocks from the highest one, and says where to go on', async () => {
  const { views, reads } = chainOf(150);
  const seen: number[] = [];
  for (let from: number | undefined = 150; from !== undefined; ) {
    const before = reads.blocks;
    const { blocks, next } = await views.blocks({ from, limit: 100 });
    expect(reads.blocks - before).toBeLessThan(60);
    seen.push(...heights(blocks));
    from = next ?? undefined;
  }
  expect(seen).toEqual(Array.from({ length: 150 }, (_, n) => 150 - n));
});

it('begins with the last blocks, however large they are', async () => {
  const { views } = chainOf(150);
  await views.open();
  const recent = heights(views.recent());
  expect(recent.at(-1)).toBe(150);
  expect(recent).toEqual(recent.map((_, n) => 150 - recent.length + 1 + n));
});

it('shows no block that is not written yet, nor its height', async () => {
  const { views } = chainOf(5, 4);
  expect(await views.blocks({ from: 5, limit: 1 })).toMatchObject({
    blocks: [{ height: 4 }],
    height: 4,
  });
  await expect(views.explain(6)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

it('names the custodians of a block by its epoch', async () => {
  const { views } = chainOf(4);
  const { blocks } = await views.blocks({ from: 4, limit: 4 });
  expect(blocks.map(({ height, absent }) => [height, absent])).toEqual([
    [4, ['later']],
    [3, ['later']],
    [2, ['first']],
    [1, ['first']],
  ]);
});
