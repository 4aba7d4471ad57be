/**
 * All verdicts of Wycheproof on BLS, min-pk; in a file of its own because pairings take time. blst
 * knows one domain (POP). The vectors of others are verdicts on the oracle, and their keys and
 * signatures, many of them malformed, are decoded by both.
 */
import { expect, test } from 'vitest';
import {
  aggregateBls,
  fastAggregateVerify,
  openBlsKey,
  signBls,
  verifyBls,
} from '../../../src/core/crypto/bls.ts';
import {
  oracleIsKey,
  oracleIsSignature,
  oracleSign,
  oracleVerify,
  POP,
} from '../../helpers/bls-oracle.ts';
import { fromHex, toHex, wycheproof } from '../../helpers/vectors.ts';

interface Group {
  readonly ciphersuite: string;
  readonly publicKey: { readonly pk: string };
}

const isSignature = (bytes: Uint8Array): boolean => {
  try {
    return aggregateBls([bytes]).length === 96;
  } catch {
    return false;
  }
};

function bothDecode(key: Uint8Array, signature: Uint8Array, what: string): void {
  expect(openBlsKey(key) !== undefined, `${what}: key`).toBe(oracleIsKey(key));
  expect(isSignature(signature), `${what}: signature`).toBe(oracleIsSignature(signature));
}

test.each(['basic', 'pop'])('signatures, %s scheme', (scheme) => {
  const file = `bls_sig_g2_${scheme}_verify_test.json`;
  for (const one of wycheproof<Group, { msg: string; sig: string }>(file)) {
    const [key, message, sig] = [fromHex(one.publicKey.pk), fromHex(one.msg), fromHex(one.sig)];
    const what = `${one.tcId} ${one.comment}`;
    const isValid = one.result === 'valid';
    expect(oracleVerify([key], [message], sig, one.ciphersuite), what).toBe(isValid);
    // Another domain makes another signature: blst must refuse the valid ones of the basic scheme.
    expect(verifyBls(key, message, sig), what).toBe(isValid && one.ciphersuite === POP);
    bothDecode(key, sig, what);
  }
});

test('aggregates', () => {
  type Case = { pubkeys: string[]; messages: string[]; sig: string };
  for (const one of wycheproof<Group, Case>('bls_sig_g2_aggregate_verify_test.json')) {
    const keys = one.pubkeys.map(fromHex);
    const messages = one.messages.map(fromHex);
    const sig = fromHex(one.sig);
    const what = `${one.tcId} ${one.comment}`;
    const isValid = one.result === 'valid';
    expect(oracleVerify(keys, messages, sig, one.ciphersuite), what).toBe(isValid);
    for (const key of keys) bothDecode(key, sig, what);
    expect(fastAggregateVerify(keys, messages[0] ?? sig, sig), what).toBe(false);
  }
});

test('hashes to the curve: the signature with the secret 1 is the hashed point', () => {
  const one = new Uint8Array(32).with(31, 1);
  type Case = { msg: string; expected: string };
  for (const vector of wycheproof<{ dst: string }, Case>('bls_hash_to_g2_test.json')) {
    const message = fromHex(vector.msg);
    expect(toHex(oracleSign(one, message, vector.dst)), vector.comment).toBe(vector.expected);
    expect(toHex(signBls(one, message)), vector.comment).toBe(toHex(oracleSign(one, message)));
  }
});
