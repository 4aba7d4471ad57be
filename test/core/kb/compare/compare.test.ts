import { applyPatch } from 'diff';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareJson } from '../../../../src/core/kb/compare/json.ts';
import { compareText, type TextDifference } from '../../../../src/core/kb/compare/text.ts';
import { MERGE_LIMITS } from '../../../../src/core/kb/merge/limits.ts';

const text = fc
  .array(fc.constantFrom('a', 'b', 'c', ''), { maxLength: 15 })
  .map((lines) => lines.map((line) => `${line}\n`).join(''));

/** As `diff -u` writes it. */
const unified = ({ hunks }: TextDifference): string =>
  [
    '--- a',
    '+++ b',
    ...hunks.flatMap(({ aLine, aLines, bLine, bLines, lines }) => [
      `@@ -${aLine},${aLines} +${bLine},${bLines} @@`,
      ...lines,
    ]),
    '',
  ].join('\n');

describe('compareText', () => {
  it('makes patches that another program applies', () => {
    fc.assert(
      fc.property(text, text, fc.nat(4), (a, b, context) => {
        const difference = compareText(a, b, context);
        if (a === b) expect(difference.hunks).toEqual([]);
        else expect(applyPatch(a, unified(difference))).toBe(b);
      }),
      { numRuns: 500 },
    );
  });

  it('shows so many lines around a change, and joins changes that are near', () => {
    const lines = Array.from({ length: 20 }, (_, n) => `${n}\n`);
    const changed = lines.with(3, 'x\n').with(8, 'y\n');
    const far = compareText(lines.join(''), changed.join(''), 1);
    expect(far.hunks).toEqual([
      { aLine: 3, aLines: 3, bLine: 3, bLines: 3, lines: [' 2', '-3', '+x', ' 4'] },
      { aLine: 8, aLines: 3, bLine: 8, bLines: 3, lines: [' 7', '-8', '+y', ' 9'] },
    ]);
    expect(compareText(lines.join(''), changed.join(''), 2).hunks).toHaveLength(1);
  });

  it('says whose last line has no end', () => {
    expect(compareText('a\n', 'a', 3)).toMatchObject({
      ...{ isOpenA: false, isOpenB: true, hunks: [{ lines: ['-a', '+a'] }] },
    });
  });

  it('takes all between the first and the last change for one, when there are too many', () => {
    const of = (name: string): string => {
      const lines = Array.from({ length: MERGE_LIMITS.edits }, (_, n) => `${name} ${n}\n`);
      return ['head\n', ...lines, 'tail\n'].join('');
    };
    const { hunks } = compareText(of('old'), of('new'), 0);
    const aLines = MERGE_LIMITS.edits;
    expect(hunks).toMatchObject([{ aLine: 2, aLines, bLine: 2, bLines: aLines }]);
  });
});

describe('compareJson', () => {
  it.each([
    ['{"a":1,"b":2}', '{"b":2,"a":1}', []],
    ['{"a":1}', '{"a":1.0}', [['/a', '1', '1.0']]],
    [
      '{"a":{"b":1,"c":2}}',
      '{"a":{"b":1,"d":[3]}}',
      [
        ['/a/c', '2', null],
        ['/a/d', null, '[3]'],
      ],
    ],
    ['{"a":[1]}', '{"a":[1,2]}', [['/a', '[1]', '[1,2]']]],
    [
      '{"__proto__":1}',
      '{"a/b~":{}}',
      [
        ['/__proto__', '1', null],
        ['/a~1b~0', null, '{}'],
      ],
    ],
  ])('%s against %s', (a, b, members) => {
    const expected = members.map(([pointer, x, y]) => ({ pointer, a: x, b: y }));
    expect(compareJson(a, b)).toEqual({ type: 'json', members: expected });
  });

  it('knows nothing of what is no object', () => {
    expect(compareJson('[1]', '{}')).toBeUndefined();
    expect(compareJson('{}', '{"a":1,"a":1}')).toBeUndefined();
  });
});
