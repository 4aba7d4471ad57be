import { describe, expect, it } from 'vitest';
import { CONSENSUS_FAULTS, drawFaults } from '../../../src/core/sim/faults.ts';
import { SimRandom } from '../../../src/core/sim/random.ts';

describe('SimRandom', () => {
  it('is the same for the same name, and children do not disturb each other', () => {
    const draw = (random: SimRandom): number[] =>
      Array.from({ length: 5 }, () => random.fraction());
    expect(draw(new SimRandom('a'))).toEqual(draw(new SimRandom('a')));
    expect(draw(new SimRandom('a'))).not.toEqual(draw(new SimRandom('b')));
    const parent = new SimRandom('a');
    const before = draw(parent.child('x'));
    parent.fraction();
    expect(draw(parent.child('x'))).toEqual(before);
    expect(draw(parent.child('y'))).not.toEqual(before);
  });

  it('is uniform enough', () => {
    const random = new SimRandom('uniform');
    const counts = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (let i = 0; i < 20_000; i += 1) counts[random.between(0, 9)]! += 1;
    for (const count of counts) {
      expect(count).toBeGreaterThan(1800);
      expect(count).toBeLessThan(2200);
    }
    expect(new Set(random.bytes(1000)).size).toBeGreaterThan(200);
  });
});

describe('drawFaults', () => {
  it('draws other mixtures for other seeds, in order of time, within the run', () => {
    const options = {
      kinds: CONSENSUS_FAULTS,
      nodes: 4,
      durationMs: 60_000,
      maxPerKind: 3,
      offRate: 0.4,
    };
    const kinds = new Map<string, number>();
    for (let i = 0; i < 200; i += 1) {
      const faults = drawFaults(options, new SimRandom(`${i}`));
      for (const kind of new Set(faults.map((fault) => fault.kind))) {
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      }
      const times = faults.map(({ atMs }) => atMs);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      for (const { atMs, node } of faults) {
        expect(atMs).toBeLessThanOrEqual(60_000);
        expect(node).toBeLessThan(4);
      }
    }
    for (const kind of CONSENSUS_FAULTS) {
      expect(kinds.get(kind), kind).toBeGreaterThan(90);
      expect(kinds.get(kind), kind).toBeLessThan(150);
    }
  });
});
