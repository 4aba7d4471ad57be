import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { clean, cut, fit, toAscii, widthOf } from '../../src/tui/text.ts';

/** Whatever can act on a terminal or reorder a row. */
const HARMFUL = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
const anyText = fc.string({ unit: 'binary', maxLength: 60 });

describe('clean', () => {
  test('shows escape sequences instead of sending them', () => {
    expect(clean('\u001b[31mred\u001b[0m')).toBe('\\u001b[31mred\\u001b[0m');
    expect(clean('two\nlines\tand\r')).toBe('two\\nlines\\tand\\r');
    expect(clean('\u009b2J')).toBe('\\u009b2J');
    expect(clean('evil\u202egpj.exe')).toBe('evil\\u202egpj.exe');
    expect(clean('half \ud800 pair')).toBe('half \\ud800 pair');
  });

  test('leaves names in any script alone', () => {
    expect(clean('Müller, 山田, Ἀθῆναι, שלום')).toBe('Müller, 山田, Ἀθῆναι, שלום');
  });

  test('whatever comes in, nothing harmful comes out, and twice is once', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          anyText,
          fc.string({
            unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
          }),
        ),
        (text) => {
          expect(clean(text)).not.toMatch(HARMFUL);
          expect(clean(clean(text))).toBe(clean(text));
        },
      ),
    );
  });

  test('looks at a bounded part of a text', () => {
    expect(clean('x'.repeat(1_000_000)).length).toBe(2048);
  });
});

describe('width', () => {
  test.each([
    ['abc', 3],
    ['山田', 4],
    ['e\u0301', 1],
    ['🚀', 2],
    ['', 0],
  ])('%s takes %i columns', (text, width) => {
    expect(widthOf(text)).toBe(width);
  });

  test('a fitted text has exactly the width asked for, a cut one at most', () => {
    fc.assert(
      fc.property(anyText, fc.nat(40), fc.constantFrom('left', 'right'), (text, width, align) => {
        expect(widthOf(fit(text, width, align))).toBe(width);
        expect(widthOf(cut(text, width))).toBeLessThanOrEqual(width);
        expect(widthOf(toAscii(fit(text, width, align)))).toBe(width);
      }),
    );
  });

  test('figures go to the right, and a cut is marked', () => {
    expect(fit('12', 5, 'right')).toBe('   12');
    expect(fit('long name', 5)).toBe('long~');
    expect(toAscii('Müller 山')).toBe('M?ller ??');
  });
});
