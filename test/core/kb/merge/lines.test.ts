import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isLog, mergeLines } from '../../../../src/core/kb/merge/lines.ts';

/** A log and what two have appended to it. */
const logs = fc
  .tuple(
    ...Array.from({ length: 3 }, () =>
      fc.array(
        fc.nat(50).map((n) => `entry ${n}`),
        { maxLength: 8 },
      ),
    ),
  )
  .map(([base = [], a = [], b = []]) => ({ base, a, b }));
const joined = (...lists: (readonly string[])[]): string =>
  lists
    .flat()
    .map((line) => `${line}\n`)
    .join('');

describe('mergeLines', () => {
  it('keeps all of a log and what was appended, of equal lines one', () => {
    fc.assert(
      fc.property(logs, ({ base, a, b }) => {
        const merged = mergeLines(joined(base), joined(base, a), joined(base, b))!;
        const rest = a.join() === b.join() ? [] : b.filter((line) => !a.includes(line));
        expect(merged).toBe(joined(base, a, rest));
      }),
    );
  });

  it.each([
    ['removed by one', 'a\nb\nc\n', 'a\nc\n', 'a\nb\nc\nd\n', 'a\nc\nd\n'],
    ['removed by both', 'a\nb\n', 'b\n', 'a\n', ''],
    ['a last line without its end', 'a', 'a\nb', 'a\nc\n', 'a\nb\nc\n'],
    ['no end on either side', 'a\n', 'a\nb', 'a\nc', 'a\nb\nc'],
    ['no base', '', 'a\nb\n', 'b\nc\n', 'a\nb\nc\n'],
    ['changed by both', 'a\nb\nc\n', 'a\nB\nc\n', 'a\nX\nc\n', 'a\nB\nX\nc\n'],
    ['empty lines', '\n\n', '\n\nx\n', '\n\n', '\n\nx\n'],
  ])('%s', (_, base, first, second, merged) => {
    expect(mergeLines(base, first, second)).toBe(merged);
  });

  it('gives up where the changes are too many and scattered', () => {
    const of = (name: string): string =>
      joined(Array.from({ length: 3000 }, (_, n) => (n % 2 === 0 ? `same ${n}` : `${name} ${n}`)));
    expect(mergeLines(of('old'), of('new'), joined(['short']))).toBeUndefined();
  });
});

it.each([
  ['app.log', true],
  ['.log', true],
  ['events.ndjson', true],
  ['events.jsonl', true],
  ['log', false],
  ['app.log.gz', false],
  ['app.LOG', false],
])('%s is a log: %s', (name, is) => {
  expect(isLog(name)).toBe(is);
});
