import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recipientOfSecret } from '../../../../src/core/crypto/reading-key.ts';
import { leafKeysOf } from '../../../../src/core/crypto/sealed-leaf.ts';
import { blockOf, RAW } from '../../../../src/core/kb/block.ts';
import { CHUNK_BYTES } from '../../../../src/core/kb/limits.ts';
import {
  ContentMerge,
  type MergeBudget,
  MergeContext,
} from '../../../../src/core/kb/merge/content.ts';
import { MERGE_LIMITS } from '../../../../src/core/kb/merge/limits.ts';
import { runSteps, type Seal } from '../../../../src/core/kb/merge/steps.ts';
import type { SignedVersion } from '../../../../src/core/model/version.ts';
import { hashers, sha256Hasher } from '../helpers.ts';
import { History, type Tree } from './memory-objects.ts';

/** A base and sides that follow it, the first with the oldest clock; and their merge. */
function merged(base: Tree | undefined, sides: readonly (Tree | undefined)[], path?: string) {
  const history = new History(path);
  const parents = base === undefined ? [] : [history.write(base, [], { time: 1 })];
  const heads = sides.map((tree, by) => history.write(tree, parents, { by, time: 10 + by }));
  const merge = history.merge(...heads);
  return {
    ...{ history, heads, merge, version: merge.version },
    shown: history.show(merge),
    conflicts: history.conflicts(merge),
  };
}

const quoted = (text: string): string => JSON.stringify(text);

describe('two heads', () => {
  it('come to what one of them has when the other has changed nothing', () => {
    const { shown, version, heads } = merged('a\n', ['a\n', 'b\n']);
    expect(shown).toBe('b\n');
    expect(version.root).toEqual(heads[1]!.version.root);
    expect(version).toMatchObject({ generation: 3, time: 11, sizeBytes: 2 });
    expect(version.conflicts).toBeUndefined();
  });

  it('are merged by line, by key, or as logs', () => {
    expect(merged('a\nb\nc\n', ['A\nb\nc\n', 'a\nb\nC\n']).shown).toBe('A\nb\nC\n');
    const json = ['{"a":1,"b":1}', '{"a":2,"b":1}', '{"a":1,"b":2}'] as const;
    expect(JSON.parse(merged(json[0], json.slice(1)).shown as string)).toEqual({ a: 2, b: 2 });
    const log = merged(undefined, ['one\n', 'two\n'], 'logs/x.log');
    expect((log.shown as string).split('\n').toSorted()).toEqual(['', 'one', 'two']);
    expect([log.conflicts, log.version.sizeBytes]).toEqual([[], 8]);
  });

  it('that cannot be merged show the greater one, and say which was there besides', () => {
    const { shown, conflicts, version, heads } = merged('a\n', ['b\n', 'c\n']);
    expect(shown).toBe('c\n');
    expect(conflicts).toEqual([['', quoted('a\n'), quoted('c\n'), quoted('b\n')]]);
    expect(version.root).toEqual(heads[1]!.version.root);
    const json = merged('{"port":1}', ['{"port":2}', '{"port":3}']);
    expect(json.shown).toBe('{"port":3}');
    expect(json.conflicts.map(([where]) => where)).toEqual(['#/port']);
  });

  it('of which one is a deletion show what has been changed, and say so', () => {
    const { shown, conflicts } = merged('a\n', [undefined, 'b\n']);
    expect(shown).toBe('b\n');
    expect(conflicts).toEqual([['', quoted('a\n'), quoted('b\n'), undefined]]);
    // Also when the deletion is the greater one.
    expect(merged('a\n', ['b\n', undefined]).shown).toBe('b\n');
    expect(merged('a\n', ['a\n', undefined]).version.deleted).toBe(true);
    const both = merged('a\n', [undefined, undefined]);
    expect([both.shown, both.version.deleted, both.conflicts]).toEqual([undefined, true, []]);
  });

  it('of binary content, or beyond the budget, conflict as a whole', () => {
    const binary = merged('a', [Uint8Array.of(0, 1), Uint8Array.of(0, 2)]);
    expect(binary.conflicts).toHaveLength(1);
    const long = 'x'.repeat(MERGE_LIMITS.bytes);
    expect(merged(long, [`a\n${long}`, `${long}b\n`]).conflicts).toHaveLength(1);
    expect(merged('a', ['a', { dir: 'x' }]).shown).toEqual({ dir: 'x' });
    expect(merged('a', ['b', { dir: 'x' }]).conflicts).toHaveLength(1);
  });

  it('may come to more than one leaf', () => {
    const half = Array.from({ length: 20_000 }, (_, n) => `${'long '.repeat(10)} ${n}`).join('\n');
    const { shown, version } = merged(undefined, [`a\n${half}\n`, `b\n${half}\n`], 'x.log');
    expect(version.sizeBytes).toBeGreaterThan(CHUNK_BYTES);
    expect((shown as string).length).toBe(version.sizeBytes);
  });
});

describe('directories', () => {
  it('are merged by entry, and inside', () => {
    const { shown, conflicts, version } = merged(
      { 'a.txt': 'a\nb\nc\n', gone: 'x', sub: { one: '1\n', two: '2\n' } },
      [
        { 'a.txt': 'A\nb\nc\n', gone: 'x', sub: { one: '1\n', two: '2\n' }, mine: 'm' },
        { 'a.txt': 'a\nb\nC\n', sub: { one: '1\n', two: '22\n' }, theirs: 'tt' },
      ],
    );
    const wanted = {
      ...{ 'a.txt': 'A\nb\nC\n', mine: 'm', theirs: 'tt' },
      sub: { one: '1\n', two: '22\n' },
    };
    expect(shown).toEqual(wanted);
    expect(conflicts).toEqual([]);
    expect(version).toMatchObject({ directory: true, sizeBytes: 6 + 1 + 2 + 2 + 3 });
  });

  it('say of each file that conflicts where it is', () => {
    const { shown, conflicts } = merged({ d: { x: '1\n', y: '1\n' }, z: '1\n' }, [
      { d: { x: '2\n' }, z: '1\n' },
      { d: { x: '3\n', y: '3\n' }, z: '3\n' },
    ]);
    expect(shown).toEqual({ d: { x: '3\n', y: '3\n' }, z: '3\n' });
    expect(conflicts).toEqual([
      ['d/x', quoted('1\n'), quoted('3\n'), quoted('2\n')],
      ['d/y', quoted('1\n'), quoted('3\n'), undefined],
    ]);
  });

  it('without a base are put together', () => {
    const { shown, conflicts } = merged(undefined, [{ a: '1' }, { b: '2' }]);
    expect([shown, conflicts]).toEqual([{ a: '1', b: '2' }, []]);
  });

  it('that are sharded are read and built through their shards', () => {
    const many = (mark: string) =>
      Object.fromEntries(
        Array.from({ length: 1200 }, (_, n) => [`${'name '.repeat(40)}${n}`, mark]),
      );
    const base = many('x');
    const [mine, theirs] = [
      { ...base, mine: 'm' },
      { ...base, theirs: 't' },
    ];
    const { shown, version } = merged(base, [mine, theirs]);
    expect(shown).toEqual({ ...base, mine: 'm', theirs: 't' });
    expect(version.sizeBytes).toBe(1202);
  });

  it('beyond what a merge reads conflict where they are', () => {
    const { objects } = new History();
    const piece = (tree: Tree) => {
      const { cid, tsize } = objects.add(tree);
      return { root: cid, cid, tsize };
    };
    const json = (a: number, b: number) => JSON.stringify({ a, b });
    const base = piece({ sub: { x: json(1, 1), y: json(1, 1) } });
    const ours = piece({ sub: { x: json(2, 1), y: json(2, 1) } });
    const theirs = piece({ sub: { x: json(1, 2), y: json(1, 2) } });
    const placesOf = (budget: MergeBudget) => {
      const merge = new ContentMerge(new MergeContext(hashers, budget));
      runSteps(merge.merge({ at: '', name: 'doc', base, ours, theirs }), objects.answer);
      return merge.conflicts.map(({ at }) => at);
    };
    expect(placesOf({ entries: 9, files: 2 })).toEqual([]);
    expect(placesOf({ entries: 9, files: 1 })).toEqual(['sub/y']);
    expect(placesOf({ entries: 8, files: 2 })).toEqual(['sub']);
    expect(placesOf({ entries: 2, files: 2 })).toEqual(['']);
  });
});

describe('conflicts', () => {
  it('of a parent that is a merge are told again while its content stands', () => {
    const history = new History();
    const base = history.write({ x: '1\n', y: '1\n' });
    const a = history.write({ x: '2\n', y: '1\n' }, [base], { by: 1, time: 10 });
    const b = history.write({ x: '3\n', y: '1\n' }, [base], { by: 2, time: 20 });
    const first = history.merge(a, b);
    const said = [['x', quoted('1\n'), quoted('3\n'), quoted('2\n')]];
    expect(history.conflicts(first)).toEqual(said);
    const other = history.write({ x: '1\n', y: '2\n' }, [base], { by: 3 });
    expect(history.conflicts(history.merge(first, other))).toEqual(said);
    const resolved = history.write({ x: '4\n', y: '1\n' }, [first], { by: 1, time: 30 });
    const clean = history.merge(resolved, other);
    expect(history.conflicts(clean)).toEqual([]);
    expect(history.show(clean)).toEqual({ x: '4\n', y: '2\n' });
  });

  it('of several heads name everyone that has lost', () => {
    const { shown, conflicts } = merged('0\n', ['1\n', '2\n', '3\n', '4\n']);
    expect(shown).toBe('4\n');
    expect(conflicts.map(([, , ours]) => ours)).toEqual(Array(3).fill(quoted('4\n')));
    const lost = new Set(conflicts.map(([, , , theirs]) => theirs));
    expect(lost).toEqual(new Set(['1\n', '2\n', '3\n'].map(quoted)));
  });
});

describe('the base of criss-cross merges', () => {
  it('is the merge of all that both follow', () => {
    const history = new History();
    const base = history.write('a\nb\nc\nd\ne\n');
    const left = history.write('A\nb\nc\nd\ne\n', [base], { by: 1 });
    const right = history.write('a\nb\nc\nd\nE\n', [base], { by: 2 });
    // Both have merged the two by hand, and gone on.
    const one = history.write('A\nb\nC1\nd\nE\n', [left, right], { by: 1 });
    const two = history.write('A\nb\nc\nd\nE\nmore\n', [left, right], { by: 2 });
    const merge = history.merge(one, two);
    expect(history.show(merge)).toBe('A\nb\nC1\nd\nE\nmore\n');
    expect(history.conflicts(merge)).toEqual([]);
  });
});

describe('sealed contents', () => {
  const sealOf = (n: number, ...readers: string[]): Seal => {
    const to = readers.toSorted((a, b) => (a < b ? -1 : 1));
    const key = new Uint8Array(32).fill(n);
    return { keys: leafKeysOf(key), key: blockOf(RAW, key, sha256Hasher), to };
  };
  const [ana, bea] = [1, 2].map((n) => recipientOfSecret(new Uint8Array(32).fill(n)));
  const [one, same, other] = [sealOf(1, ana!), sealOf(2, ana!), sealOf(3, ana!, bea!)];

  function sealed(base: Tree | undefined, sides: readonly [Tree, Seal | undefined][]) {
    const history = new History();
    const from = sides[0]![1];
    const parents =
      base === undefined ? [] : [history.write(base, [], { ...(from && { seal: from }) })];
    const heads = sides.map(([tree, seal], by) =>
      history.write(tree, parents, { by, time: 10 + by, ...(seal && { seal }) }),
    );
    const merge = history.merge(...heads);
    return { history, heads, merge, shown: history.show(merge), version: merge.version };
  }

  it('are merged as what they are, and sealed again under the same key', () => {
    const { shown, version, history } = sealed({ x: 'a\nb\nc\n', y: '1' }, [
      [{ x: 'A\nb\nc\n', y: '1' }, one],
      [{ x: 'a\nb\nC\n', y: '1', z: { w: '2' } }, one],
    ]);
    const wanted = { x: 'A\nb\nC\n', y: '1', z: { w: '2' } };
    expect(shown).toEqual(wanted);
    expect(version.conflicts).toBeUndefined();
    expect(version.sizeBytes).toBe(8);
    // As whoever puts it would seal it.
    expect(version.root.toString()).toBe(history.objects.addSealed(wanted, one).toString());
  });

  it('of one and the same readers under two keys are sealed under that of the winner', () => {
    const { shown, version, history } = sealed(undefined, [
      [{ a: '1', same: 'x', sub: { b: '2' } }, one],
      [{ c: '3', same: 'x' }, same],
    ]);
    const wanted = { a: '1', c: '3', same: 'x', sub: { b: '2' } };
    expect(shown).toEqual(wanted);
    expect(version.conflicts).toBeUndefined();
    expect(version.root.toString()).toBe(history.objects.addSealed(wanted, same).toString());
  });

  it('that would have to be sealed anew and are too large conflict as a whole', () => {
    const long = 'x'.repeat(MERGE_LIMITS.bytes + 1);
    const { shown, version } = sealed(undefined, [
      [{ a: long }, one],
      [{ b: '1' }, same],
    ]);
    expect(shown).toEqual({ b: '1' });
    expect(version.conflicts?.map(({ at }) => at)).toEqual(['']);
  });

  it('are never mixed where others may read them', () => {
    for (const seal of [other, undefined]) {
      const { version, heads } = sealed('{"a":1}', [
        ['{"a":2}', one],
        ['{"a":1,"b":1}', seal],
      ]);
      expect(version.conflicts?.map(({ at }) => at)).toEqual(['']);
      expect(version.root.toString()).toBe(heads[1]!.version.root.toString());
    }
  });

  it('with several heads are read again as they were merged', () => {
    const { shown } = sealed({ a: '0', b: '0', c: '0' }, [
      [{ a: '1', b: '0', c: '0' }, one],
      [{ a: '0', b: '1', c: '0' }, one],
      [{ a: '0', b: '0', c: '1' }, one],
    ]);
    expect(shown).toEqual({ a: '1', b: '1', c: '1' });
  });
});

/** Texts with few lines, so that they meet often. */
const text = fc
  .array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 5 })
  .map((lines) => lines.map((line) => `${line}\n`).join(''));
const files = fc.dictionary(fc.constantFrom('x', 'y.json', 'z.log'), text, { maxKeys: 3 });
const tree = fc.oneof(
  text,
  fc.record({ sub: files, more: files }, { requiredKeys: [] }),
  fc.constantFrom('{"a":1}', '{"a":2,"b":{"c":1}}', '{"b":{"c":2}}'),
  fc.constant(undefined),
);

interface Move {
  readonly tree: Tree | undefined;
  readonly by: number;
  readonly time: number;
  /** Which of those that are there it follows. */
  readonly follows: readonly number[];
}
const moves = fc.array(
  fc.record({
    tree,
    by: fc.nat(3),
    time: fc.nat(3),
    follows: fc.array(fc.nat(9), { maxLength: 3 }),
  }),
  { minLength: 2, maxLength: 9 },
);

/** A history of writers and merges; its heads, at most six. */
function grown(all: readonly Move[]): { history: History; heads: SignedVersion[] } {
  const history = new History();
  const first = history.write('a\nb\n');
  let heads = [first];
  const known = [first];
  for (const { tree: content, by, time, follows } of all) {
    const parents = [...new Set(follows.map((n) => known[n % known.length]!))];
    const isMerge = parents.length > 1 && content === undefined;
    if (content === undefined && parents.length === 0) continue;
    const next = isMerge
      ? history.merge(...parents)
      : history.write(content, parents, { by, time: 100 + time });
    known.push(next);
    heads = [...heads.filter((head) => !parents.includes(head)), next];
  }
  const unique = new Map(heads.map((head) => [head.cidText, head]));
  return { history, heads: [...unique.values()].slice(-6) };
}

describe('whatever has been written', () => {
  it('the order in which heads are named or became known changes nothing', () => {
    fc.assert(
      fc.property(moves, fc.nat(), (all, seed) => {
        const { history, heads } = grown(all);
        fc.pre(heads.length > 1);
        const merge = history.merge(...heads);
        const turned = [
          ...heads.slice(seed % heads.length),
          ...heads.slice(0, seed % heads.length),
        ];
        const other = new History();
        for (const version of [...history.versions.values()].toReversed()) {
          other.versions.set(version.cidText, version);
        }
        Object.assign(other, { objects: history.objects });
        expect(other.merge(...turned.toReversed()).cidText).toBe(merge.cidText);
      }),
      { numRuns: 150 },
    );
  });

  it('what is shown somebody wrote, or it has merged without a conflict', () => {
    fc.assert(
      fc.property(moves, (all) => {
        const { history, heads: open } = grown(all);
        const heads = open.slice(-2);
        fc.pre(heads.length > 1);
        const merge = history.merge(...heads);
        const { version } = merge;
        const greatest = heads.toSorted(
          (a, b) =>
            b.version.generation - a.version.generation ||
            b.version.time - a.version.time ||
            (a.cidText < b.cidText ? 1 : -1),
        )[0]!;
        if (
          typeof history.show(merge) === 'string' &&
          version.conflicts?.some(({ at }) => at === '')
        ) {
          expect(heads.map((head) => history.show(head))).toContain(history.show(merge));
        }
        for (const { ours, theirs } of version.conflicts ?? []) {
          expect(ours?.toString()).not.toBe(theirs?.toString());
        }
        // A deletion stands only where nobody has changed what it takes away.
        if (version.deleted === true) expect(heads.some((head) => head.version.deleted)).toBe(true);
        expect(version.generation).toBe(greatest.version.generation + 1);
      }),
      { numRuns: 150 },
    );
  });

  it('a merge that is merged again with what it follows is what it was', () => {
    fc.assert(
      fc.property(moves, (all) => {
        const { history, heads } = grown(all);
        fc.pre(heads.length > 1);
        const merge = history.merge(...heads);
        const again = history.merge(merge, heads[0]!);
        expect(history.show(again)).toEqual(history.show(merge));
        expect(again.version.root.toString()).toBe(merge.version.root.toString());
        expect(history.conflicts(again)).toEqual(
          merge.version.deleted === true ? [] : history.conflicts(merge),
        );
      }),
      { numRuns: 100 },
    );
  });
});
