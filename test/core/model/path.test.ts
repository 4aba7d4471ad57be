import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { hasCode } from '../../../src/core/errors.ts';
import { PATH_BYTES_MAX, parsePath } from '../../../src/core/model/path.ts';

test('good paths come back unchanged', () => {
  const good = ['a', 'a/b/c.md', '.hidden', '...', 'a b', 'line\nbreak', '\u00fc/\u{1f511}', '-x'];
  for (const path of good) expect(parsePath(path)).toBe(path);
  expect(parsePath('x'.repeat(PATH_BYTES_MAX))).toHaveLength(PATH_BYTES_MAX);
});

test('bad paths are refused', () => {
  const bad = {
    empty: '',
    absolute: '/a',
    'ending in a slash': 'a/',
    'an empty part': 'a//b',
    'this directory': 'a/./b',
    'the parent directory': '../a',
    'the parent at the end': 'a/..',
    NUL: 'a\0b',
    'half a surrogate pair': 'a\ud800',
    'one byte too long': 'x'.repeat(PATH_BYTES_MAX + 1),
    'too long in bytes though not in characters': '\u00fc'.repeat(PATH_BYTES_MAX / 2 + 1),
  };
  for (const [what, path] of Object.entries(bad)) {
    expect(() => parsePath(path), what).toThrow(
      expect.toSatisfy((error) => hasCode(error, 'BAD_REQUEST')) as Error,
    );
  }
});

test('an accepted path never leaves its place', () => {
  const unit = fc.constantFrom('a', '.', '/', '\0', '\ud800', '\n', '\u00fc');
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 12 }), (text) => {
      try {
        const parts = parsePath(text).split('/');
        return parts.every((part) => part !== '' && part !== '.' && part !== '..');
      } catch (error) {
        return hasCode(error, 'BAD_REQUEST');
      }
    }),
    { numRuns: 2000 },
  );
});
