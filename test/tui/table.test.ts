import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blocksTable } from '../../src/tui/panes/blocks.ts';
import { kbTable } from '../../src/tui/panes/kb.ts';
import { peersTable } from '../../src/tui/panes/peers.ts';
import { place } from '../../src/tui/table.ts';

const total = (placed: ReturnType<typeof place>): number =>
  placed.reduce((sum, one) => sum + one.columns, 0) + placed.length - 1;

describe.each([
  ['peers', peersTable.columns],
  ['knowledge base', kbTable.columns],
  ['blocks', blocksTable.columns],
] as const)('the columns of %s', (_, columns) => {
  const titles = (width: number): string[] =>
    place<never>(columns, width).map((one) => one.column.title);

  test('fill the width exactly, at every width that has room for what always stays', () => {
    fc.assert(
      fc.property(fc.integer({ min: 30, max: 300 }), (width) => {
        expect(total(place<never>(columns, width))).toBe(width);
      }),
    );
  });

  test('go one after the other, and none comes back when it gets narrower', () => {
    for (let width = 200; width > 0; width -= 1) {
      const wider = titles(width + 1);
      expect(wider).toEqual(expect.arrayContaining(titles(width)));
    }
    expect(titles(200).length).toBe(columns.length);
    expect(titles(10).length).toBe(2);
  });
});
