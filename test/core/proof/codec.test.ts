import { describe, expect, it, test } from 'vitest';
import { decode, encode } from '../../../src/core/model/cbor.ts';
import {
  encodeProof,
  PROOF_LIMITS,
  readCommitCertificate,
  readProof,
  readStateValue,
} from '../../../src/core/proof/codec.ts';
import type { Proof } from '../../../src/core/proof/types.ts';
import { onlyAegisErrors } from '../../helpers/mutation.ts';
import { generateProofs } from './support/proofs.ts';

const { proofs, history } = generateProofs({ seed: 'codec', claims: 20, epochs: 2, rotations: 2 });
const good = proofs[0]!.bytes;

const HASH = new Uint8Array(32);
const VALUE = {
  type: 'value',
  path: 'a',
  siblings: [HASH],
  value: new Uint8Array(9),
  lineage: [HASH],
};
const DIRECTORY = { type: 'directory', path: '', siblings: [], leaves: [[HASH, HASH]] };

/** Some fields of a good proof in another way. */
const withFields = (fields: Record<string, unknown>): Uint8Array =>
  encode({ ...(decode(good, { maxBytes: good.length }) as object), ...fields });
const withClaim = (claim: object) => withFields({ claims: [claim] });
const many = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);

test('a proof has one encoding', () => {
  for (const { bytes } of proofs) expect(encodeProof(readProof(bytes))).toEqual(bytes);
});

describe('what has a limit is read up to it, and refused beyond', () => {
  const { linksMax, claimsMax, siblingsMax, lineageMax, leavesMax } = PROOF_LIMITS;
  const { certificateBytesMax, stateValueBytesMax } = PROOF_LIMITS;
  const link = { header: new Uint8Array(1024) };
  it.each<[string, number, (count: number) => Uint8Array]>([
    ['links', linksMax, (count) => withFields({ links: many(count, link) })],
    ['claims', claimsMax, (count) => withFields({ claims: many(count, VALUE) })],
    ['siblings', siblingsMax, (n) => withClaim({ ...VALUE, siblings: many(n, HASH) })],
    ['lineage', lineageMax, (count) => withClaim({ ...VALUE, lineage: many(count, HASH) })],
    ['leaves', leavesMax, (n) => withClaim({ ...DIRECTORY, leaves: many(n, [HASH, HASH]) })],
    ['a header', 1024, (n) => withFields({ links: [{ header: new Uint8Array(n) }] })],
    [
      'a certificate',
      certificateBytesMax,
      (n) => withFields({ links: [{ ...link, certificate: new Uint8Array(n) }] }),
    ],
    ['a value', stateValueBytesMax, (n) => withClaim({ ...VALUE, value: new Uint8Array(n) })],
    [
      'a value of a directory',
      stateValueBytesMax,
      (n) => withClaim({ ...DIRECTORY, leaves: [[HASH, new Uint8Array(n)]] }),
    ],
    ['a version', 32_768, (n) => withClaim({ ...VALUE, lineage: [new Uint8Array(n)] })],
    ['a path', 1024, (n) => withClaim({ ...VALUE, path: 'x'.repeat(n) })],
  ])('%s: %i', (_, most, make) => {
    expect(readProof(make(most)).clusterId).toBe(history.clusterId);
    expect(() => readProof(make(most + 1))).toThrow(/more than|does not have|is none/);
  });

  it('the whole', () => {
    const { proofBytesMax } = PROOF_LIMITS;
    expect(() => readProof(new Uint8Array(proofBytesMax + 1))).toThrow(/more than the 16777216/);
    const long = many(8000, { key: HASH, value: new Uint8Array(2200) });
    const claims = [{ type: 'directory' as const, path: '', siblings: [], leaves: long }];
    const proof: Proof = { clusterId: 'c', links: [{ header: HASH }], claims };
    expect(() => encodeProof(proof)).toThrow(/more than 16777216 bytes/);
  });

  it('a certificate', () => {
    const fields = ['commit', 1, 0, HASH, Uint8Array.of(7), new Uint8Array(96)];
    const read = (at: number, value: unknown) =>
      readCommitCertificate(encode((fields as unknown[]).with(at, value)));
    expect(read(0, 'commit').signers).toEqual([0, 1, 2]);
    expect(read(1, 2 ** 48 - 1).height).toBe(2 ** 48 - 1);
    expect(
      read(
        4,
        Uint8Array.from({ length: 32 }, () => 255),
      ).signers,
    ).toHaveLength(256);
    const wrong: [number, unknown][] = [
      ...[0, 2 ** 48, '1', null].map((height): [number, unknown] => [1, height]),
      ...[-1, 2 ** 32, 0.5].map((view): [number, unknown] => [2, view]),
      ...[0, 32, 33].map((length): [number, unknown] => [4, new Uint8Array(length)]),
      ...['prepare', 'timeout', 1].map((phase): [number, unknown] => [0, phase]),
      [3, new Uint8Array(31)],
      [4, Uint8Array.from({ length: 33 }, () => 255)],
      [5, new Uint8Array(95)],
    ];
    for (const [at, value] of wrong) expect(() => read(at, value)).toThrow('none of a commit');
    expect(() => readCommitCertificate(encode([...fields, 1]))).toThrow('none of a commit');
  });

  it('heads', () => {
    const { cid } = [...history.versions.values()][0]!;
    const ref = (heads: unknown) => encode({ v: 2, type: 'ref', generation: 1, heads });
    expect(readStateValue(ref(many(32, [cid, 1, true])))).toMatchObject({ type: 'ref' });
    expect(() => readStateValue(ref(many(33, [cid, 1])))).toThrow('more than 32');
    const wrong = [[cid], [cid, 0], [cid, 1, false], [cid, 1, true, 1], [HASH, 1], 1, null, cid];
    for (const head of wrong)
      expect(() => readStateValue(ref([head]))).toThrow('a head that is none');
    expect(readStateValue(encode({ v: 1, type: 'account', sequence: 1 }))).toBeUndefined();
    expect(readStateValue(encode(['ref']))).toBeUndefined();
  });
});

test('a claim has the fields of its type, all of them and no others', () => {
  expect(readProof(withClaim(VALUE)).claims).toHaveLength(1);
  const { type: _, ...untyped } = VALUE;
  const claims = [
    ...[
      untyped,
      { ...VALUE, type: 'values' },
      { ...VALUE, type: 1 },
      { ...VALUE, type: 'constructor' },
    ],
    ...[
      { ...VALUE, other: [HASH, HASH] },
      { ...DIRECTORY, lineage: [] },
      { ...DIRECTORY, v: 1 },
    ],
    ...[
      { ...VALUE, path: '' },
      { ...VALUE, path: 'a/' },
      { ...DIRECTORY, path: '/' },
    ],
    ...[
      { ...VALUE, siblings: [new Uint8Array(31)] },
      { ...DIRECTORY, other: [HASH] },
    ],
    ...[{ ...DIRECTORY, other: null }, { ...DIRECTORY, leaves: [[HASH]] }, [], 1, null, HASH],
  ];
  for (const claim of claims) {
    expect(onlyAegisErrors(() => readProof(withFields({ claims: [claim] })))).toBe('refused');
  }
});
