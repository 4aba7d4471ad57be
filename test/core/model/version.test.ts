import * as fc from 'fast-check';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { expect, test } from 'vitest';
import { blake3, sha256 } from '../../../src/core/crypto/hash.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { TIME_MAX } from '../../../src/core/model/record.ts';
import { signRecord } from '../../../src/core/model/signed.ts';
import {
  createVersion,
  MESSAGE_BYTES_MAX,
  openVersion,
  PARENTS_MAX,
  type Version,
} from '../../../src/core/model/version.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { testNode } from '../../helpers/nodes.ts';

const node = testNode(1);
const keyOf = (author: string): Uint8Array | undefined =>
  author === node.nodeId ? node.signer.publicKey : undefined;
const rootOf = (text: string, code = 0x55): CID =>
  CID.createV1(code, Digest.create(0x1e, blake3(Buffer.from(text))));
const parentOf = (text: string): CID => rootOf(text, 0x71);

const fields: Version = {
  path: 'notes/a.md',
  root: rootOf('content'),
  sizeBytes: 7,
  parents: [],
  generation: 1,
  sequence: 1,
  time: 1_800_000_000_000,
  author: node.nodeId,
};
const first = createVersion(fields, node.signer);

const versions: fc.Arbitrary<Version> = fc
  .record(
    {
      path: fc.stringMatching(/^[a-z]{1,8}(\/[a-z]{1,8}){0,3}$/),
      root: fc.string().map((text) => rootOf(text)),
      sizeBytes: fc.maxSafeNat(),
      parents: fc.uniqueArray(fc.string(), { maxLength: 4 }).map((all) => all.map(parentOf)),
      generation: fc.integer({ min: 1 }),
      sequence: fc.integer({ min: 1 }),
      time: fc.nat(TIME_MAX),
      author: fc.constant(node.nodeId),
      message: fc.string({ maxLength: 100 }),
      deleted: fc.boolean(),
    },
    {
      requiredKeys: [
        'path',
        'root',
        'sizeBytes',
        'parents',
        'generation',
        'sequence',
        'time',
        'author',
      ],
      noNullPrototype: true,
    },
  )
  .map((version) => version as Version);

test('a version is read as it was made, with its parents in order', () => {
  fc.assert(
    fc.property(versions, (version) => {
      const made = createVersion(version, node.signer);
      const opened = openVersion(made.bytes, keyOf);
      expect(opened.cidText).toBe(made.cidText);
      expect(opened.version.path).toBe(version.path);
      expect(opened.version.message).toBe(version.message);
      expect(opened.version.deleted).toBe(version.deleted);
      expect(opened.version.parents.map(String)).toEqual(version.parents.map(String).toSorted());
    }),
    { numRuns: 100 },
  );
});

test('its CID is BLAKE3 over the signed bytes, and does not change with the program', () => {
  expect(first.cid.code).toBe(0x71);
  expect(first.cid.multihash.digest).toEqual(blake3(first.bytes));
  expect(first.cidText).toBe('bafyr4iadf2fany7fhkeerq42ibptb3unuyax7z6nfiwnmbtkybqebm35ce');
});

test('a version of a later key epoch names it, and is verified with the key of that', () => {
  const later = createVersion({ ...fields, sequence: 9, keyEpoch: 2 }, node.signer);
  const asked: unknown[] = [];
  const opened = openVersion(later.bytes, (...which) => {
    asked.push(which);
    return node.signer.publicKey;
  });
  expect(opened.version.keyEpoch).toBe(2);
  openVersion(first.bytes, (...which) => {
    asked.push(which);
    return node.signer.publicKey;
  });
  expect(first.version.keyEpoch).toBeUndefined();
  expect(asked).toEqual([
    [node.nodeId, 2, 9],
    [node.nodeId, 0, 1],
  ]);
  expect(createVersion({ ...fields, keyEpoch: 0 }, node.signer).cidText).toBe(first.cidText);
});

test('an unknown author is denied, a foreign signature does not fit', () => {
  expect(() => openVersion(first.bytes, () => undefined)).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'DENIED')) as Error,
  );
  expect(() => openVersion(first.bytes, () => testNode(2).signer.publicKey)).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'BAD_SIGNATURE')) as Error,
  );
});

test('every mutation is refused, with nothing but an AegisError', () => {
  const parents = [parentOf('a'), parentOf('b')];
  const { bytes } = createVersion({ ...fields, parents, message: 'why' }, node.signer);
  fc.assert(
    fc.property(mutated(bytes), (bad) => {
      fc.pre(Buffer.compare(bad, bytes) !== 0);
      expect(onlyAegisErrors(() => openVersion(bad, keyOf))).toBe('refused');
    }),
    { numRuns: 1000 },
  );
});

test('well-signed but wrong versions are refused', () => {
  const parents = [parentOf('a'), parentOf('b')].toSorted((a, b) =>
    a.toString() < b.toString() ? -1 : 1,
  );
  const many = Array.from({ length: PARENTS_MAX + 1 }, (_, index) => parentOf(String(index)));
  const byText = (all: CID[]): CID[] => all.toSorted((a, b) => (String(a) < String(b) ? -1 : 1));
  const wrong: Record<string, Record<string, unknown>> = {
    version: { v: 2 },
    path: { path: '../x' },
    'no root': { root: 5 },
    'a root of CIDv0': { root: CID.createV0(Digest.create(0x12, sha256(Buffer.from('x')))) },
    'a root with another hash': {
      root: CID.createV1(0x55, Digest.create(0x13, new Uint8Array(64))),
    },
    'a root with a short digest': {
      root: CID.createV1(0x55, Digest.create(0x1e, new Uint8Array(16))),
    },
    // What CID.asCID takes for a CID.
    'a map in place of a root': { root: { '/': 1, bytes: 1 } },
    'a map in place of a parent': { parents: [{ '/': 1, bytes: 1 }] },
    'an identity root': { root: CID.createV1(0x55, Digest.create(0, new Uint8Array(32))) },
    size: { sizeBytes: -1 },
    'parents out of order': { parents: parents.toReversed() },
    'a parent twice': { parents: [parents[0], parents[0]] },
    'a parent that is content': { parents: [rootOf('x')] },
    'too many parents': { parents: byText(many) },
    'generation 0': { generation: 0 },
    'sequence 0': { sequence: 0 },
    'a huge sequence': { sequence: 2n ** 60n },
    time: { time: 1.5 },
    'time that no calendar writes': { time: TIME_MAX + 1 },
    author: { author: 'aegis1x' },
    'a long message': { message: 'x'.repeat(MESSAGE_BYTES_MAX + 1) },
    deleted: { deleted: 1 },
    'the first key epoch, written out': { keyEpoch: 0 },
    'an unknown field': { extra: true },
  };
  const sign = (change: object): Uint8Array =>
    signRecord({ v: 1, type: 'version', ...fields, ...change }, node.signer);
  expect(onlyAegisErrors(() => openVersion(sign({ parents }), keyOf))).toBe('accepted');
  expect(onlyAegisErrors(() => openVersion(sign({ parents: byText(many.slice(1)) }), keyOf))).toBe(
    'accepted',
  );
  for (const [what, change] of Object.entries(wrong)) {
    expect(
      onlyAegisErrors(() => openVersion(sign(change), keyOf)),
      what,
    ).toBe('refused');
  }
});
