import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CustodianKeys } from '../../../src/core/consensus/custodian-keys.ts';
import { LIMITS } from '../../../src/core/consensus/limits.ts';
import { keyOf } from './support/bench.ts';

const first = [0, 1].map((index) => keyOf(index));

describe('the keys of custodians', () => {
  it('are at each height those that the blocks before have decided', () => {
    const change = fc.record({
      custodian: fc.integer({ min: 0, max: 1 }),
      height: fc.integer({ min: 1, max: 20 }),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
        const keys = new CustodianKeys(first);
        const expected = new Map<string, number>();
        let number = 0;
        for (let height = 1; height <= 20; height += 1) {
          for (const { custodian } of changes.filter((one) => one.height === height)) {
            number += 1;
            keys.change(custodian, height + 1, keyOf(custodian, number));
            expected.set(`${custodian} ${height + 1}`, number);
          }
          keys.advance(height);
          expect([keys.knows(height + 1), keys.knows(height + 2)]).toEqual([true, false]);
        }
        for (const custodian of [0, 1]) {
          let current = 0;
          for (let height = 1; height <= 22; height += 1) {
            current = expected.get(`${custodian} ${height}`) ?? current;
            expect(keys.at(custodian, height)).toEqual(keyOf(custodian, current));
          }
        }
      }),
    );
  });

  it('never change at a height that is known', () => {
    const keys = new CustodianKeys(first);
    expect(() => keys.change(0, 1, keyOf(0, 1))).toThrow(/never change/);
    keys.advance(1);
    expect(() => keys.change(0, 2, keyOf(0, 1))).toThrow(/never change/);
    expect(() => keys.change(2, 3, keyOf(2, 1))).toThrow(/of a custodian/);
    keys.change(0, 3, keyOf(0, 1));
    keys.advance(2);
    expect(() => keys.advance(0)).toThrow(/in their order/);
  });

  it('may be known from a later height on, and of no earlier one', () => {
    const keys = new CustodianKeys(first, 101);
    expect([100, 101, 102].map((height) => keys.knows(height))).toEqual([false, true, false]);
    expect(keys.at(0, 100)).toBeUndefined();
    expect(keys.at(0, 101)).toEqual(keyOf(0));
    expect(keys.at(5, 101)).toBeUndefined();
  });

  it('are remembered so far back and no further', () => {
    const keys = new CustodianKeys(first);
    for (let height = 1; height <= LIMITS.keyPeriods; height += 1) {
      keys.change(0, height + 1, keyOf(0, height));
      keys.advance(height);
    }
    expect(keys.at(0, 1)).toBeUndefined();
    expect([keys.knows(1), keys.knows(2)]).toEqual([false, true]);
    expect(keys.at(0, 2)).toEqual(keyOf(0, 1));
    expect(keys.at(1, 1)).toEqual(keyOf(1));
  });
});
