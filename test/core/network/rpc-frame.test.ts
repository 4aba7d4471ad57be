import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AegisError, isAegisError } from '../../../src/core/errors.ts';
import {
  encodeEnvelope,
  encodeFailure,
  encodeFrame,
  encodeRequest,
  type Frame,
  FrameDecoder,
  KIND,
  openEnvelope,
  openFailure,
  openRequest,
} from '../../../src/core/network/rpc-frame.ts';

const body = fc.uint8Array({ maxLength: 300 });
const name = fc.string({ minLength: 1, maxLength: 30 }).map((text) => text.toWellFormed());

function decodeAll(bytes: Uint8Array, cuts: readonly number[], maxBytes = 1000): Frame[] {
  const frames: Frame[] = [];
  const sink = { room: () => 'keep' as const, frame: (frame: Frame) => frames.push(frame) };
  const decoder = new FrameDecoder({ maxBytes }, sink);
  let from = 0;
  for (const cut of [...cuts.map((one) => one % (bytes.length + 1)).toSorted((a, b) => a - b)]) {
    decoder.push(bytes.subarray(from, cut));
    from = cut;
  }
  decoder.push(bytes.subarray(from));
  return frames;
}

describe('rpc frames', () => {
  it('come out as they went in, however the stream is cut', () => {
    const frame = fc.record({
      kind: fc.constantFrom(...Object.values(KIND)),
      id: fc.nat({ max: 0xffffffff }),
      body,
    });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 6 }), fc.array(fc.nat()), (frames, cuts) => {
        const bytes = Buffer.concat(frames.map((one) => encodeFrame(one.kind, one.id, one.body)));
        const seen = decodeAll(bytes, cuts).map((one) => ({ ...one, body: [...one.body] }));
        expect(seen).toEqual(frames.map((one) => ({ ...one, body: [...one.body] })));
      }),
    );
  });

  it('carry requests, envelopes and failures', () => {
    fc.assert(
      fc.property(name, body, fc.nat({ max: 0xffffffff }), (method, content, timeoutMs) => {
        const [request] = decodeAll(encodeRequest(7, { method, timeoutMs, body: content }), []);
        const opened = openRequest(request!.body);
        expect(opened.method).toBe(method);
        expect(opened.timeoutMs).toBe(timeoutMs);
        expect(Buffer.compare(opened.body, content)).toBe(0);
        const [envelope] = decodeAll(encodeEnvelope(method, content), []);
        expect(openEnvelope(envelope!.body).protocol).toBe(method);
      }),
    );
    const busy = openFailure(encodeFailure(new AegisError('BUSY', 'no place', { hint: 'wait' })));
    expect(busy).toMatchObject({ code: 'BUSY', message: 'no place', hint: 'wait' });
    const secret = openFailure(encodeFailure(new Error('a path and a stack')));
    expect(secret.message).toBe('the other node failed to answer');
  });

  it('do not let another node steer a terminal or name an unknown code', () => {
    const error = openFailure(encodeFailure(new AegisError('BUSY', '\u001b[2Jhi\nthere')));
    expect(error.message).toBe(' [2Jhi there');
    const odd = encodeFailure(new AegisError('BUSY', 'x'));
    expect(
      openFailure(
        Buffer.from(Buffer.from(odd).toString('latin1').replace('BUSY', 'toSt'), 'latin1'),
      ).code,
    ).toBe('TRY_AGAIN');
  });

  it('throw nothing but AegisError on any bytes, and keep no more than the limit', () => {
    const valid = encodeRequest(1, { method: 'm', timeoutMs: 5, body: new Uint8Array(50) });
    const mutated = fc
      .tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 255 }))
      .map(([at, byte]) => {
        const bytes = valid.slice();
        bytes[at] = byte;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), mutated), (bytes) => {
        try {
          for (const frame of decodeAll(bytes, [3, 9, 40], 100)) {
            expect(frame.body.byteLength).toBeLessThanOrEqual(100);
            for (const open of [openRequest, openEnvelope, openFailure]) {
              try {
                open(frame.body);
              } catch (error) {
                expect(isAegisError(error)).toBe(true);
              }
            }
          }
        } catch (error) {
          expect(isAegisError(error)).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('are refused by their length before a byte of the body is read', () => {
    const head = encodeFrame(KIND.reply, 1, new Uint8Array(101)).subarray(0, 9);
    expect(() => decodeAll(head, [], 100)).toThrow('the limit is 100');
  });

  it('are read over when nobody wants them', () => {
    const seen: number[] = [];
    const decoder = new FrameDecoder(
      { maxBytes: 1000 },
      {
        room: (_kind, id) => (id === 1 ? 'skip' : 'keep'),
        frame: (frame) => seen.push(frame.id),
      },
    );
    decoder.push(encodeFrame(KIND.reply, 1, new Uint8Array(500)));
    decoder.push(encodeFrame(KIND.reply, 2, new Uint8Array(5)));
    expect(seen).toEqual([2]);
  });
});
