import { describe, expect, it } from 'vitest';
import { runSeed } from './run-seeds.ts';

const seed = process.env['AEGIS_SIM_SEED'] ?? '1';

describe('a run of the simulator', () => {
  it('is the same, event by event, for the same seed', () => {
    const { report } = runSeed(seed, { keepTrace: true });
    const again = runSeed(seed, { keepTrace: true }).report;
    expect(again.lines).toEqual(report.lines);
    expect(again.trace).toBe(report.trace);
    expect(runSeed(`${seed}'`).report.trace).not.toBe(report.trace);
  });

  it('catches a loop that lets effects out before they are durable', () => {
    expect(() => runSeed(seed, { isHasty: true })).toThrow(/before it is durable/);
  });

  it('needs no faults and no luck', () => {
    const { report, versions, acknowledged } = runSeed('calm', { maxFaultsPerKind: 0, nodes: 4 });
    expect(Object.values(report.faults).every((count) => count === 0)).toBe(true);
    expect(acknowledged).toBe(versions);
    expect(report.settledAfterMs).toBeLessThan(10_000);
  });
});
