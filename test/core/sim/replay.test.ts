import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasCode } from '../../../src/core/errors.ts';
import { CONSENSUS_FAULTS } from '../../../src/core/sim/faults.ts';
import { LATENCIES } from '../../../src/core/sim/latency.ts';
import { type Replay, readReplay, replayText } from '../../../src/core/sim/replay.ts';

const replays: fc.Arbitrary<Replay> = fc.record(
  {
    seed: fc.nat().map(String),
    custodians: fc.integer({ min: 4, max: 10 }),
    agents: fc.nat(3),
    latency: fc.constantFrom(...LATENCIES),
    durationMs: fc.nat(1000).map((seconds) => seconds * 1000),
    faults: fc.subarray([...CONSENSUS_FAULTS]),
    fanout: fc.constantFrom('all' as const, 'leader' as const),
    byzantine: fc.constantFrom('all', 'silence'),
    isReal: fc.constant(true),
  },
  { requiredKeys: ['seed'] },
);

describe('the name of a run', () => {
  it('is one word, and says all that the run was given', () => {
    fc.assert(
      fc.property(replays, (replay) => {
        const text = replayText(replay);
        expect(text).toMatch(/^[\w:=.+-]+$/);
        expect(readReplay(text)).toEqual(replay);
      }),
    );
  });

  it('is refused when it says what no run knows', () => {
    for (const text of ['', ':real', '1:nodes=x', '1:nodes=-4', '1:latency=pigeon', '1:fast']) {
      expect(() => readReplay(text), text).toThrow(
        expect.toSatisfy((error) => hasCode(error, 'USAGE')) as Error,
      );
    }
    expect(() => readReplay('1:faults=meteor')).toThrow(/meteor/);
  });
});
