import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  executeIntents,
  type Receipt,
  readAccount,
  readRef,
} from '../../../src/core/chain/execution.ts';
import { accountKey } from '../../../src/core/chain/ref.ts';
import { StateTree } from '../../../src/core/chain/state-tree.ts';
import { isMove } from '../../../src/core/model/change.ts';
import type { SignedIntent } from '../../../src/core/model/intent.ts';
import { NAMES } from '../../helpers/names.ts';
import {
  contextOf,
  intentOf,
  ledgerOf,
  type Member,
  type Move,
  membersOf,
  versionOf,
} from './support/fixtures.ts';

const [alice, bob] = membersOf(2) as [Member, Member];
const block = contextOf(ledgerOf([alice, bob]).roster);

/** Executes single intents of Alice, one a move, and says what came of each. */
function run(...moves: readonly (Move | readonly Move[])[]): {
  tree: StateTree;
  receipts: readonly Receipt[];
} {
  const intents = moves.map((move, at) =>
    intentOf(alice, at + 1, ...(Array.isArray(move) ? (move as Move[]) : [move as Move])),
  );
  const { changes, receipts } = executeIntents(StateTree.empty, intents, block);
  return { tree: StateTree.empty.update(changes), receipts };
}

const headsOf = (tree: StateTree, path = 'notes'): string[] =>
  (readRef(tree, NAMES, path)?.heads ?? []).map(({ version }) => version.toString());

const textsOf = (...names: string[]): string[] =>
  names
    .map(versionOf)
    .toSorted((a, b) => Buffer.compare(a.bytes, b.bytes))
    .map(String);

describe('an intent', () => {
  it('moves a ref to a version that follows its heads', () => {
    const { tree, receipts } = run(
      { version: 'a' },
      { version: 'b', parents: ['a'], generation: 2 },
    );
    expect(headsOf(tree)).toEqual(textsOf('b'));
    expect(receipts.map(({ result, height, index }) => [result, height, index])).toEqual([
      ['done', 7, 0],
      ['done', 7, 1],
    ]);
    expect(readRef(tree, NAMES, 'notes')?.generation).toBe(2);
  });

  it('adds a head beside those that it does not follow', () => {
    const { tree } = run({ version: 'a' }, { version: 'b' }, { version: 'c', parents: ['a'] });
    expect(headsOf(tree)).toEqual(textsOf('b', 'c'));
  });

  it('changes nothing when its version is a head already, even if it expects another', () => {
    const { tree, receipts } = run({ version: 'a' }, { version: 'a', expected: null });
    expect(receipts[1]?.result).toBe('unchanged');
    expect(headsOf(tree)).toEqual(textsOf('a'));
  });

  it('without changes uses up its sequence', () => {
    const { tree, receipts } = run([], { version: 'a' });
    expect(receipts.map(({ result }) => result)).toEqual(['unchanged', 'done']);
    expect(readAccount(tree, NAMES, alice.nodeId).sequence).toBe(2);
  });

  it('is done whole or not at all', () => {
    const { tree, receipts } = run({ version: 'a', path: 'x' }, [
      { version: 'b', path: 'y' },
      { version: 'c', path: 'x', expected: null },
    ]);
    expect(receipts[1]).toMatchObject({ result: 'refused', reason: 'conflict' });
    expect([headsOf(tree, 'x'), headsOf(tree, 'y')]).toEqual([textsOf('a'), []]);
    expect(readAccount(tree, NAMES, alice.nodeId).sequence).toBe(2);
  });

  it('sees what its own changes before have done', () => {
    const { receipts, tree } = run([
      { version: 'a' },
      { version: 'b', parents: ['a'], generation: 2, expected: 'a' },
    ]);
    expect(receipts[0]?.result).toBe('done');
    expect(headsOf(tree)).toEqual(textsOf('b'));
  });
});

describe('compare-and-swap', () => {
  const cases: readonly [string, readonly Move[], string | null, boolean][] = [
    ['of the one head', [{ version: 'a' }], 'a', true],
    ['of another one', [{ version: 'a' }], 'z', false],
    ['of one of two', [{ version: 'a' }, { version: 'b' }], 'a', false],
    ['of none, when there is none', [], null, true],
    ['of none, when there is one', [{ version: 'a' }], null, false],
    ['of none, when the one is deleted', [{ version: 'a', deleted: true }], null, true],
    ['of one, when there is none', [], 'a', false],
  ];
  for (const [name, before, expected, isDone] of cases) {
    it(`${name} is ${isDone ? 'done' : 'refused'}`, () => {
      const { receipts } = run(...before, { version: 'n', expected });
      const last = receipts.at(-1)!;
      expect(last.result).toBe(isDone ? 'done' : 'refused');
      expect(last.reason).toBe(isDone ? undefined : 'conflict');
    });
  }
});

describe('limits', () => {
  it('a generation grows by one at most', () => {
    const { receipts } = run({ version: 'a', generation: 2 }, { version: 'b', generation: 1 });
    expect(receipts[0]).toMatchObject({ result: 'refused', reason: 'bad-generation' });
    expect(receipts[1]?.result).toBe('done');
  });

  it('a ref has 32 heads at most', () => {
    const moves = Array.from({ length: 33 }, (_, at) => ({ version: `v${at}` }));
    const { receipts, tree } = run(...moves, { version: 'm', parents: ['v0'] });
    expect(receipts[31]?.result).toBe('done');
    expect(receipts[32]).toMatchObject({ result: 'refused', reason: 'too-many-heads' });
    expect(receipts[33]?.result).toBe('done');
    expect(headsOf(tree)).toHaveLength(32);
  });

  it('a sequence that is not the next makes the block invalid', () => {
    for (const sequences of [[2], [1, 1], [1, 3], [1, 2, 2]]) {
      const intents = sequences.map((sequence) => intentOf(alice, sequence));
      expect(() => executeIntents(StateTree.empty, intents, block)).toThrow('next sequence');
    }
  });
});

const move = fc.record({
  path: fc.constantFrom('x', 'y'),
  version: fc.constantFrom('a', 'b', 'c', 'd'),
  parents: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 3 }),
  generation: fc.integer({ min: 1, max: 3 }),
  deleted: fc.constant(true),
  expected: fc.option(fc.constantFrom('a', 'b')),
});
const moves = fc.array(
  fc
    .tuple(move, fc.boolean(), fc.boolean())
    .map(([{ deleted, expected, ...rest }, isDeleted, isCas]) => ({
      ...rest,
      ...(isDeleted ? { deleted } : {}),
      ...(isCas ? { expected } : {}),
    })),
  { maxLength: 3 },
);
const history = fc.array(fc.tuple(fc.boolean(), moves), { maxLength: 12 });

function intentsOf(list: readonly (readonly [boolean, readonly Move[]])[]): SignedIntent[] {
  const next = [1, 1];
  return list.map(([isBob, changes]) => {
    const who = isBob ? 1 : 0;
    const intent = intentOf(isBob ? bob : alice, next[who]!, ...changes);
    next[who] = next[who]! + 1;
    return intent;
  });
}

const pathsOf = ({ intent }: SignedIntent): string[] =>
  intent.changes.filter(isMove).map(({ path }) => path);

describe('execution', () => {
  it('comes to the same state, however intents are parted into blocks', () => {
    fc.assert(
      fc.property(history, fc.array(fc.nat(12)), (list, cuts) => {
        const intents = intentsOf(list);
        const whole = executeIntents(StateTree.empty, intents, block);
        let tree = StateTree.empty;
        const results: string[] = [];
        const ends = [...new Set([...cuts, intents.length])].toSorted((a, b) => a - b);
        let from = 0;
        for (const end of ends) {
          const { changes, receipts } = executeIntents(tree, intents.slice(from, end), block);
          tree = tree.update(changes);
          results.push(...receipts.map(({ result }) => result));
          from = Math.min(end, intents.length);
        }
        expect(tree.root).toEqual(StateTree.empty.update(whole.changes).root);
        expect(results).toEqual(whole.receipts.map(({ result }) => result));
      }),
      { numRuns: 60 },
    );
  });

  it('changes refs only by intents that are done, and accounts by all', () => {
    fc.assert(
      fc.property(history, (list) => {
        const intents = intentsOf(list);
        const { receipts, changes, paths } = executeIntents(StateTree.empty, intents, block);
        const keys = new Set(changes.map(({ key }) => key));
        const touched = new Set(
          receipts.flatMap(({ result }, at) => (result === 'done' ? pathsOf(intents[at]!) : [])),
        );
        for (const path of paths) expect(touched.has(path)).toBe(true);
        expect(paths.every((path) => keys.has(NAMES.refKey(path)))).toBe(true);
        const authors = new Set(intents.map(({ intent }) => intent.author));
        for (const author of authors) expect(keys.has(accountKey(NAMES, author))).toBe(true);
        expect(keys.size).toBe(paths.length + authors.size);
      }),
      { numRuns: 60 },
    );
  });
});
