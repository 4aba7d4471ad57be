import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CustodianSet, CustodianSets } from '../../../src/core/consensus/custodian-sets.ts';
import { LIMITS } from '../../../src/core/consensus/limits.ts';
import { custodiansDigest } from '../../../src/core/model/custodians.ts';
import { keyOf } from './support/bench.ts';

/** By number, each with the key of a number. */
const setOf = (...members: (readonly [custodian: number, key: number])[]): CustodianSet =>
  new CustodianSet(members.map(([custodian, key]) => keyOf(custodian, key)));
const first = setOf([0, 0], [1, 0]);

const anySet = fc
  .uniqueArray(fc.tuple(fc.nat(5), fc.nat(2)), {
    minLength: 1,
    maxLength: 5,
    selector: ([custodian]) => custodian,
  })
  .map((members) => setOf(...members));

describe('a set of custodians', () => {
  it('gives each the place of its node id, in whatever order they come', () => {
    const numbers = fc.uniqueArray(fc.nat(255), { minLength: 1, maxLength: 256 });
    fc.assert(
      fc.property(numbers, (list) => {
        const set = new CustodianSet(list.map((number) => keyOf(number)));
        const ids = list.map((number) => keyOf(number).nodeId).toSorted();
        expect(set.nodeIds).toEqual(ids);
        expect(set.size).toBe(list.length);
        for (const [index, nodeId] of ids.entries()) expect(set.indexOf(nodeId)).toBe(index);
        expect(set.indexOf('node-999')).toBe(-1);
      }),
    );
  });

  it('is told apart by nodes and consensus keys in its digest, and by nodes as members', () => {
    fc.assert(
      fc.property(anySet, anySet, (one, other) => {
        expect(one.digest).toEqual(custodiansDigest(one.custodians));
        const isSame = one.isSame(other);
        expect(Buffer.compare(one.digest, other.digest) === 0).toBe(isSame);
        if (isSame) expect(one.hasSameMembers(other)).toBe(true);
        expect(one.hasSameMembers(other)).toBe(one.nodeIds.join() === other.nodeIds.join());
      }),
    );
    expect(setOf([0, 0], [1, 1]).hasSameMembers(first)).toBe(true);
    expect(setOf([0, 0], [1, 1]).isSame(first)).toBe(false);
  });

  it('is of 1 to 256, each once', () => {
    const all = Array.from({ length: 257 }, (_, number) => keyOf(number));
    expect(() => new CustodianSet(all)).toThrow(/1 to 256/);
    expect(() => new CustodianSet([])).toThrow(/1 to 256/);
    expect(() => setOf([0, 0], [0, 1])).toThrow(/twice/);
    expect(new CustodianSet(all.slice(0, 256)).size).toBe(256);
  });
});

describe('C1: the custodians by height', () => {
  it('are those that the blocks before have decided, the last of each block', () => {
    const change = fc.record({ height: fc.integer({ min: 1, max: 20 }), set: anySet });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
        const sets = new CustodianSets(first);
        const expected = [first, first];
        for (let height = 1; height <= 20; height += 1) {
          for (const { set } of changes.filter((one) => one.height === height)) {
            sets.change(height + 1, set);
            expected[height + 1] = set;
          }
          expected[height + 1] ??= expected[height]!;
          sets.advance(height);
          expect([sets.knows(height + 1), sets.knows(height + 2)]).toEqual([true, false]);
          expect(sets.knownTo).toBe(height + 1);
        }
        for (let height = 1; height <= 22; height += 1) {
          expect(sets.at(height)?.isSame(expected[Math.min(height, 21)]!)).toBe(true);
        }
      }),
    );
  });

  it('never change at a height that is known', () => {
    const sets = new CustodianSets(first);
    expect(() => sets.change(1, setOf([0, 1]))).toThrow(/never change/);
    sets.advance(1);
    expect(() => sets.change(2, setOf([0, 1]))).toThrow(/never change/);
    sets.change(3, setOf([2, 0]));
    sets.advance(2);
    expect(() => sets.advance(0)).toThrow(/in their order/);
  });

  it('may be known from a later height on, and of no earlier one', () => {
    const sets = new CustodianSets(first, 101);
    expect([100, 101, 102].map((height) => sets.knows(height))).toEqual([false, true, false]);
    expect(sets.at(100)).toBeUndefined();
    expect([sets.at(101), sets.at(102)]).toEqual([first, first]);
  });

  it('are remembered so far back and no further, and those that stay cost nothing', () => {
    const sets = new CustodianSets(first);
    for (let height = 1; height < 1000; height += 1) {
      sets.change(height + 1, setOf([0, 0], [1, 0]));
      sets.advance(height);
    }
    expect([sets.at(1), sets.knows(1)]).toEqual([first, true]);
    for (let count = 0; count < LIMITS.custodianSets; count += 1) {
      sets.change(1001 + count, setOf([0, count + 1]));
      sets.advance(1000 + count);
    }
    expect([sets.at(1), sets.knows(1), sets.knows(1000)]).toEqual([undefined, false, false]);
    expect(sets.knows(1001)).toBe(true);
    expect(sets.at(1001)?.isSame(setOf([0, 1]))).toBe(true);
  });
});
