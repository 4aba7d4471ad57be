import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pairsOf, quoted, shown, unquoted } from '../../../../src/core/tor/control/text.ts';

test('a text that is quoted is one line of ASCII, and comes back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(quoted(text)).toMatch(/^"[\x20-\x7e]*"$/);
      expect(unquoted(quoted(text))).toBe(text);
      expect(pairsOf(`A=1 B=${quoted(text)} C=2`).get('C')).toBe('2');
    }),
  );
});

test('escapes of Tor', () => {
  expect(unquoted(String.raw`"a\"\\\n\t\r\303\274\q"`)).toBe('a"\\\n\t\rüq');
  expect(unquoted('no quotes')).toBeUndefined();
  expect(unquoted('"without end')).toBeUndefined();
});

test('pairs: the first of a name counts, in quotes or not', () => {
  const pairs = pairsOf('650 x A=1 B="a b=c" A=2 C= D="open');
  expect(Object.fromEntries(pairs)).toEqual({ A: '1', B: 'a b=c', C: '', D: '"open' });
});

test('what is shown is one line of plain text, and not a long one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
      const text = Buffer.from(bytes).toString('latin1');
      expect(shown(text)).toMatch(/^[\x20-\x7e]{0,200}$/);
    }),
  );
});

test('long hostile text is read in time that grows with its length only', () => {
  const text = `${'A="'.repeat(20_000)}${'\\'.repeat(5000)}`;
  expect(pairsOf(text).get('A')).toBeDefined();
});
