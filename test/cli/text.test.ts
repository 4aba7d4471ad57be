import fc from 'fast-check';
import { expect, test } from 'vitest';
import { safeText, textWidth } from '../../src/cli/text.ts';

test('escape sequences and control characters become visible', () => {
  expect(safeText('\u001b[31mred\u001b]0;title\u0007')).toBe(
    '\\u001b[31mred\\u001b]0;title\\u0007',
  );
  expect(safeText('two\nlines\tand\rmore')).toBe('two\\nlines\\tand\\rmore');
  expect(safeText('invoice\u202egpj.exe')).toBe('invoice\\u202egpj.exe');
  expect(safeText('\u009b31m')).toBe('\\u009b31m');
  expect(safeText('a\ud800b')).toBe('a\\ud800b');
});

test('ordinary names of all peoples stay as they are', () => {
  for (const name of ['notes.md', 'Über uns.txt', '資料/計画.md', 'सूची', 'café', '🎉.png', '\\n']) {
    expect(safeText(name)).toBe(name);
  }
});

test('what comes out holds nothing that a terminal acts on', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(safeText(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
    }),
  );
});

test('width counts cells, not characters', () => {
  expect(textWidth('abc')).toBe(3);
  expect(textWidth('資料')).toBe(4);
  expect(textWidth('e\u0301')).toBe(1);
  expect(textWidth('\u001b[31mred\u001b[0m')).toBe(3);
});
