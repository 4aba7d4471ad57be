import { beforeEach, describe, expect, it } from 'vitest';
import type { LogEntry } from '../../../src/core/machine.ts';
import { SimClock } from '../../../src/core/sim/clock.ts';
import { SimDisk } from '../../../src/core/sim/disk.ts';
import { SimRandom } from '../../../src/core/sim/random.ts';
import { instant } from '../../../src/core/units.ts';

const entry = (key: string, value?: number): LogEntry => ({
  table: 't',
  key,
  value: value === undefined ? undefined : Uint8Array.of(value),
});

describe('SimDisk', () => {
  let clock: SimClock;
  let disk: SimDisk;
  beforeEach(() => {
    clock = new SimClock(instant(0));
    disk = new SimDisk({ minMs: 1, maxMs: 20 }, { clock, random: new SimRandom('disk') });
  });

  it('reports commits when they are durable, in their order', () => {
    const done: number[] = [];
    for (let i = 0; i < 20; i += 1) {
      disk.commit([entry('k', i)], () => {
        expect(disk.scan('t')).toEqual([{ table: 't', key: 'k', value: Uint8Array.of(i) }]);
        done.push(i);
      });
    }
    expect(disk.scan('t')).toEqual([]);
    clock.runUntil(instant(1000));
    expect(done).toEqual([...Array(20).keys()]);
  });

  it('loses in a crash what was not reported, and nothing else', () => {
    const done: string[] = [];
    disk.commit([entry('a', 1), entry('b', 1)], () => done.push('first'));
    clock.runUntil(instant(20));
    disk.commit([entry('a'), entry('c', 1)], () => done.push('second'));
    disk.putRoot('r', () => done.push('root'));
    disk.crash();
    clock.runUntil(instant(1000));
    expect(done).toEqual(['first']);
    expect(disk.scan('t').map(({ key }) => key)).toEqual(['a', 'b']);
    expect(disk.hasRoot('r')).toBe(false);
  });

  it('may have written in a crash what it did not report', () => {
    disk.commit([entry('a', 1)], () => expect.unreachable());
    disk.commit([entry('b', 1)], () => expect.unreachable());
    expect(disk.isWriting).toBe(true);
    disk.crash('landed');
    clock.runUntil(instant(1000));
    expect(disk.scan('t').map(({ key }) => key)).toEqual(['a']);
    disk.commit([entry('c', 1)], () => expect.unreachable());
    disk.crash('torn');
    clock.runUntil(instant(2000));
    expect(disk.has('t', 'c')).toBe(false);
  });

  it('refuses commits while it is full, and one that fails to sync', () => {
    const told: (string | undefined)[] = [];
    const commit = (key: string): void => {
      disk.commit([entry(key, 1)], (fault) => told.push(fault));
      clock.runUntil(instant(clock.now() + 100));
    };
    disk.isFull = true;
    commit('a');
    disk.isFull = false;
    commit('b');
    disk.failsToSync = true;
    commit('c');
    commit('d');
    expect(told).toEqual(['full', undefined, 'sync', undefined]);
    expect(disk.scan('t').map(({ key }) => key)).toEqual(['b', 'd']);
  });

  it('goes back to what it held some transactions ago, and is in doubt then', () => {
    const options = { minMs: 1, maxMs: 20, keepsHistory: true };
    disk = new SimDisk(options, { clock, random: new SimRandom('disk') });
    for (let i = 0; i < 5; i += 1) disk.commit([entry('k', i), entry(`${i}`, i)], () => {});
    disk.commit([entry('0'), entry('k')], () => {});
    clock.runUntil(instant(1000));
    expect(disk.transactions).toBe(6);
    expect(disk.isDoubtful).toBe(false);
    disk.goBack(3);
    expect(disk.isDoubtful).toBe(true);
    expect(disk.scan('t').map(({ key, value }) => [key, value[0]])).toEqual([
      ['0', 0],
      ['1', 1],
      ['2', 2],
      ['k', 2],
    ]);
    expect(disk.get('t', 'k')).toEqual(Uint8Array.of(2));
    expect(disk.transactions).toBe(3);
  });

  it('is empty after it was lost', () => {
    disk.commit([entry('a', 1)], () => {});
    disk.putRoot('r', () => {});
    clock.runUntil(instant(100));
    expect(disk.roots()).toEqual(['r']);
    disk.lose();
    expect(disk.scan('t')).toEqual([]);
    expect(disk.roots()).toEqual([]);
  });
});
