import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEvidence } from '../../../src/core/consensus/evidence.ts';
import {
  type ConsensusMessage,
  decodeMessage,
  encodeMessage,
} from '../../../src/core/consensus/messages.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { decode, encode } from '../../../src/core/model/cbor.ts';
import { A, B, Bench } from './support/bench.ts';

const bench = new Bench();
const high = bench.certificate('prepare', A);
const timeout = bench.timeouts(2, new Map([0, 1, 2].map((i) => [i, i === 1 ? high : undefined])));
const [one, other] = [A, B].map((digest) => bench.share(0, { kind: 'commit', digest }));
const slot = { kind: 'commit', custodian: 0, height: 1, view: 0 } as const;

const messages: ConsensusMessage[] = [
  bench.proposal(A),
  bench.proposal(A, { height: 2, view: 3, timeout, previous: bench.certificate('commit', B) }),
  bench.vote(1, 'prepare', A, 7, 9),
  { ...bench.vote(1, 'prepare', A), proposal: new Uint8Array(64) } as ConsensusMessage,
  { type: 'certificate', certificate: high },
  bench.timeout(0, 5, high),
  bench.timeout(0, 5),
  { type: 'timeout-certificate', certificate: timeout },
  {
    type: 'status',
    height: 4,
    view: 1,
    commit: bench.certificate('commit', A, { height: 3 }),
    high,
    timeout,
    seen: bench.share(2, { kind: 'timeout', view: 3, highView: 1 }),
    ask: 5,
    answer: 0,
  },
  {
    type: 'status',
    height: 1,
    view: 0,
    commit: undefined,
    high: undefined,
    timeout: undefined,
    seen: undefined,
    ask: 0,
    answer: 6,
  },
  { type: 'evidence', evidence: createEvidence(slot, one!, other!) },
];

/** Whether the bytes are refused as the contract says, or mean a message that has these bytes. */
function isRefusedOrExact(bytes: Uint8Array): boolean {
  try {
    return Buffer.compare(encodeMessage(decodeMessage(bytes)), bytes) === 0;
  } catch (error) {
    return hasCode(error, 'BAD_ENCODING', 'TOO_LARGE');
  }
}

describe('messages', () => {
  it.each(messages.map((message, i) => [`${i} ${message.type}`, message] as const))(
    'come back as they were: %s',
    (_, message) => {
      expect(decodeMessage(encodeMessage(message))).toEqual(message);
    },
  );

  it('are refused when one of their bits is another, or have exactly these bytes', () => {
    const place = fc.tuple(fc.constantFrom(...messages), fc.nat(), fc.nat(7));
    fc.assert(
      fc.property(place, ([message, at, bit]) => {
        const bytes = encodeMessage(message);
        bytes[at % bytes.length] = bytes[at % bytes.length]! ^ (1 << bit);
        expect(isRefusedOrExact(bytes)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('are refused when a part is another value', () => {
    const value = fc.oneof(
      fc.constantFrom(null, true, -1, 2 ** 53 - 1, 'x', [], {}, 2 ** 48, 2 ** 32),
      fc.uint8Array({ maxLength: 100 }),
    );
    const change = fc.tuple(
      fc.constantFrom(...messages),
      fc.array(fc.nat(9), { maxLength: 4 }),
      value,
    );
    fc.assert(
      fc.property(change, ([message, path, replacement]) => {
        const tree = decode(encodeMessage(message), { maxBytes: 1e6 });
        expect(isRefusedOrExact(encode(replaced(tree, path, replacement)))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('are refused when they are anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(isRefusedOrExact(bytes)).toBe(true);
      }),
    );
  });

  it('have limits', () => {
    const large = { ...bench.proposal(A), payload: new Uint8Array(512 * 1024) };
    expect(decodeMessage(encodeMessage(large))).toEqual(large);
    const larger = { ...large, payload: new Uint8Array(512 * 1024 + 1) };
    expect(() => decodeMessage(encodeMessage(larger))).toThrow(/more than/);
    const huge = { ...large, payload: new Uint8Array(600 * 1024) };
    expect(() => decodeMessage(encodeMessage(huge))).toThrow(/more than/);
    const groups = Array.from({ length: 257 }, (_, highView) => ({ highView, signers: [0] }));
    const certificate = { ...timeout, groups };
    const message = { type: 'timeout-certificate', certificate } as const;
    expect(() => decodeMessage(encodeMessage(message))).toThrow(/list of more/);
    const far = { ...high, signers: [0, 256] };
    expect(() => decodeMessage(encodeMessage({ type: 'certificate', certificate: far }))).toThrow(
      /more than/,
    );
  });
});

/** The tree with one of its parts replaced. */
function replaced(tree: unknown, path: readonly number[], value: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined || !Array.isArray(tree) || tree.length === 0) return value;
  return tree.map((item: unknown, i) =>
    i === first % tree.length ? replaced(item, rest, value) : item,
  );
}
