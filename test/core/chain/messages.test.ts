import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/core/chain/limits.ts';
import {
  CHAIN_PROTOCOL,
  CONSENSUS_PROTOCOL,
  encodeMessage,
  type OutgoingMessage,
  openMessage,
} from '../../../src/core/chain/messages.ts';
import { TABLES } from '../../../src/core/chain/rows.ts';
import { encodeCertificate } from '../../../src/core/consensus/certificate.ts';
import { encodeMessage as encodeConsensus } from '../../../src/core/consensus/messages.ts';
import { AegisError } from '../../../src/core/errors.ts';
import { createBlock } from '../../../src/core/model/block.ts';
import { encode } from '../../../src/core/model/cbor.ts';
import { CLUSTER_ID, intentOf, membersOf, OPENING } from './support/fixtures.ts';

const [alice] = membersOf(1) as [ReturnType<typeof membersOf>[0]];
const intents = [1, 2, 3].map((sequence) => intentOf(alice, sequence, { version: `${sequence}` }));
const bytesOf = (list: typeof intents) => list.map(({ bytes }) => bytes);
const block = createBlock(
  {
    clusterId: CLUSTER_ID,
    height: 3,
    previous: new Uint8Array(32),
    time: 5,
    proposer: alice.nodeId,
    view: 0,
    protocol: 1,
    stateRoot: new Uint8Array(32),
    custodians: new Uint8Array(32),
    leaders: new Uint8Array(32),
  },
  bytesOf(intents),
);

const certificate = encodeCertificate({
  phase: 'commit',
  height: 3,
  view: 0,
  digest: block.digest,
  signers: [0, 1, 2],
  signature: new Uint8Array(96),
});

const leaf = { key: 'ab'.repeat(32), value: new Uint8Array(9) };
const row = { table: TABLES.successions, key: 'somebody/000001', value: new Uint8Array(7) };
const manifest = {
  height: 3,
  header: block.headerBytes,
  certificate,
  leaders: new Uint8Array(40),
  parts: [{ prefix: '01', hash: new Uint8Array(32) }],
  pages: 2,
  checkpoint: undefined,
};
/** Of snapshots and states. */
const syncMessages: OutgoingMessage[] = [
  { type: 'snapshot-want', height: 3, checkpoint: undefined },
  { type: 'snapshot-want', height: 3, checkpoint: 2 },
  { type: 'snapshot', height: 3, manifest: undefined },
  { type: 'snapshot', height: 3, manifest },
  { type: 'snapshot', height: 3, manifest: { ...manifest, checkpoint: block.headerBytes } },
  { type: 'page-want', height: 3, index: 0 },
  { type: 'page', height: 3, index: 0, rows: undefined },
  { type: 'page', height: 3, index: 1, rows: [row] },
  { type: 'part-want', height: 3, prefix: '' },
  { type: 'part', height: 3, prefix: '0110', leaves: undefined },
  { type: 'part', height: 3, prefix: '0110', leaves: [leaf] },
  { type: 'node-want', height: 3, prefix: '1'.repeat(256) },
  { type: 'node', height: 3, prefix: '1', node: undefined },
  { type: 'node', height: 3, prefix: '1', node: { type: 'empty' } },
  { type: 'node', height: 3, prefix: '1', node: { type: 'leaf', ...leaf } },
  {
    type: 'node',
    height: 3,
    prefix: '1',
    node: { type: 'inner', left: new Uint8Array(32), right: new Uint8Array(32) },
  },
];

const open = (message: OutgoingMessage, known: readonly string[] = []) =>
  openBytes(encodeMessage(message), known);

const openBytes = (body: Uint8Array, known: readonly string[] = [], protocol = CHAIN_PROTOCOL) =>
  openMessage(protocol, body, {
    ...OPENING,
    isKnown: (digest) => known.includes(digest),
  });

const refusal = (body: Uint8Array, protocol = CHAIN_PROTOCOL): string => {
  try {
    openBytes(body, [], protocol);
    return 'taken';
  } catch (error) {
    // Anything else would be a crash.
    expect(error).toBeInstanceOf(AegisError);
    return (error as AegisError).code;
  }
};

describe('messages', () => {
  it('arrive as they were sent', () => {
    const digest = 'ab'.repeat(32);
    const plain: OutgoingMessage[] = [
      { type: 'announce', height: 0, digest, base: 1, snapshot: 0 },
      { type: 'announce', height: 9, digest, base: 7, snapshot: 5 },
      { type: 'blocks', from: 3, window: undefined },
      { type: 'want', from: 1, to: 9, digest: undefined },
      { type: 'want', from: 1, to: 1, digest },
      { type: 'index-request', nonce: 7 },
      { type: 'index-reply', nonce: 7, height: 0, certificate: undefined },
      { type: 'index-reply', nonce: 7, height: 4, certificate },
    ];
    for (const message of [...plain, ...syncMessages])
      expect(open(message)).toEqual({ message, checks: [], isEarly: false });
  });

  it('with intents leave out what waits here already', () => {
    const body = encodeMessage({ type: 'intents', intents: bytesOf(intents) });
    const { message, checks } = openMessage(CHAIN_PROTOCOL, body, {
      ...OPENING,
      isKnown: () => false,
      isWaiting: (digest) => digest === intents[0]!.digest,
    });
    expect(message).toEqual({ type: 'intents', intents: intents.slice(1) });
    expect(checks).toHaveLength(intents.length - 1);
  });

  it('with intents name the signatures that nobody has checked', () => {
    const known = [intents[1]!.digest];
    const { message, checks } = open({ type: 'intents', intents: bytesOf(intents) }, known);
    expect(message).toEqual({ type: 'intents', intents });
    expect(checks).toHaveLength(2);
    for (const { author, message: signed, signature } of checks) {
      expect(author).toBe(alice.nodeId);
      expect(alice.identity.sign(signed)).toEqual(signature);
    }
  });

  it('with blocks decode only the intents that nobody has checked', () => {
    const known = [intents[0]!.digest];
    const window = { blocks: [block.bytes], certificate };
    const { message, checks } = open({ type: 'blocks', from: 3, window }, known);
    expect(checks).toHaveLength(2);
    expect(message).toMatchObject({
      type: 'blocks',
      from: 3,
      window: { blocks: [{ digests: intents.map(({ digest }) => digest) }], late: [[]] },
    });
    const candidate = open({ type: 'candidate', block: block.bytes }, known);
    expect(candidate.message).toMatchObject({ block: { intents: [undefined, {}, {}] } });
  });

  it('with a proposal bring its block, or are refused', () => {
    const proposal = {
      type: 'proposal' as const,
      height: 3,
      view: 0,
      digest: block.digest,
      payload: block.bytes,
      previous: undefined,
      timeout: undefined,
      signature: new Uint8Array(64),
    };
    const { message, checks } = openBytes(encodeConsensus(proposal), [], CONSENSUS_PROTOCOL);
    expect(message).toMatchObject({ type: 'consensus', message: proposal, block: {} });
    expect(checks).toHaveLength(3);
    const wrong = [
      { ...proposal, height: 4 },
      { ...proposal, digest: 'ab'.repeat(32) },
      { ...proposal, payload: new Uint8Array(3) },
    ];
    for (const other of wrong) {
      expect(refusal(encodeConsensus(other), CONSENSUS_PROTOCOL)).toBe('BAD_ENCODING');
    }
  });
});

describe('limits', () => {
  it('of bytes, intents, blocks and certificates', () => {
    expect(refusal(new Uint8Array(LIMITS.messageBytes + 1))).toBe('TOO_LARGE');
    const many = Array.from({ length: LIMITS.messageIntents + 1 }, () => new Uint8Array(1));
    expect(refusal(encode([1, 'intents', many]))).toBe('BAD_ENCODING');
    const blocks = Array.from({ length: LIMITS.windowBlocks + 1 }, () => new Uint8Array(1));
    expect(refusal(encode([1, 'blocks', 1, blocks, null]))).toBe('BAD_ENCODING');
    const long = [1, 'blocks', 1, [block.bytes], new Uint8Array(513)];
    expect(refusal(encode(long))).toBe('TOO_LARGE');
    expect(refusal(encode([1, 'index-reply', 1, 1, new Uint8Array(513)]))).toBe('TOO_LARGE');
    expect(refusal(encode([1, 'candidate', new Uint8Array(512 * 1024 + 1)]))).toBe('TOO_LARGE');
  });

  it('of snapshots and states', () => {
    const parts = Array.from({ length: LIMITS.snapshotParts + 1 }, () => 0);
    const long = [3, new Uint8Array(1), certificate, new Uint8Array(1), parts, 0, null];
    expect(refusal(encode([1, 'snapshot', 3, long]))).toBe('BAD_ENCODING');
    const many = (length: number): number[] => Array.from({ length }, () => 0);
    const pages = [3, new Uint8Array(1), certificate, new Uint8Array(1), [], 5000, null];
    expect(refusal(encode([1, 'snapshot', 3, pages]))).toBe('BAD_ENCODING');
    expect(refusal(encode([1, 'page', 3, 0, many(LIMITS.pageRows + 1)]))).toBe('BAD_ENCODING');
    expect(refusal(encode([1, 'part', 3, '', many(LIMITS.partLeaves + 1)]))).toBe('BAD_ENCODING');
    const big = [[new Uint8Array(32), new Uint8Array(LIMITS.leafBytes + 1)]];
    expect(refusal(encode([1, 'part', 3, '', big]))).toBe('TOO_LARGE');
    expect(refusal(encode([1, 'part-want', 3, '0'.repeat(257)]))).toBe('BAD_ENCODING');
    expect(refusal(encode([1, 'node-want', 3, '02']))).toBe('BAD_ENCODING');
    expect(refusal(encode([1, 'page', 3, 0, [[4, 'key', new Uint8Array(1)]]]))).toBe(
      'BAD_ENCODING',
    );
  });

  it('of heights and versions', () => {
    expect(refusal(encode([1, 'want', 0, 1, null]))).toBe('BAD_ENCODING');
    expect(refusal(encode([1, 'want', 5, 4, null]))).toBe('BAD_ENCODING');
    expect(refusal(encode([1, 'want', 5, 2 ** 50, null]))).toBe('BAD_ENCODING');
    expect(refusal(encode([2, 'index-request', 1]))).toBe('BAD_ENCODING');
    expect(refusal(encode([1, 'other']))).toBe('BAD_ENCODING');
    expect(refusal(encode([1, 'index-request', 1, 2]))).toBe('BAD_ENCODING');
  });

  it('hold for any bytes', () => {
    const sound = [
      encodeMessage({ type: 'intents', intents: bytesOf(intents) }),
      encodeMessage({
        type: 'blocks',
        from: 1,
        window: { blocks: [block.bytes], certificate },
      }),
      encodeMessage({ type: 'want', from: 1, to: 2, digest: undefined }),
      ...syncMessages.map(encodeMessage),
    ];
    const damaged = fc
      .tuple(fc.constantFrom(...sound), fc.nat(2000), fc.nat(255), fc.nat(2000))
      .map(([bytes, at, byte, end]) => {
        const copy = bytes.slice(0, end % 2 === 0 ? bytes.length : end % bytes.length);
        if (copy.length > 0) copy[at % copy.length] = byte;
        return copy;
      });
    const anything = fc.anything({ withBigInt: false, withDate: false, withMap: false });
    const listed = fc.tuple(
      fc.constant(1),
      fc.constantFrom('want', 'blocks', 'snapshot', 'part', 'node'),
      anything,
    );
    const encoded = listed.map((value) => {
      try {
        return encode(value);
      } catch {
        return new Uint8Array();
      }
    });
    const body = fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged, encoded);
    const protocol = fc.constantFrom(CHAIN_PROTOCOL, CONSENSUS_PROTOCOL);
    fc.assert(
      fc.property(body, protocol, (bytes, name) => {
        const verdicts = ['taken', 'BAD_ENCODING', 'TOO_LARGE', 'OTHER_CLUSTER'];
        expect(verdicts).toContain(refusal(bytes, name));
      }),
      { numRuns: 300 },
    );
  });
});

describe('what names keys that are not known here yet', () => {
  const later = { ...OPENING, isKnown: () => false, hasKey: () => false };
  const opened = (body: Uint8Array, height: number, protocol = CHAIN_PROTOCOL) =>
    openMessage(protocol, body, { ...later, height: () => height });

  it('is left out of a message of intents, and is no lie', () => {
    const body = encodeMessage({ type: 'intents', intents: bytesOf(intents) });
    expect(opened(body, 0)).toEqual({
      message: { type: 'intents', intents: [] },
      checks: [],
      isEarly: true,
    });
  });

  it('is left for later in a window of blocks', () => {
    const window = { blocks: [block.bytes, block.bytes], certificate };
    const body = encodeMessage({ type: 'blocks', from: 3, window });
    const { message, checks, isEarly } = opened(body, 0);
    expect([checks, isEarly]).toEqual([[], false]);
    if (message.type !== 'blocks') throw new Error(message.type);
    expect(message.window!.late.map((late) => late.length)).toEqual([3, 3]);
  });

  it('makes of a candidate what it proves of its sender', () => {
    const body = encodeMessage({ type: 'candidate', block: block.bytes });
    const { height, previous } = block.header;
    const digest = Buffer.from(previous).toString('hex');
    const message = { type: 'announce', height: height - 1, digest };
    expect(opened(body, height - 2)).toEqual({ message, checks: [], isEarly: true });
    expect(opened(body, height - 1).message.type).toBe('candidate');
  });
});
