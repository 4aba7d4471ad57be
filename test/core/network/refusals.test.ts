import { describe, expect, test } from 'vitest';
import { LIMIT_KEYS } from '../../../src/core/config/limit-settings.ts';
import { type Knob, SETTING_OF } from '../../../src/core/network/limits.ts';
import { busyBy, Refusals } from '../../../src/core/network/refusals.ts';
import type { SecurityEvent } from '../../../src/core/ports.ts';
import { type Instant, instant } from '../../../src/core/units.ts';
import { type LogLine, memoryLog, noMetrics } from './cluster.ts';

function setUp() {
  const lines: LogLine[] = [];
  const events: SecurityEvent[] = [];
  const alarms: { at: Instant; wake: () => void }[] = [];
  const time = { now: 1_000_000 };
  const clock = {
    now: () => instant(time.now),
    wakeAt: (at: Instant, wake: () => void) => {
      alarms.push({ at, wake });
      return () => undefined;
    },
  };
  const security = {
    tell: (event: SecurityEvent) => events.push(event),
    nameOf: (address: string) => `addr-${address.length}`,
  };
  const refusals = new Refusals({ log: memoryLog(lines), metrics: noMetrics, clock, security });
  const goTo = (ms: number): void => {
    time.now = ms;
    for (const alarm of alarms.splice(0)) {
      if (alarm.at <= ms) alarm.wake();
      else alarms.push(alarm);
    }
  };
  return { refusals, lines, events, time, goTo };
}

const KNOBS = Object.keys(SETTING_OF) as Knob[];

describe('a refusal', () => {
  test.each(KNOBS)('by %s names its setting and how to change it, everywhere', (knob) => {
    const setting = SETTING_OF[knob];
    expect(LIMIT_KEYS).toContain(setting);
    const { refusals, lines, events } = setUp();
    refusals.tell({ nodeId: 'aegis1a' }, knob, 'refused');
    expect(lines[0]!.fields).toEqual({
      peer: 'aegis1a',
      knob: setting,
      change: `aegis config set ${setting} NUMBER`,
      repeated: 0,
    });
    expect(events).toEqual([{ type: 'limit-reached', nodeId: 'aegis1a', knob: setting, count: 1 }]);
    const error = busyBy(knob, 'too much');
    expect(error.message).toContain(setting);
    expect(error.hint).toContain(setting);
  });

  test('of an address names it by its hash in the log, and leaves the hashing to the other', () => {
    const { refusals, lines, events } = setUp();
    refusals.hello({ address: '192.0.2.1' }, 'no member');
    expect(lines[0]!.fields['peer']).toBe('addr-9');
    expect(JSON.stringify(lines)).not.toContain('192.0.2.1');
    expect(events[0]).toMatchObject({ type: 'hello-refused', address: '192.0.2.1' });
  });

  test('is one of few lines, from however many addresses, and none is lost from the count', () => {
    const { refusals, lines, events, time } = setUp();
    for (let i = 0; i < 60_000; i += 1) {
      if (i % 1000 === 0) time.now += 1000;
      refusals.tell({ address: `10.0.${i >> 8}.${i & 255}` }, 'inboundPerSecond', 'refused');
    }
    const told = events.filter(({ type }) => type === 'limit-reached');
    expect(told.length).toBeLessThanOrEqual(20 + 2 * 60);
    const counted = told.reduce((sum, { count }) => sum + count!, 0);
    expect(counted).toBeGreaterThan(58_000);
    expect(lines.length).toBeLessThanOrEqual(told.length + 1);
  });
});

describe('a flood', () => {
  test('is told when it begins and when it is over, with what it was', () => {
    const { refusals, events, goTo } = setUp();
    const floods = () => events.filter(({ type }) => type.startsWith('flood'));
    for (let ms = 0; ms < 3000; ms += 10) {
      goTo(1_000_000 + ms);
      refusals.tell({ address: '192.0.2.1' }, 'inboundPerSecond', 'refused');
    }
    const knob = 'limits.inboundPerSecond';
    expect(floods()).toEqual([{ type: 'flood-began', knob, address: '192.0.2.1' }]);
    goTo(1_000_000 + 6000);
    expect(floods()).toHaveLength(1);
    goTo(1_000_000 + 8000);
    const ended = { type: 'flood-ended', knob: 'limits.inboundPerSecond', count: 300 };
    expect(floods()[1]).toEqual({ ...ended, durationMs: 2500 });
    goTo(1_000_000 + 60_000);
    expect(floods()).toHaveLength(2);
  });

  test('is not what comes now and then', () => {
    const { refusals, events, goTo } = setUp();
    for (let second = 0; second < 100; second += 1) {
      goTo(1_000_000 + second * 1000);
      for (let i = 0; i < 40; i += 1) {
        refusals.tell({ nodeId: 'aegis1a' }, 'requestsPerSecond', 'refused');
      }
    }
    expect(events.filter(({ type }) => type.startsWith('flood'))).toEqual([]);
  });
});
