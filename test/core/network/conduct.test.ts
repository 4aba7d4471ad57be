import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Allowance, Conduct } from '../../../src/core/network/conduct.ts';
import { type HostLimits, limitsOf } from '../../../src/core/network/limits.ts';
import type { SecurityEvent } from '../../../src/core/ports.ts';
import { instant } from '../../../src/core/units.ts';
import { memoryLog } from './cluster.ts';
import { TRAFFIC } from './traffic.ts';

interface Bench {
  readonly conduct: Conduct;
  readonly time: { now: number };
  readonly events: SecurityEvent[];
  readonly refused: string[];
  readonly cut: string[];
}

function setUp(limits: Partial<HostLimits> = {}): Bench {
  const time = { now: 1_000_000 };
  const events: SecurityEvent[] = [];
  const refused: string[] = [];
  const cut: string[] = [];
  const conduct = new Conduct(
    { limits: limitsOf('network', limits) },
    {
      clock: { now: () => instant(time.now), wakeAt: () => () => undefined },
      log: memoryLog(),
      security: { tell: (event) => events.push(event), nameOf: () => 'addr-x' },
      refused: (nodeId, knob) => refused.push(`${nodeId} ${knob}`),
      cut: (nodeId) => cut.push(nodeId),
    },
  );
  return { conduct, time, events, refused, cut };
}

/** Asks as often as it is read, `chunk` at a time, until it is cut or the time is over. */
function flood(bench: Bench, allowance: Allowance, chunk: number, seconds: number): void {
  const { conduct, time } = bench;
  const end = time.now + seconds * 1000;
  while (time.now < end && !conduct.isCut('rogue')) {
    time.now += Math.max(1, conduct.spend('rogue', allowance, chunk));
  }
}

describe('a member that follows the rules', () => {
  test('is never slowed: what a custodian sends under load, ten times as fast', () => {
    const stall = fc.record({ at: fc.nat(TRAFFIC.length - 1), ms: fc.nat(15_000) });
    fc.assert(
      fc.property(
        fc.array(stall, { maxLength: 5 }),
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 1, max: 8 }),
        (stalls, speed, peers) => {
          const { conduct, time, refused, events } = setUp();
          // While it stalls, its messages gather, and come all at once afterwards.
          let heldUntil = 0;
          const start = time.now;
          for (const [i, [atMs, envelopes, requests, bytes]] of TRAFFIC.entries()) {
            for (const { at, ms } of stalls) if (at === i) heldUntil = atMs / speed + ms;
            time.now = start + Math.max(atMs / speed, heldUntil);
            for (let peer = 0; peer < peers; peer += 1) {
              const id = `peer${peer}`;
              for (let n = 0; n < envelopes; n += 1) conduct.spend(id, 'envelopesPerSecond');
              for (let n = 0; n < requests; n += 1) conduct.spend(id, 'requestsPerSecond');
              conduct.spend(id, 'bytesPerSecond', bytes);
            }
          }
          expect({ refused, events }).toEqual({ refused: [], events: [] });
        },
      ),
    );
  });

  test('that asks as fast as it is answered is slowed, and nothing else', () => {
    const asks = fc.constantFrom<[Allowance, number]>(
      ['requestsPerSecond', 64],
      ['streamsPerSecond', 8],
    );
    fc.assert(
      fc.property(asks, fc.integer({ min: 0, max: 5 }), ([allowance, open], answerMs) => {
        const { conduct, time, events } = setUp();
        const end = time.now + 120_000;
        while (time.now < end) {
          const waitMs = conduct.spend('busy', allowance, open);
          expect(waitMs).toBeLessThan(250);
          time.now += waitMs + answerMs;
        }
        expect(events).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });

  test('may take up all bytes that it is allowed, for as long as it likes', () => {
    const bench = setUp();
    flood(bench, 'bytesPerSecond', 1024 * 1024, 300);
    expect(bench.events).toEqual([]);
    expect(bench.refused.length).toBeGreaterThan(0);
  });
});

describe('a member that floods', () => {
  test.each<[Allowance, number]>([
    ['envelopesPerSecond', 500],
    ['requestsPerSecond', 2000],
    ['streamsPerSecond', 1000],
  ])('with %s is slowed, then not read, then cut, and each step names it', (allowance, chunk) => {
    const bench = setUp();
    flood(bench, allowance, chunk, 600);
    expect(bench.cut).toEqual(['rogue']);
    const types = bench.events.map(({ type }) => type);
    expect(types.at(-1)).toBe('peer-cut');
    expect(types.slice(0, -1).every((type) => type === 'peer-muted')).toBe(true);
    for (const event of bench.events) {
      expect(event).toMatchObject({ nodeId: 'rogue', knob: `limits.${allowance}` });
    }
    expect(bench.refused[0]).toBe(`rogue ${allowance}`);
    expect(bench.conduct.isCut('rogue')).toBe(true);
    bench.time.now += 60_000;
    expect(bench.conduct.isCut('rogue')).toBe(false);
  });

  test('gets no more than its allowance before it is cut', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), (chunk) => {
        const bench = setUp();
        const { conduct, time } = bench;
        const from = time.now;
        let spent = 0;
        while (time.now < from + 60_000 && !conduct.isCut('rogue')) {
          if (!conduct.isIgnored('rogue', 'envelopesPerSecond')) spent += chunk;
          time.now += Math.max(1, conduct.spend('rogue', 'envelopesPerSecond', chunk));
        }
        const { envelopesPerSecond } = limitsOf('network');
        const earned = envelopesPerSecond * (1 + (time.now - from) / 1000);
        expect(spent).toBeLessThanOrEqual(earned + chunk);
      }),
      { numRuns: 50 },
    );
  });

  test('of a whole window that is here already, only what it may ask is looked at', () => {
    const { conduct } = setUp();
    let seen = 0;
    for (let i = 0; i < 50_000; i += 1) {
      conduct.spend('rogue', 'requestsPerSecond');
      if (!conduct.isIgnored('rogue', 'requestsPerSecond')) seen += 1;
    }
    const { requestsPerSecond } = limitsOf('network');
    expect(seen).toBe(requestsPerSecond * 1.25);
    expect(conduct.isIgnored('other', 'requestsPerSecond')).toBe(false);
  });

  test('takes nothing from the others', () => {
    const bench = setUp({ envelopesPerSecondInAll: 1500 });
    const { conduct, time } = bench;
    for (let round = 0; round < 500; round += 1) {
      for (const id of ['rogue1', 'rogue2', 'rogue3']) conduct.spend(id, 'envelopesPerSecond', 90);
      // 50 a second, as a custodian sends them.
      if (round % 2 === 0) expect(conduct.spend('honest', 'envelopesPerSecond')).toBe(0);
      time.now += 10;
    }
    const knobs = new Set(bench.refused.map((line) => line.split(' ')[1]));
    expect(knobs).toEqual(new Set(['envelopesPerSecond', 'envelopesPerSecondInAll']));
    expect(bench.refused.filter((line) => line.startsWith('honest'))).toEqual([]);
  });

  test('is forgotten in time: a score halves every minute', () => {
    const bench = setUp();
    flood(bench, 'envelopesPerSecond', 500, 8);
    const before = bench.events.length;
    expect(before).toBeGreaterThan(0);
    bench.time.now += 600_000;
    bench.conduct.spend('rogue', 'envelopesPerSecond', 2000);
    expect(bench.events).toHaveLength(before);
  });
});
