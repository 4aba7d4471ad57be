import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { faultyMax } from '../../../src/core/consensus/quorum.ts';
import { LeaderSchedule } from '../../../src/core/consensus/schedule.ts';
import { sha256 } from '../../../src/core/crypto/hash.ts';

const options = { clusterId: 'c', custodians: 7, epochHeights: 4 };
const seedOf = (name: string): Uint8Array => sha256(Buffer.from(name));
const seed = (height: number) => (height % 4 === 0 ? { seed: seedOf(String(height)) } : {});

/** Goes on to the height after `height`. */
function advanced(height: number, viewOf: (height: number) => number = () => 0): LeaderSchedule {
  let schedule = new LeaderSchedule(options);
  for (let h = 1; h <= height; h += 1) {
    schedule = schedule.next({ height: h, view: viewOf(h), ...seed(h) });
  }
  return schedule;
}

const leaders = (schedule: LeaderSchedule, height: number, views = 7): number[] =>
  Array.from({ length: views }, (_, view) => schedule.leaderOf(height, view));

describe('L1: seeds', () => {
  it('begin with the hash of the cluster id and change with each epoch', () => {
    const schedule = new LeaderSchedule(options);
    expect(schedule.seed(1)).toEqual(sha256(Buffer.from('c')));
    expect([1, 4, 5, 8, 9].map((height) => schedule.epochOf(height))).toEqual([0, 0, 1, 1, 2]);
    expect(advanced(3).seed(4)).toEqual(sha256(Buffer.from('c')));
    expect(advanced(4).seed(5)).toEqual(seedOf('4'));
  });

  it('must come with the last height of an epoch, and with no other', () => {
    expect(() => advanced(3).next({ height: 4, view: 0 })).toThrow(/seed/);
    expect(() => advanced(2).next({ height: 3, view: 0, seed: seedOf('x') })).toThrow(/seed/);
    expect(() => advanced(2).next({ height: 5, view: 0 })).toThrow(/one after the other/);
  });
});

describe('L2: order', () => {
  it('gives each custodian one view of n in a row, and moves on with the height', () => {
    const first = leaders(advanced(0), 1);
    expect(first.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(leaders(advanced(1), 2)).toEqual([...first.slice(1), first[0]]);
    expect(leaders(advanced(4), 5)).not.toEqual([...first.slice(4), ...first.slice(0, 4)]);
  });

  it('is known of the next height only', () => {
    expect(() => advanced(2).leaderOf(2, 0)).toThrow(/next height/);
  });

  it('draws every order alike', () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 3000; i += 1) {
      const schedule = new LeaderSchedule({ clusterId: `c${i}`, custodians: 3 });
      const order = leaders(schedule, 1, 3).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 500)).toBeLessThan(100);
  });
});

describe('L3: passed over', () => {
  it('are the last f distinct leaders whose views failed, for 32 heights each', () => {
    let before = advanced(1);
    const [a, b, c] = leaders(before, 2);
    before = before.next({ height: 2, view: 3 });
    expect(before.passedOver(3)).toEqual([b!, c!].toSorted((x, y) => x - y));
    const next = leaders(before, 3, 10);
    expect(next).not.toContain(b);
    expect(next).not.toContain(c);
    expect(next).toContain(a);
    for (let h = 3; h <= 33; h += 1) before = before.next({ height: h, view: 0, ...seed(h) });
    expect(before.passedOver(34)).toHaveLength(2);
    before = before.next({ height: 34, view: 0 });
    expect(before.passedOver(35)).toEqual([]);
  });

  it('never so many that a leader is missing, nor one that has just led', () => {
    const views = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(views, fc.integer({ min: 1, max: 10 }), (list, custodians) => {
        let schedule = new LeaderSchedule({ clusterId: 'c', custodians });
        for (const [i, view] of list.slice(0, 63).entries()) {
          const proposer = schedule.leaderOf(i + 1, view);
          schedule = schedule.next({ height: i + 1, view });
          const out = schedule.passedOver(i + 2);
          expect(out.length).toBeLessThanOrEqual(faultyMax(custodians));
          if (view > 0) expect(out).not.toContain(proposer);
          // Any f + 1 views in a row have different leaders, so one that follows the rules.
          const row = Array.from({ length: faultyMax(custodians) + 1 }, (_, v) =>
            schedule.leaderOf(i + 2, view + v),
          );
          expect(new Set(row).size).toBe(row.length);
        }
      }),
    );
  });

  it('costs no time for a view that is far away', () => {
    const schedule = new LeaderSchedule(options).next({ height: 1, view: 2 ** 32 - 1 });
    expect(schedule.passedOver(2)).toHaveLength(2);
  });
});

describe('E5: other custodians', () => {
  it('go on with the seed, and pass nobody over, be there as many of them or not', () => {
    const before = advanced(1).next({ height: 2, view: 3 });
    expect(before.passedOver(3)).toHaveLength(2);
    for (const count of [1, 4, 7, 10]) {
      const after = before.next({ height: 3, view: 1 }, count);
      expect(after.passedOver(4)).toEqual([]);
      expect(after.seed(4)).toEqual(before.seed(3));
      const all = Array.from({ length: count }, (_, index) => index);
      expect(leaders(after, 4, count).toSorted((a, b) => a - b)).toEqual(all);
    }
  });

  it('may begin where a seed epoch begins', () => {
    const after = advanced(3).next({ height: 4, view: 0, seed: seedOf('x') }, 3);
    expect([after.seed(5), after.epochOf(5)]).toEqual([seedOf('x'), 1]);
  });
});

describe('a schedule', () => {
  it('never changes, and is named by its digest', () => {
    const [before, twin] = [advanced(2), advanced(2)];
    const order = leaders(before, 3);
    const after = before.next({ height: 3, view: 2 });
    expect([leaders(before, 3), before.digest]).toEqual([order, twin.digest]);
    expect(before.digest).toEqual(sha256(before.snapshot()));
    expect(after.digest).not.toEqual(before.digest);
    expect(before.next({ height: 3, view: 0 }).digest).not.toEqual(after.digest);
  });
});

describe('snapshots', () => {
  it('restore the schedule', () => {
    const views = fc.array(fc.nat(9), { maxLength: 30 });
    fc.assert(
      fc.property(views, (list) => {
        const schedule = advanced(list.length, (height) => list[height - 1]!);
        const again = LeaderSchedule.restore(options, schedule.snapshot());
        expect(leaders(again, list.length + 1)).toEqual(leaders(schedule, list.length + 1));
        expect(again.snapshot()).toEqual(schedule.snapshot());
        expect(again.digest).toEqual(schedule.digest);
      }),
    );
  });

  it('refuse hostile bytes', () => {
    const bytes = fc.uint8Array({ maxLength: 100 });
    fc.assert(
      fc.property(bytes, (hostile) => {
        expect(() => LeaderSchedule.restore(options, hostile)).toThrow(/./);
      }),
    );
  });
});
