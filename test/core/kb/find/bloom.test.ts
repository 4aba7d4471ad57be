import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bloom } from '../../../../src/core/kb/find/bloom.ts';
import { after, GrownFilter } from '../../../../src/core/kb/find/grown-filter.ts';
import { FIND_LIMITS } from '../../../../src/core/kb/find/limits.ts';
import { Terms, termsKeyOf } from '../../../../src/core/kb/find/terms.ts';

const terms = new Terms(termsKeyOf(new Uint8Array(32)));
const term = (n: number): string => terms.word(`word${n}`);
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, n) => from + n);

describe('W35: filters', () => {
  it('have every term that was added', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(), { maxLength: 200 }), (numbers) => {
        const bloom = Bloom.empty();
        for (const n of numbers) bloom.add(term(n));
        for (const n of numbers) expect(bloom.has(term(n))).toBe(true);
      }),
    );
  });

  it('err in at most 1 % of the cases at their design load', () => {
    const bloom = Bloom.empty(2 ** 17);
    let load = 0;
    for (; !bloom.isFull; load += 1) bloom.add(term(load));
    const wrong = range(load, load + 20_000).filter((n) => bloom.has(term(n)));
    expect(load).toBeGreaterThan(12_500);
    expect(wrong.length).toBeLessThan(200);
  });

  it('are not believed beyond 60 %', () => {
    const bloom = Bloom.of(new Uint8Array(128).fill(0xff, 0, 76));
    expect(bloom.isTrusted).toBe(true);
    expect(Bloom.of(new Uint8Array(128).fill(0xff, 0, 77)).isTrusted).toBe(false);
    expect(Bloom.of(new Uint8Array(128).fill(0xff)).isTrusted).toBe(false);
  });

  it.each([0, 64, 127, 129, 384, FIND_LIMITS.filterBitsMax / 4])(
    'do not have %i bytes',
    (length) => {
      expect(() => Bloom.of(new Uint8Array(length))).toThrow(
        expect.objectContaining({ code: 'BAD_ENCODING' }),
      );
    },
  );

  it('are not full at their greatest size: they cannot grow', () => {
    const bytes = new Uint8Array(FIND_LIMITS.filterBitsMax / 8).fill(0xff);
    expect(Bloom.of(bytes)).toMatchObject({ isFull: false, isTrusted: false });
  });
});

describe('W34: news of a filter', () => {
  it('bring a peer to the same bits, from whatever it knew', () => {
    const step = fc.tuple(fc.nat({ max: 40 }), fc.boolean());
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const own = new GrownFilter('00'.repeat(8));
        let known: Bloom | undefined;
        let state = own.state;
        let next = 0;
        for (const [count, asks] of steps) {
          own.add(range(next, next + count).map(term));
          next += count;
          if (!asks) continue;
          const news = own.since(known === undefined ? undefined : state);
          known = after(known, news);
          state = { epoch: news.epoch, ones: news.ones };
          expect(known.ones).toBe(own.state.ones);
          expect(range(0, next).every((n) => known?.has(term(n)))).toBe(true);
        }
      }),
    );
  });

  it('are small where little has changed, and nothing where nothing has', () => {
    const own = new GrownFilter('00'.repeat(8), 2 ** 16);
    own.add(range(0, 500).map(term));
    const { state } = own;
    expect(own.since(undefined).type).toBe('whole');
    expect(own.since(state).type).toBe('same');
    own.add([term(1000)]);
    const news = own.since(state);
    expect(news).toMatchObject({ type: 'added' });
    expect(news.type === 'added' && news.positions.length).toBeLessThanOrEqual(7);
  });

  it('are all of it for another epoch, and for what was never so', () => {
    const own = new GrownFilter('00'.repeat(8), 2 ** 16);
    own.add([term(1)]);
    expect(own.since({ epoch: 'ff'.repeat(8), ones: 3 }).type).toBe('whole');
    expect(own.since({ ...own.state, ones: own.state.ones + 1 }).type).toBe('whole');
  });

  it('remember only so many bits', () => {
    const own = new GrownFilter('00'.repeat(8), FIND_LIMITS.filterBitsMax);
    const { state } = own;
    own.add(range(0, 30_000).map(term));
    expect(own.since(state).type).toBe('whole');
  });

  it('that do not fit are refused', () => {
    const bloom = Bloom.empty();
    const state = { epoch: '00'.repeat(8), ones: 1 };
    const refusal = expect.objectContaining({ code: 'BAD_ENCODING' });
    expect(() => after(bloom, { ...state, type: 'added', positions: [1024] })).toThrow(refusal);
    expect(() => after(bloom, { ...state, type: 'added', positions: [] })).toThrow(refusal);
    expect(() => after(undefined, { ...state, type: 'same' })).toThrow(refusal);
  });
});
