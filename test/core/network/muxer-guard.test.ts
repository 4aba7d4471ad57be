import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasCode } from '../../../src/core/errors.ts';
import { MuxerGuard } from '../../../src/core/network/muxer-guard.ts';

interface Spec {
  readonly type: number;
  readonly length: number;
}

function frame({ type, length }: Spec): Uint8Array {
  const bytes = new Uint8Array(12 + (type === 0 ? length : 0)).fill(0xff, 12);
  bytes[1] = type;
  new DataView(bytes.buffer).setUint32(8, length);
  return bytes;
}

/** The frame at which the guard gave up. */
function refusedAt(frames: readonly Spec[], cut: number): number {
  const guard = new MuxerGuard({ maxBytes: 100 });
  for (const [index, spec] of frames.entries()) {
    const bytes = frame(spec);
    try {
      for (let at = 0; at < bytes.length; at += cut) guard.push(bytes.subarray(at, at + cut));
    } catch (error) {
      expect(hasCode(error, 'TOO_LARGE')).toBe(true);
      return index;
    }
  }
  return -1;
}

describe('MuxerGuard', () => {
  it('finds the first data frame that is too long, however the stream is cut', () => {
    const data = fc.record({ type: fc.constant(0), length: fc.nat({ max: 110 }) });
    // Window updates and pings carry numbers in the same place, and no bytes.
    const other = fc.record({ type: fc.integer({ min: 1, max: 3 }), length: fc.nat() });
    fc.assert(
      fc.property(
        fc.array(fc.oneof(data, other), { maxLength: 12 }),
        fc.integer({ min: 1, max: 64 }),
        (frames, cut) => {
          const expected = frames.findIndex(({ type, length }) => type === 0 && length > 100);
          expect(refusedAt(frames, cut)).toBe(expected);
        },
      ),
    );
  });

  it('counts the streams that are opened, however the stream is cut', () => {
    const spec = fc.record({
      type: fc.integer({ min: 0, max: 3 }),
      flags: fc.integer({ min: 0, max: 15 }),
      length: fc.nat({ max: 90 }),
    });
    fc.assert(
      fc.property(
        fc.array(spec, { maxLength: 12 }),
        fc.integer({ min: 1, max: 64 }),
        (all, cut) => {
          const guard = new MuxerGuard({ maxBytes: 100 });
          const bytes = Buffer.concat(
            all.map(({ flags, ...rest }) => {
              const one = frame(rest);
              new DataView(one.buffer).setUint16(2, flags);
              return one;
            }),
          );
          for (let at = 0; at < bytes.length; at += cut) guard.push(bytes.subarray(at, at + cut));
          // Pings and farewells carry the same flag for something else.
          const opening = all.filter(({ type, flags }) => type <= 1 && (flags & 1) === 1);
          expect(guard.takeOpened()).toBe(opening.length);
          expect(guard.takeOpened()).toBe(0);
        },
      ),
    );
  });
});
