import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoff, fraction } from '../../../src/core/peers/jitter.ts';

describe('jitter', () => {
  it('is a fraction that depends on its arguments alone', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.nat(), (self, peer, attempt) => {
        const part = fraction(self, peer, attempt);
        expect(part).toBeGreaterThanOrEqual(0);
        expect(part).toBeLessThan(1);
        expect(fraction(self, peer, attempt)).toBe(part);
      }),
    );
    expect(fraction('a', 'b', 1)).not.toBe(fraction('b', 'a', 1));
    expect(fraction('a', 'b', 1)).not.toBe(fraction('a', 'b', 2));
  });

  it('never leaves its bounds, however often a dial has failed', () => {
    const limits = { minMs: 250, maxMs: 30_000 };
    fc.assert(
      fc.property(
        fc.nat({ max: 1e9 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (n, part) => {
          const pause = backoff(n, part, limits);
          expect(pause).toBeGreaterThanOrEqual(250);
          expect(pause).toBeLessThanOrEqual(30_000);
        },
      ),
    );
    expect(backoff(0, 0, limits)).toBe(250);
    expect(backoff(3, 0, limits)).toBe(2000);
    expect(backoff(60, 0, limits)).toBe(15_000);
  });
});
