import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changesOf } from '../../../../src/core/kb/merge/changes.ts';
import { MERGE_LIMITS } from '../../../../src/core/kb/merge/limits.ts';
import { linesOf, mergeText } from '../../../../src/core/kb/merge/text.ts';
import { threeTexts } from './random-merges.ts';

const GIT = new URL('../../../vectors/merges/git.json', import.meta.url);
const lines = fc
  .array(fc.constantFrom('a\n', 'b\n', 'c\n', '\n', 'd'), { maxLength: 12 })
  .map((list) => list.join(''));

describe('mergeText', () => {
  it('says what git says of 1,000 merges, and writes the same bytes', () => {
    const { merges } = JSON.parse(readFileSync(GIT, 'utf8')) as { merges: (string | null)[] };
    const own = merges.map((_, number) => {
      const { base, ours, theirs } = threeTexts(number);
      const merged = mergeText(base, ours, theirs);
      return merged === undefined ? null : hash('sha256', merged).slice(0, 8);
    });
    expect(merges).toHaveLength(1000);
    expect(own).toEqual(merges);
  });

  it('does not depend on which side comes first', () => {
    fc.assert(
      fc.property(lines, lines, lines, (base, a, b) => {
        expect(mergeText(base, a, b)).toBe(mergeText(base, b, a));
      }),
    );
  });

  it('gives the other side when one is unchanged, and one when both are the same', () => {
    fc.assert(
      fc.property(lines, lines, (base, a) => {
        expect(mergeText(base, base, a)).toBe(a);
        expect(mergeText(base, a, a)).toBe(a);
      }),
    );
  });

  it.each([
    ['changes apart', 'a\nb\nc\n', 'A\nb\nc\n', 'a\nb\nC\n', 'A\nb\nC\n'],
    ['changes that touch', 'a\nb\n', 'A\nb\n', 'a\nB\n', undefined],
    ['the same change', 'a\nb\n', 'x\nb\n', 'x\nb\n', 'x\nb\n'],
    ['two at the end', 'a\n', 'a\nx\n', 'a\ny\n', undefined],
    ['an end of line taken away', 'a\nb\nc\n', 'a\nb\nc', 'A\nb\nc\n', 'A\nb\nc'],
    ['one end of line against the other', 'a\nb\n', 'a\r\nb\n', 'a\nb\n', 'a\r\nb\n'],
  ])('%s', (_, base, ours, theirs, merged) => {
    expect(mergeText(base, ours, theirs)).toBe(merged);
  });
});

describe('changesOf', () => {
  it('tells what makes one list of the other', () => {
    fc.assert(
      fc.property(lines, lines, (before, after) => {
        const [old, fresh] = [linesOf(before), linesOf(after)];
        const out: string[] = [];
        let at = 0;
        for (const { from, to, lines: added } of changesOf(old, fresh)!) {
          // Two that touch would be one.
          expect(from > at || (from === 0 && at === 0)).toBe(true);
          out.push(...old.slice(at, from), ...added);
          at = to;
        }
        expect([...out, ...old.slice(at)]).toEqual(fresh);
      }),
    );
  });

  const many = (name: string, count: number): string[] =>
    Array.from({ length: count }, (_, n) => `${name} ${n}`);

  it('needs no budget for what is all in one place', () => {
    const old = many('old', 10);
    const added = many('new', 5 * MERGE_LIMITS.edits);
    expect(changesOf(old, [...old, ...added])).toEqual([{ from: 10, to: 10, lines: added }]);
  });

  it('gives up above its edits', () => {
    const half = MERGE_LIMITS.edits / 2;
    const [old, fresh] = [many('old', half), many('new', half)];
    expect(changesOf(old, fresh)).toEqual([{ from: 0, to: half, lines: fresh }]);
    expect(changesOf(old, [...fresh, 'one more'])).toBeUndefined();
  });

  it('gives up above its comparisons, which few edits can need', () => {
    const equal = Array.from({ length: 10_000 }, () => 'same');
    const [old, fresh] = [many('old', 100), many('new', 100)];
    const [before, after] = [
      [...old, ...equal, ...old],
      [...fresh, ...equal, ...fresh],
    ];
    const scarce = { ...MERGE_LIMITS, comparisons: 20_000 };
    expect(changesOf(before, after, scarce)).toBeUndefined();
    const ample = { ...scarce, comparisons: 10_000_000 };
    expect(changesOf(before, after, ample)).toHaveLength(2);
  });
});
