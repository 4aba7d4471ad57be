import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { hasCode } from '../../../src/core/errors.ts';
import {
  BLOCK_BYTES_MAX,
  type BlockHeader,
  createBlock,
  HEADER_BYTES_MAX,
  INTENTS_MAX,
  openBlock,
} from '../../../src/core/model/block.ts';
import { decode, encode } from '../../../src/core/model/cbor.ts';
import { INTENT_BYTES_MAX } from '../../../src/core/model/intent.ts';
import { merkleRoot } from '../../../src/core/model/merkle.ts';
import { TIME_MAX } from '../../../src/core/model/record.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { testNode } from '../../helpers/nodes.ts';
import { toHex } from '../../helpers/vectors.ts';

const header: Omit<BlockHeader, 'intents' | 'intentsRoot'> = {
  clusterId: 'aegisc1test',
  height: 7,
  previous: new Uint8Array(32).fill(1),
  time: 1_800_000_000_000,
  proposer: testNode(1).nodeId,
  view: 2,
  protocol: 3,
  stateRoot: new Uint8Array(32).fill(2),
  custodians: new Uint8Array(32).fill(3),
  leaders: new Uint8Array(32).fill(4),
};
const intents = [1, 2, 3].map((fill) => new Uint8Array(20).fill(fill));
const block = createBlock(header, intents);
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });

test('a block is read as it was made', () => {
  fc.assert(
    fc.property(
      fc.record({
        height: fc.integer({ min: 1 }),
        previous: bytes32,
        time: fc.nat(),
        view: fc.nat(),
        protocol: fc.integer({ min: 1 }),
        stateRoot: bytes32,
        custodians: bytes32,
        leaders: bytes32,
      }),
      fc.option(fc.uint8Array({ minLength: 80, maxLength: 80 }), { nil: undefined }),
      fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 20 }),
      (some, seedProof, list) => {
        const proof = seedProof === undefined ? {} : { seedProof };
        const made = createBlock({ ...header, ...some, ...proof }, list);
        expect(openBlock(made.bytes)).toEqual(made);
        expect(made.header).toEqual({
          ...header,
          ...some,
          ...proof,
          intents: list.length,
          intentsRoot: merkleRoot(list),
        });
        expect(made.intents).toEqual(list);
        expect(made.digest).toBe(toHex(sha256(made.headerBytes)));
      },
    ),
    { numRuns: 60 },
  );
});

test('the digest covers every field and every intent', () => {
  const others = [
    createBlock(header, intents.toReversed()),
    createBlock(header, intents.slice(1)),
    createBlock({ ...header, height: 8 }, intents),
    createBlock({ ...header, view: 0 }, intents),
    createBlock({ ...header, time: 1 }, intents),
    createBlock({ ...header, clusterId: 'aegisc1other' }, intents),
    createBlock({ ...header, proposer: testNode(2).nodeId }, intents),
    createBlock({ ...header, previous: new Uint8Array(32) }, intents),
    createBlock({ ...header, protocol: 1 }, intents),
    createBlock({ ...header, stateRoot: new Uint8Array(32) }, intents),
    createBlock({ ...header, custodians: new Uint8Array(32) }, intents),
    createBlock({ ...header, leaders: new Uint8Array(32) }, intents),
    createBlock({ ...header, seedProof: new Uint8Array(80) }, intents),
  ];
  expect(new Set([block, ...others].map(({ digest }) => digest)).size).toBe(14);
});

test('a header and intents that do not belong together are refused', () => {
  const open = (list: readonly Uint8Array[]) => () => openBlock(encode([block.headerBytes, list]));
  expect(open(intents)).not.toThrow();
  expect(open(intents.toReversed())).toThrow('other intents');
  expect(open(intents.slice(1))).toThrow('another number of intents');
  expect(open([...intents, intents[0]!])).toThrow('another number of intents');
});

test('the limits hold', () => {
  const whole = decode(block.headerBytes, { maxBytes: HEADER_BYTES_MAX }) as object;
  const withHeader = (more: object) => () =>
    onlyAegisErrors(() => openBlock(encode([encode({ ...whole, ...more }), intents])));
  expect(withHeader({})()).toBe('accepted');
  const refused: object[] = [
    { height: 0 },
    { view: -1 },
    { time: -1 },
    { previous: new Uint8Array(31) },
    { stateRoot: new Uint8Array(33) },
    { custodians: new Uint8Array(31) },
    { leaders: new Uint8Array(33) },
    { leaders: 'text' },
    { protocol: 0 },
    { protocol: 1.5 },
    { intentsRoot: new Uint8Array(0) },
    { seedProof: new Uint8Array(79) },
    { seedProof: null },
    { intents: INTENTS_MAX + 1 },
    { proposer: 'somebody' },
    { clusterId: 'c'.repeat(65) },
    { clusterId: 'c'.repeat(2000) },
    { v: 1 },
    { v: 3 },
    { type: 'genesis' },
    { extra: 1 },
  ];
  for (const [index, more] of refused.entries()) {
    expect(withHeader(more)(), `${index}`).toBe('refused');
  }
});

test('as many intents as a block may hold are read, and not one more', () => {
  const empty = new Uint8Array();
  const most = Array.from({ length: INTENTS_MAX }, () => empty);
  expect(createBlock(header, most).intents).toHaveLength(INTENTS_MAX);
  expect(onlyAegisErrors(() => createBlock(header, [...most, empty]))).toBe('refused');
  expect(() => openBlock(encode([block.headerBytes, [...most, empty]]))).toThrow('more than 4096');
  const long = new Uint8Array(INTENT_BYTES_MAX + 129);
  expect(() => createBlock(header, [long])).toThrow('too long');
  expect(createBlock(header, [long.subarray(1)]).intents).toHaveLength(1);
});

test('a longer block than the limit is TOO_LARGE', () => {
  const tooLarge = expect.toSatisfy((error) => hasCode(error, 'TOO_LARGE')) as Error;
  const big = Array.from({ length: 9 }, () => new Uint8Array(60_000));
  expect(() => createBlock(header, big)).toThrow(tooLarge);
  expect(() => openBlock(new Uint8Array(BLOCK_BYTES_MAX + 1))).toThrow(tooLarge);
});

test('a mutation is refused, or has another digest', () => {
  fc.assert(
    fc.property(mutated(block.bytes), (bad) => {
      fc.pre(Buffer.compare(bad, block.bytes) !== 0);
      onlyAegisErrors(() => expect(openBlock(bad).digest).not.toBe(block.digest));
    }),
    { numRuns: 1000 },
  );
});

test('hostile bytes and shapes are refused with nothing but an AegisError', () => {
  const shapes = [1, [], [1], [block.headerBytes], [block.headerBytes, 1], {}, [[], []]];
  for (const shape of shapes) {
    expect(onlyAegisErrors(() => openBlock(encode(shape)))).toBe('refused');
  }
  expect(onlyAegisErrors(() => openBlock(encode([block.headerBytes, [1, 2, 3]])))).toBe('refused');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(onlyAegisErrors(() => openBlock(bytes))).toBe('refused');
    }),
  );
});

test('the longest header that a cluster can make is far within the limit', () => {
  expect(HEADER_BYTES_MAX).toBe(1024);
  const most = Number.MAX_SAFE_INTEGER;
  const longest = {
    ...header,
    clusterId: `aegisc1${'a'.repeat(52)}`,
    ...{ height: most, view: most, protocol: most, time: TIME_MAX },
    seedProof: new Uint8Array(80),
  };
  expect(createBlock(longest, intents).headerBytes.length).toBeLessThan(600);
});

test('the encoding does not change with the program', () => {
  expect(block.digest).toBe('18f9a36a8bc86ae31676abe9d2487c5fb5ed9bad88f0f98589acf784b214bdef');
});
