/**
 * A rogue key: a consensus key that is made from those of the others, so that one custodian alone
 * could sign for all of them. The attack works on bare aggregates; the proof of possession in the
 * bundle is what stops it.
 */
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { expect, test } from 'vitest';
import { blsScheme } from '../../src/core/consensus/bls-scheme.ts';
import { verifyCertificate } from '../../src/core/consensus/certificate.ts';
import { CustodianSet, CustodianSets } from '../../src/core/consensus/custodian-sets.ts';
import { digestMessage } from '../../src/core/consensus/signed-bytes.ts';
import type { Certificate } from '../../src/core/consensus/types.ts';
import { blsPublicKeyOf, provePossession, signBls } from '../../src/core/crypto/bls.ts';
import { hasCode } from '../../src/core/errors.ts';
import { openBundle } from '../../src/core/model/bundle.ts';
import { decode } from '../../src/core/model/cbor.ts';
import { openSigned, signRecord } from '../../src/core/model/signed.ts';
import { testNode } from '../helpers/nodes.ts';

const CLUSTER_ID = 'rogue';
const honest = [testNode(1), testNode(2)];
const attacker = testNode(3);
const bystander = testNode(4);

/** The attacker's own key, less the keys of those that it wants to sign for. */
function rogueKey(): Uint8Array {
  const point = (bytes: Uint8Array) => bls12_381.G1.Point.fromBytes(bytes);
  return honest
    .map(({ keys }) => point(keys.consensusKey))
    .reduce((sum, key) => sum.subtract(key), point(blsPublicKeyOf(attacker.consensusSecret)))
    .toBytes();
}

const setOf = (attackersKey: Uint8Array) =>
  new CustodianSet(
    [...honest, attacker, bystander].map(({ nodeId, keys, signer }) => ({
      nodeId,
      consensusKey: nodeId === attacker.nodeId ? attackersKey : keys.consensusKey,
      identityKey: signer.publicKey,
      vrfKey: keys.vrfKey,
    })),
  );
const schemeOf = (attackersKey: Uint8Array) =>
  blsScheme({ sets: new CustodianSets(setOf(attackersKey)) });

/** Nobody but the attacker has signed it. */
function forgedCertificate(): Certificate {
  const slot = { phase: 'commit', height: 1, view: 0, digest: 'ab'.repeat(32) } as const;
  const bytes = digestMessage(CLUSTER_ID, slot.phase, slot.height, slot.view, slot.digest);
  const set = setOf(attacker.keys.consensusKey);
  const indices = [...honest, attacker].map(({ nodeId }) => set.indexOf(nodeId));
  const signers = indices.toSorted((a, b) => a - b);
  return { ...slot, signers, signature: signBls(attacker.consensusSecret, bytes) };
}

test('a rogue key signs for a quorum, if it is let in', () => {
  expect(verifyCertificate(forgedCertificate(), schemeOf(rogueKey()), CLUSTER_ID)).toBe(true);
});

test('a bundle with a rogue key is refused, whatever proof it brings', () => {
  const { payload } = openSigned(attacker.bundle, { maxBytes: 8192 });
  const record = decode(payload, { maxBytes: 8192 }) as Record<string, unknown>;
  const proofs = [attacker, ...honest].map(({ consensusSecret }) =>
    provePossession(consensusSecret),
  );
  expect(openBundle(signRecord({ ...record, type: 'bundle', v: 3 }, attacker.signer)).nodeId).toBe(
    attacker.nodeId,
  );
  for (const possession of [...proofs, honest[0]!.keys.possession]) {
    const rogue = { ...record, type: 'bundle', v: 3, consensusKey: rogueKey(), possession };
    expect(() => openBundle(signRecord(rogue, attacker.signer))).toThrow(
      expect.toSatisfy((error) => hasCode(error, 'BAD_SIGNATURE')) as Error,
    );
  }
});

test('with the keys that have proved their possession the forged certificate fails', () => {
  const scheme = schemeOf(attacker.keys.consensusKey);
  const forged = forgedCertificate();
  expect(verifyCertificate(forged, scheme, CLUSTER_ID)).toBe(false);
  const { phase, height, view, digest } = forged;
  const bytes = digestMessage(CLUSTER_ID, phase, height, view, digest);
  const shares = [...honest, attacker].map(({ consensusSecret }) =>
    signBls(consensusSecret, bytes),
  );
  const real = { ...forged, signature: scheme.aggregate(shares)! };
  expect(verifyCertificate(real, scheme, CLUSTER_ID)).toBe(true);
});
