import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeEntries, mergeKinds } from '../../../../src/core/kb/merge/entries.ts';

type Names = Record<string, string>;
const mapOf = (names: Names): Map<string, { cidText: string }> =>
  new Map(Object.entries(names).map(([name, cidText]) => [name, { cidText }]));
const merged = (base: Names | undefined, ours: Names, theirs: Names) =>
  mergeEntries(base === undefined ? undefined : mapOf(base), mapOf(ours), mapOf(theirs)).map(
    ({ name, type, ...rest }) =>
      'entry' in rest ? `${type} ${name} ${rest.entry.cidText}` : `${type} ${name}`,
  );

describe('mergeEntries', () => {
  it.each([
    ['the same of both', { a: '1' }, { a: '2' }, { a: '2' }, ['take a 2']],
    ['changed by us', { a: '1' }, { a: '2' }, { a: '1' }, ['take a 2']],
    ['changed by them', { a: '1' }, { a: '1' }, { a: '2' }, ['take a 2']],
    ['changed by both', { a: '1' }, { a: '2' }, { a: '3' }, ['both a']],
    ['added by both', {}, { a: '2' }, { a: '3' }, ['both a']],
    ['added by each', {}, { b: '2' }, { a: '3' }, ['take a 3', 'take b 2']],
    ['removed by one', { a: '1' }, {}, { a: '1' }, ['delete a']],
    ['removed by both', { a: '1' }, {}, {}, ['delete a']],
    ['removed by us, changed by them', { a: '1' }, {}, { a: '2' }, ['conflict a 2']],
    ['removed by them, changed by us', { a: '1' }, { a: '2' }, {}, ['conflict a 2']],
    ['without a base', undefined, { a: '1' }, { a: '1', b: '2' }, ['take a 1', 'take b 2']],
  ])('%s', (_, base, ours, theirs, results) => {
    expect(merged(base, ours, theirs)).toEqual(results);
  });

  it('says the same whichever side comes first', () => {
    const names = fc.dictionary(
      fc.constantFrom('a', 'b', '__proto__', 'é'),
      fc.constantFrom('1', '2', '3'),
    );
    fc.assert(
      fc.property(names, names, names, (base, a, b) => {
        expect(merged(base, a, b)).toEqual(merged(base, b, a));
      }),
    );
  });
});

it.each([
  ['directory', 'directory', 'directory', 'descend'],
  [undefined, 'directory', 'directory', 'descend'],
  ['file', 'directory', 'directory', 'conflict'],
  ['file', 'file', 'file', 'file'],
  [undefined, 'file', 'file', 'file'],
  ['file', 'file', 'directory', 'conflict'],
  ['symlink', 'symlink', 'symlink', 'conflict'],
] as const)('of %s, %s and %s: %s', (base, ours, theirs, result) => {
  expect(mergeKinds({ base, ours, theirs })).toBe(result);
});
