import fc from 'fast-check';
import { expect, test } from 'vitest';
import { editDistance, nearest } from '../../src/cli/suggest.ts';

test.each([
  ['', '', 0],
  ['abc', 'abc', 0],
  ['abc', 'abd', 1],
  ['abc', 'acb', 1],
  ['abc', '', 3],
  ['kitten', 'sitting', 3],
])('%s to %s takes %d', (a, b, distance) => expect(editDistance(a, b)).toBe(distance));

test('the distance is a metric as far as suggestions need it', () => {
  const word = fc.string({ maxLength: 8 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b);
      expect(distance).toBe(editDistance(b, a));
      expect(distance === 0).toBe(a === b);
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
    }),
  );
});

test('only what is near is suggested', () => {
  expect(nearest('statsu', ['status', 'start', 'stop'])).toBe('status');
  expect(nearest('--jsn', ['--json', '--home'])).toBe('--json');
  expect(nearest('--nope', ['--home', '--json'])).toBeUndefined();
  expect(nearest('xyz', ['put', 'get'])).toBeUndefined();
});
