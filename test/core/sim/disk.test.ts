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
