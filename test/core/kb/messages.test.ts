import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAegisError } from '../../../src/core/errors.ts';
import { LIMITS } from '../../../src/core/kb/limits.ts';
import { decodeMessage, encodeMessage, type KbMessage } from '../../../src/core/kb/messages.ts';
import { decodeFetchRequest, encodeFetchRequest } from '../../../src/core/kb/request.ts';
import { encode } from '../../../src/core/model/cbor.ts';
import { authors, contentOf } from './authors.ts';

const digest = new Uint8Array(16).fill(7);
const author = authors[0]!.nodeId;
const versions = [contentOf('a'), contentOf('b')];

const samples: KbMessage[] = [
  { type: 'vector', entries: [{ author, sequence: 3, digest }], held: digest, isReply: false },
  { type: 'versions', versions: [new Uint8Array(300)], isMore: true },
  { type: 'offer', versions },
  { type: 'stored', versions },
  { type: 'stored', versions, within: { from: '' } },
  { type: 'stored', versions: [], within: { from: 'ab', to: 'ac' } },
  { type: 'wanted', versions },
  { type: 'records', records: [new Uint8Array(20_000)] },
  { type: 'ranges', author, ranges: [{ from: 1, to: 9, digest }], hops: 3 },
];

const many = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);

describe('messages of kb', () => {
  it.each(samples)('$type is read back as it was', (message) => {
    expect(decodeMessage(encodeMessage(message))).toEqual(message);
  });

  it.each<[string, string, unknown]>([
    ['TOO_LARGE', 'versions', { type: 'kb-versions', versions: many(65, digest), isMore: false }],
    [
      'TOO_LARGE',
      'a version',
      {
        type: 'kb-versions',
        versions: [new Uint8Array(9000)],
        isMore: false,
      },
    ],
    ['TOO_LARGE', 'records', { type: 'kb-records', records: many(65, digest) }],
    ['TOO_LARGE', 'a record', { type: 'kb-records', records: [new Uint8Array(32_769)] }],
    ['TOO_LARGE', 'names', { type: 'kb-wanted', versions: many(513, versions[0]) }],
    ['TOO_LARGE', 'items', { type: 'kb-offer', versions: many(513, versions[0]) }],
    [
      'TOO_LARGE',
      'authors',
      {
        type: 'kb-vector',
        entries: many(1025, [author, 1, digest]),
        held: digest,
        isReply: false,
      },
    ],
    [
      'TOO_LARGE',
      'ranges',
      { type: 'kb-ranges', author, ranges: many(17, [1, 2, digest]), hops: 0 },
    ],
    ['BAD_ENCODING', 'hops', { type: 'kb-ranges', author, ranges: [], hops: 25 }],
    [
      'BAD_ENCODING',
      'an empty range',
      {
        type: 'kb-ranges',
        author,
        ranges: [[2, 1, digest]],
        hops: 1,
      },
    ],
    [
      'BAD_ENCODING',
      'a short digest',
      {
        type: 'kb-vector',
        entries: [],
        held: new Uint8Array(15),
        isReply: false,
      },
    ],
    ['BAD_ENCODING', 'an unknown type', { type: 'kb-other' }],
    ['BAD_ENCODING', 'no CID', { type: 'kb-offer', versions: ['x'] }],
  ])('refuses with %s: %s', (code, _what, value) => {
    const body = encode({ v: 1, ...(value as object) });
    expect(() => decodeMessage(body)).toThrow(expect.objectContaining({ code }));
  });

  it('refuses a message beyond its limit before it reads it', () => {
    const body = new Uint8Array(LIMITS.messageBytes + 1);
    expect(() => decodeMessage(body)).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }));
  });
});

const request = {
  root: contentOf('a'),
  ranges: [
    { from: [0, 3], to: [1] },
    { from: [1], to: [1, 5] },
    { from: [2], to: undefined },
  ],
  skip: new Uint8Array(32).fill(1),
  maxBytes: 1000,
};

describe('fetch requests', () => {
  it('are read back as they were', () => {
    expect(decodeFetchRequest(encodeFetchRequest(request))).toEqual(request);
  });

  it.each<[string, Partial<Record<keyof typeof request, unknown>>]>([
    ['no ranges', { ranges: [] }],
    ['too many ranges', { ranges: many(513, { from: [0], to: [1] }) }],
    ['an empty range', { ranges: [{ from: [1], to: [1] }] }],
    [
      'ranges out of order',
      {
        ranges: [
          { from: [1], to: [2] },
          { from: [0], to: [1] },
        ],
      },
    ],
    [
      'a range after the end',
      {
        ranges: [
          { from: [], to: undefined },
          { from: [0], to: [1] },
        ],
      },
    ],
    ['a place that is too deep', { ranges: [{ from: many(65, 0), to: undefined }] }],
    ['a negative place', { ranges: [{ from: [-1], to: undefined }] }],
    ['a skip list that is cut', { skip: new Uint8Array(17) }],
    ['a skip list that is too long', { skip: new Uint8Array(16 * 1025) }],
    ['no bytes', { maxBytes: 0 }],
  ])('with %s are refused', (_what, change) => {
    const bytes = encodeFetchRequest({ ...request, ...change } as typeof request);
    expect(() => decodeFetchRequest(bytes)).toThrow(
      expect.objectContaining({ code: 'BAD_ENCODING' }),
    );
  });

  it('never ask for more than a holder may send', () => {
    const bytes = encodeFetchRequest({ ...request, maxBytes: 2 ** 50 });
    expect(decodeFetchRequest(bytes).maxBytes).toBe(LIMITS.requestReplyBytes);
  });

  it('and messages: nothing but AegisError, whatever comes', () => {
    const valid = [...samples.map(encodeMessage), encodeFetchRequest(request)];
    const mutated = fc
      .tuple(fc.constantFrom(...valid), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }))
      .map(([bytes, changes]) => {
        const copy = Uint8Array.from(bytes);
        for (const [at, byte] of changes) copy[at % copy.length] = byte;
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        for (const read of [decodeMessage, decodeFetchRequest]) {
          try {
            read(bytes);
          } catch (error) {
            expect(isAegisError(error)).toBe(true);
          }
        }
      }),
      { numRuns: 5000 },
    );
  });
});
