import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lineWidth, plain } from '../../src/tui/line.ts';
import { bars, sparkline } from '../../src/tui/sparkline.ts';

const options = { label: 'cpu', format: (n: number) => `${n} %`, columns: 80, ascii: false };

describe('bars', () => {
  test('go from the least to the greatest of what is shown', () => {
    expect(bars([0, 1, 2, 3, 4, 5, 6, 7], 8, false)).toBe('▁▂▃▄▅▆▇█');
    expect(bars([0, 7], 8, true)).toBe('_@');
  });

  test('show the newest values and leave gaps open', () => {
    expect(bars([9, 9, 0, Number.NaN, 1], 3, false)).toBe('▁ █');
    expect(bars([Number.NaN], 3, false)).toBe('');
    expect(bars([5, 5], 3, false)).toBe('▁▁');
  });
});

describe('sparkline', () => {
  test('prints the newest value, the least and the greatest', () => {
    const text = plain(sparkline([1, 5, 3], options));
    expect(text).toContain('3 %');
    expect(text).toMatch(/min +1 % +max +5 %$/);
  });

  test('fits every width, with and without values', () => {
    const values = fc.array(fc.oneof(fc.double({ min: 0, max: 1000 }), fc.constant(Number.NaN)));
    fc.assert(
      fc.property(values, fc.integer({ min: 30, max: 200 }), (series, columns) => {
        const format = (n: number) => n.toFixed(0);
        const row = sparkline(series, { ...options, columns, format });
        expect(lineWidth(row)).toBeLessThanOrEqual(columns);
      }),
    );
  });
});
