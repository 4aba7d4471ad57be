import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RepairPace } from '../../../../src/core/node/copies/repair-pace.ts';

const BYTES_PER_SECOND = 1000;
const signal = new AbortController().signal;

/** A pace whose clock goes on by what is waited, and by `idle`. */
function paced() {
  let nowMs = 0;
  const pace = new RepairPace(
    { bytesPerSecond: BYTES_PER_SECOND },
    {
      now: () => nowMs,
      wait: (ms) => {
        nowMs += ms;
        return Promise.resolve();
      },
    },
  );
  return { pace, now: () => nowMs, idle: (ms: number) => (nowMs += ms) };
}

it('W24: lets through what the pace allows, and a second more', async () => {
  const chunk = fc.record({ bytes: fc.nat(5000), idleMs: fc.nat(3000) });
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { minLength: 1, maxLength: 40 }), async (chunks) => {
      const { pace, now, idle } = paced();
      const seen: { atMs: number; bytes: number }[] = [];
      for (const { bytes, idleMs } of chunks) {
        idle(idleMs);
        seen.push({ atMs: now(), bytes });
        await pace.take(bytes, signal);
      }
      // Between any two moments.
      for (let from = 0; from < seen.length; from += 1) {
        let sum = 0;
        for (let to = from + 1; to < seen.length; to += 1) {
          sum += seen[to - 1]!.bytes;
          const spanMs = seen[to]!.atMs - seen[from]!.atMs;
          expect(sum).toBeLessThanOrEqual((spanMs / 1000 + 1) * BYTES_PER_SECOND + 1e-6);
        }
      }
      expect(pace.passedBytes).toBe(chunks.reduce((all, { bytes }) => all + bytes, 0));
    }),
  );
});

it('does not wait while less comes than the pace allows', async () => {
  const { pace, now, idle } = paced();
  for (let i = 0; i < 10; i += 1) {
    await pace.take(BYTES_PER_SECOND / 2, signal);
    idle(500);
  }
  expect(now()).toBe(5000);
});

it('ends its wait when nobody needs it any more', async () => {
  const pace = new RepairPace({ bytesPerSecond: 1 });
  const controller = new AbortController();
  const taking = pace.take(1_000_000, controller.signal);
  controller.abort();
  await taking;
  expect(pace.passedBytes).toBe(1_000_000);
});
