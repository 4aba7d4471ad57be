import { publicKeyFromRaw } from '@libp2p/crypto/keys';
import { peerIdFromPublicKey } from '@libp2p/peer-id';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { publicKeyOf, signerOf } from '../../../src/core/crypto/sign.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { decode, encode } from '../../../src/core/model/cbor.ts';
import {
  checkLabel,
  createInception,
  INCEPTION_BYTES_MAX,
  isNodeId,
  nodeIdOf,
  openInception,
  peerIdOf,
  shortId,
} from '../../../src/core/model/identity.ts';
import { openSigned, signRecord } from '../../../src/core/model/signed.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { seedOf, testNode } from '../../helpers/nodes.ts';

const { inception: bytes, signer, nodeId } = testNode(1);

const payloadOf = (signed: Uint8Array): Record<string, unknown> => {
  const { payload } = openSigned(signed, { maxBytes: INCEPTION_BYTES_MAX });
  return decode(payload, { maxBytes: INCEPTION_BYTES_MAX }) as Record<string, unknown>;
};
type Signable = Parameters<typeof signRecord>[0];
const signAgain = (change: Record<string, unknown>): Uint8Array =>
  signRecord({ ...payloadOf(bytes), ...change } as Signable, signer);

test('an inception entry is read as it was made, and names its node', () => {
  const opened = openInception(bytes);
  expect(opened.nodeId).toBe(nodeId);
  expect(opened.bytes).toBe(bytes);
  expect(opened.inception).toEqual({
    identityKey: publicKeyOf(seedOf(1)),
    nextIdentityDigest: sha256(publicKeyOf(seedOf(161))),
    networkKey: publicKeyOf(seedOf(81)),
    onionKey: publicKeyOf(sha256(Buffer.from('onion 1'))),
    name: 'node1',
    zone: 'zone1',
    region: 'test',
    createdAt: 1_800_000_000_000,
  });
});

test('the node id is the hash of the very bytes, and does not change with the program', () => {
  expect(nodeId).toMatch(/^aegis1[a-z2-7]{52}$/);
  expect(nodeIdOf(bytes)).toBe('aegis15w6ruus2u56rnejpibf3n25wvlixqb4v2nms6t5shnla5wqjuzra');
  expect(shortId(nodeId)).toBe(nodeId.slice(0, 14));
  expect(isNodeId(nodeId)).toBe(true);
  for (const text of ['', 'aegis1', nodeId.slice(0, -1), `${nodeId}a`, nodeId.toUpperCase()]) {
    expect(isNodeId(text)).toBe(false);
  }
  // Base32 of 32 bytes ends in one significant bit; a text with other left-over bits is no id.
  expect(isNodeId(`aegis1${'a'.repeat(51)}b`)).toBe(false);
});

test('the peer id is that of libp2p', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (seed) => {
      const key = publicKeyOf(seed);
      expect(peerIdOf(key)).toBe(peerIdFromPublicKey(publicKeyFromRaw(key)).toString());
    }),
    { numRuns: 20 },
  );
});

test('every mutation is refused, with nothing but an AegisError', () => {
  fc.assert(
    fc.property(mutated(bytes), (bad) => {
      fc.pre(Buffer.compare(bad, bytes) !== 0);
      expect(onlyAegisErrors(() => openInception(bad))).toBe('refused');
    }),
    { numRuns: 1000 },
  );
});

test('well-signed but wrong entries are refused', () => {
  const wrong: Record<string, unknown>[] = [
    { v: 1 },
    { v: 3 },
    { type: 'bundle' },
    { name: '' },
    { name: 'x'.repeat(65) },
    { name: 'a\u001b[31m' },
    { name: ' a' },
    { zone: 'a\u202eb' },
    { region: 5 },
    { createdAt: -1 },
    { createdAt: 1.5 },
    { identityKey: new Uint8Array(31) },
    { networkKey: 'text' },
    { onionKey: new Uint8Array(31) },
    { nextIdentityDigest: new Uint8Array(33) },
    { extra: 1 },
  ];
  expect(onlyAegisErrors(() => openInception(signAgain({})))).toBe('accepted');
  for (const change of wrong) {
    const entry = signAgain(change);
    expect(
      onlyAegisErrors(() => openInception(entry)),
      JSON.stringify(change),
    ).toBe('refused');
  }
});

test('the signature of another key, or of another type, does not fit', () => {
  const other = signerOf(seedOf(2));
  const forged = signRecord(payloadOf(bytes) as Signable, other);
  const { payload } = openSigned(bytes, { maxBytes: INCEPTION_BYTES_MAX });
  const undomained = encode({ payload, signature: signer.sign(payload) });
  for (const bad of [forged, undomained]) {
    expect(() => openInception(bad)).toThrow(
      expect.toSatisfy((error) => hasCode(error, 'BAD_SIGNATURE')) as Error,
    );
  }
});

test('names that must not be shown cannot be chosen', () => {
  const keys = { nextIdentityDigest: seedOf(1), networkKey: seedOf(2), onionKey: seedOf(3) };
  const fields = { ...keys, createdAt: 1 };
  const make = (name: string) => () =>
    createInception({ ...fields, name, zone: 'z', region: 'r' }, signer);
  for (const name of ['', ' ', 'a\n', 'a\u0000', '\u200b', '\u2028', 'x'.repeat(65), '\ud800']) {
    expect(make(name), JSON.stringify(name)).toThrow('the name must be');
  }
  expect(checkLabel('name', '\u00fcber-\u{1f511}')).toBe('\u00fcber-\u{1f511}');
});
