import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AegisError, isAegisError } from '../../../src/core/errors.ts';
import { BulkDecoder, MARK, prefix } from '../../../src/core/network/bulk-frame.ts';
import { encodeFailure } from '../../../src/core/network/rpc-frame.ts';

const MAX = 500;

function pushCut(decoder: BulkDecoder, bytes: Uint8Array, cut: number): Buffer {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += cut) {
    pieces.push(...decoder.push(bytes.subarray(at, at + cut)));
  }
  return Buffer.concat(pieces);
}

const written = (pieces: readonly Uint8Array[]): Buffer =>
  Buffer.concat(pieces.flatMap((piece) => [prefix(piece.length), piece]));

describe('bulk frames', () => {
  it('give back what was written, however the stream is cut, and know the end', () => {
    const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 80 }), { maxLength: 5 });
    fc.assert(
      fc.property(pieces, fc.integer({ min: 1, max: 50 }), (parts, cut) => {
        const decoder = new BulkDecoder({ maxBytes: MAX });
        expect(pushCut(decoder, written(parts), cut)).toEqual(Buffer.concat(parts));
        expect(decoder.state).toBe('open');
        decoder.push(prefix(MARK.end));
        expect(decoder.state).toBe('ended');
        expect(() => decoder.push(Uint8Array.of(1))).toThrow('follow the end');
      }),
    );
  });

  it('carry the reason of a failure', () => {
    const decoder = new BulkDecoder({ maxBytes: MAX });
    const reason = encodeFailure(new AegisError('STALLED', 'the disk is slow'));
    pushCut(
      decoder,
      Buffer.concat([written([Buffer.from('ab')]), prefix(MARK.failure), reason]),
      3,
    );
    expect(decoder.state).toBe('failed');
    expect(decoder.failure()).toMatchObject({ code: 'STALLED', message: 'the disk is slow' });
    const torn = new BulkDecoder({ maxBytes: MAX });
    torn.push(prefix(MARK.failure));
    expect(torn.failure().code).toBe('BAD_ENCODING');
  });

  it('throw nothing but AegisError and give no more than the limit', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.integer({ min: 1, max: 9 }),
        (bytes, cut) => {
          const decoder = new BulkDecoder({ maxBytes: MAX });
          try {
            expect(pushCut(decoder, bytes, cut).length).toBeLessThanOrEqual(MAX);
          } catch (error) {
            expect(isAegisError(error)).toBe(true);
          }
        },
      ),
      { numRuns: 500 },
    );
    expect(() => new BulkDecoder({ maxBytes: MAX }).push(prefix(501))).toThrow('over its 500');
    const long = new BulkDecoder({ maxBytes: MAX });
    long.push(prefix(MARK.failure));
    expect(() => long.push(new Uint8Array(5000))).toThrow('too long');
  });
});
