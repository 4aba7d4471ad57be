import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ageMs, latency, percent, rate, shortSpan, size, span } from '../../src/tui/format.ts';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 KiB'],
  [1536, '1.5 KiB'],
  [102_400, '100 KiB'],
  [20_971_520, '20.0 MiB'],
  [undefined, '-'],
  [Number.NaN, '-'],
  [-1, '-'],
])('%s bytes are %s', (bytes, text) => {
  expect(size(bytes)).toBe(text);
});

test('a size never needs more than nine columns, a latency never more than eight', () => {
  fc.assert(
    fc.property(fc.nat(Number.MAX_SAFE_INTEGER), fc.double({ min: 0, max: 9e6 }), (bytes, ms) => {
      expect(size(bytes).length).toBeLessThanOrEqual(9);
      expect(latency(ms).length).toBeLessThanOrEqual(8);
    }),
  );
});

test('spans have their two largest units', () => {
  expect(span(0)).toBe('0 s');
  expect(span(200_000)).toBe('3 min 20 s');
  expect(span(7_500_000)).toBe('2 h 5 min');
  expect(span(356_400_000)).toBe('4 d 3 h');
  expect(shortSpan(356_400_000)).toBe('4 d');
  expect(shortSpan(undefined)).toBe('-');
  expect(span(-5)).toBe('0 s');
});

test('rates, latencies and shares carry their unit', () => {
  expect(rate(2048)).toBe('2.0 KiB/s');
  expect(rate(Number.NaN)).toBe('-');
  expect(latency(0.42)).toBe('0.4 ms');
  expect(latency(31)).toBe('31 ms');
  expect(latency(1200)).toBe('1.2 s');
  expect(percent(2.13)).toBe('2.1 %');
});

test('the age of a time that is none is unknown, of one in the future nought', () => {
  expect(ageMs('2026-11-20T12:00:00Z', Date.parse('2026-11-20T12:00:05Z'))).toBe(5000);
  expect(ageMs('2026-11-20T12:00:00Z', 0)).toBe(0);
  expect(ageMs('yesterday', 0)).toBeUndefined();
  expect(ageMs(null, 0)).toBeUndefined();
});
