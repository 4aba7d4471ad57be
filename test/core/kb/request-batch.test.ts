import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/core/kb/limits.ts';
import { encodeFetchRequest } from '../../../src/core/kb/request.ts';
import {
  BatchAnswers,
  decodeFetch,
  encodeAnswer,
  encodeFetchBatch,
  fitsBatch,
} from '../../../src/core/kb/request-batch.ts';
import { encode } from '../../../src/core/model/cbor.ts';
import { versionCidOf } from '../../../src/core/model/version.ts';

const requestOf = (n: number) => ({
  root: versionCidOf(Uint8Array.of(n)),
  ranges: [{ from: [], to: undefined }],
  skip: new Uint8Array(0),
  maxBytes: 1000,
});
const many = (count: number) =>
  Array.from({ length: count }, (_, n) => encodeFetchRequest(requestOf(n)));
const coded = (code: string) => expect.objectContaining({ code });

describe('a batch of fetch requests', () => {
  it('is read back as it was, and a single request as ever', () => {
    const { requests, isBatch } = decodeFetch(encodeFetchBatch(many(LIMITS.batchRequests)));
    expect(isBatch).toBe(true);
    expect(requests).toEqual(many(LIMITS.batchRequests).map((_, n) => requestOf(n)));
    const single = { requests: [requestOf(1)], isBatch: false };
    expect(decodeFetch(encodeFetchRequest(requestOf(1)))).toEqual(single);
  });

  it('has at most 64 requests and 64 KiB, and what fits is no longer', () => {
    expect(() => decodeFetch(encodeFetchBatch(many(65)))).toThrow(coded('BAD_ENCODING'));
    const long = encodeFetchRequest({ ...requestOf(1), skip: new Uint8Array(16 * 1000) });
    const fitting: Uint8Array[] = [];
    for (let bytes = 0; fitsBatch(fitting.length, bytes, long); bytes += long.length) {
      fitting.push(long);
    }
    expect(fitting).toHaveLength(4);
    expect(encodeFetchBatch(fitting).length).toBeLessThanOrEqual(LIMITS.requestBytes);
    expect(fitsBatch(LIMITS.batchRequests, 0, long)).toBe(false);
    const tooLong = encodeFetchBatch([...fitting, long]);
    expect(() => decodeFetch(tooLong)).toThrow(coded('TOO_LARGE'));
  });

  it.each<[string, object]>([
    ['no requests', { requests: [] }],
    ['another version', { v: 2, requests: many(1) }],
    ['a request that is none', { requests: ['x'] }],
    ['a batch within', { requests: [encodeFetchBatch(many(1))] }],
    ['no list', { requests: 1 }],
  ])('is refused with %s', (_what, fields) => {
    const bytes = encode({ v: 1, type: 'kb-fetch-batch', ...fields });
    expect(() => decodeFetch(bytes)).toThrow(coded('BAD_ENCODING'));
  });
});

describe('the answer to a batch', () => {
  it('is cut into its frames however it comes', () => {
    const frame = fc.uint8Array({ minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.integer({ min: 1, max: 60 }), (all, n) => {
        const bytes = Buffer.concat(all.map((one) => encodeAnswer([one])));
        const answers = new BatchAnswers(all.length);
        const frames: number[][] = [];
        for (let at = 0; at < bytes.length; at += n) {
          for (const one of answers.push(bytes.subarray(at, at + n))) frames.push([...one]);
        }
        answers.end();
        expect(frames).toEqual(all.map((one) => [...one]));
      }),
    );
  });

  it.each<[string, string, Uint8Array]>([
    ['an empty frame', 'BAD_ENCODING', encodeAnswer([])],
    ['more frames than asked for', 'BAD_ENCODING', Buffer.from('000000016100000001', 'hex')],
    ['a frame beyond its limit', 'TOO_LARGE', Buffer.from('00500001', 'hex')],
  ])('is refused with %s', (_what, code, bytes) => {
    expect(() => new BatchAnswers(1).push(bytes)).toThrow(coded(code));
  });

  it('is refused when it ends within a frame', () => {
    for (const bytes of [Uint8Array.of(0, 0), Uint8Array.of(0, 0, 0, 9, 1)]) {
      const answers = new BatchAnswers(1);
      expect(answers.push(bytes)).toEqual([]);
      expect(() => answers.end()).toThrow(coded('BAD_ENCODING'));
    }
  });

  it('is refused beyond what all frames may have', () => {
    const answers = new BatchAnswers(64);
    const frame = encodeAnswer([new Uint8Array(LIMITS.batchFrameBytes)]);
    answers.push(frame);
    answers.push(frame);
    expect(() => answers.push(frame)).toThrow(coded('TOO_LARGE'));
  });
});
