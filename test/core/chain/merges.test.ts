import fc from 'fast-check';
import type { CID } from 'multiformats/cid';
import { expect, it } from 'vitest';
import { executeIntents, readRef } from '../../../src/core/chain/execution.ts';
import { StateTree } from '../../../src/core/chain/state-tree.ts';
import type { Move } from '../../../src/core/model/change.ts';
import { encodeMerge, type MergeFields, openMerge } from '../../../src/core/model/merge.ts';
import { sortParents } from '../../../src/core/model/version.ts';
import { NAMES } from '../../helpers/names.ts';
import { changesOf, contextOf, ledgerOf, membersOf, versionOf } from './support/fixtures.ts';

const [alice, bob] = membersOf(2);
const block = contextOf(ledgerOf([alice!, bob!]).roster);
const PATH = 'notes';
const [A, B, C] = ['a', 'b', 'c'].map(versionOf) as [CID, CID, CID];

const head = (version: CID, generation = 1): Move => ({
  path: PATH,
  version,
  parents: [],
  generation,
});

function mergeOf(parents: readonly CID[], more: Partial<MergeFields> = {}): Move {
  const fields = { path: PATH, root: A, sizeBytes: 1, generation: 2, time: 1, conflicts: [] };
  const merge = encodeMerge({ ...fields, parents, ...more });
  const { cid, version } = openMerge(merge);
  return {
    path: version.path,
    version: cid,
    parents: sortParents(parents),
    generation: version.generation,
    ...(version.deleted === true ? { deleted: true } : {}),
    merge,
  };
}

/** Each in an intent of its own: what came of them, and the heads after. */
function run(...moves: readonly Move[]) {
  const intents = moves.map((move, n) => changesOf(alice!, n + 1, move));
  const { changes, receipts } = executeIntents(StateTree.empty, intents, block);
  const ref = readRef(StateTree.empty.update(changes), NAMES, PATH);
  return {
    outcomes: receipts.map(({ result, reason }) => reason ?? result),
    heads: ref?.heads.map(({ version }) => version.toString()) ?? [],
    ref,
  };
}

it('takes the place of all heads', () => {
  const merge = mergeOf([A, B, C], { generation: 4 });
  const { outcomes, heads, ref } = run(head(A), head(B, 2), head(C, 3), merge);
  expect(outcomes).toEqual(['done', 'done', 'done', 'done']);
  expect(heads).toEqual([merge.version.toString()]);
  expect(ref?.generation).toBe(4);
});

it('changes nothing when it is a head already, whoever comes with it', () => {
  const merge = mergeOf([A, B]);
  const intents = [
    changesOf(alice!, 1, head(A)),
    changesOf(alice!, 2, head(B)),
    changesOf(alice!, 3, merge),
    changesOf(bob!, 1, merge),
  ];
  const { receipts } = executeIntents(StateTree.empty, intents, block);
  expect(receipts.map(({ result }) => result)).toEqual(['done', 'done', 'done', 'unchanged']);
});

it('is refused when it does not merge exactly the heads that there are', () => {
  expect(run(head(A), mergeOf([A, B])).outcomes.at(-1)).toBe('not-heads');
  expect(run(head(A), head(B), head(C), mergeOf([A, B])).outcomes.at(-1)).toBe('not-heads');
  expect(run(head(A), head(B), mergeOf([A, C])).outcomes.at(-1)).toBe('not-heads');
  expect(run(mergeOf([A, B])).outcomes).toEqual(['not-heads']);
});

it('is refused when its record is not what the move says', () => {
  const good = mergeOf([A, B]);
  const other = mergeOf([A, B], { sizeBytes: 2 });
  const moves: Move[] = [
    { ...good, version: other.version },
    { ...good, merge: other.merge! },
    { ...good, generation: 3 },
    { ...good, deleted: true },
    { ...good, parents: sortParents([A, C]) },
    { ...good, parents: sortParents([A, B, C]) },
    { ...good, merge: new Uint8Array(8) },
    { ...good, expected: A },
    mergeOf([A, B], { path: 'other' }),
    // A generation below, and beyond that of the heads.
    mergeOf([A, B], { generation: 3 }),
  ];
  for (const move of moves) {
    const { outcomes, heads } = run(head(A), head(B), { ...move, path: PATH });
    expect(outcomes.at(-1)).toBe('bad-merge');
    expect(heads).toHaveLength(2);
  }
  expect(run(head(A, 1), head(B, 2), mergeOf([A, B])).outcomes.at(-1)).toBe('bad-merge');
});

it('whatever order heads come in, the merge is one and the same head', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([A, B, C], { minLength: 2, maxLength: 3 }), (some) => {
      const merge = mergeOf(some);
      const { heads } = run(...some.map((one) => head(one)), merge);
      expect(heads).toEqual([merge.version.toString()]);
    }),
    { numRuns: 20 },
  );
});
