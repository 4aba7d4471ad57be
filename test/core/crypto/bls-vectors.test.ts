/** All verdicts of Wycheproof on BLS, min-pk; in a file of its own because pairings take time. */
import { expect, test } from 'vitest';
import { signBls, verifyBls, verifyBlsAggregate } from '../../../src/core/crypto/bls.ts';
import { fromHex, toHex, wycheproof } from '../../helpers/vectors.ts';

interface Group {
  readonly ciphersuite: string;
  readonly publicKey: { readonly pk: string };
}

test.each(['basic', 'pop'])('signatures, %s scheme', (scheme) => {
  const file = `bls_sig_g2_${scheme}_verify_test.json`;
  for (const one of wycheproof<Group, { msg: string; sig: string }>(file)) {
    const key = fromHex(one.publicKey.pk);
    const verdict = verifyBls(key, fromHex(one.msg), fromHex(one.sig), one.ciphersuite);
    expect(verdict, `${one.tcId} ${one.comment}`).toBe(one.result === 'valid');
  }
});

test('aggregates', () => {
  type Case = { pubkeys: string[]; messages: string[]; sig: string };
  for (const one of wycheproof<Group, Case>('bls_sig_g2_aggregate_verify_test.json')) {
    const keys = one.pubkeys.map(fromHex);
    const verdict = verifyBlsAggregate(
      keys,
      one.messages.map(fromHex),
      fromHex(one.sig),
      one.ciphersuite,
    );
    expect(verdict, `${one.tcId} ${one.comment}`).toBe(one.result === 'valid');
  }
});

test('hashes to the curve: the signature with the secret 1 is the hashed point', () => {
  const one = new Uint8Array(32).with(31, 1);
  type Case = { msg: string; expected: string };
  for (const vector of wycheproof<{ dst: string }, Case>('bls_hash_to_g2_test.json')) {
    const point = toHex(signBls(one, fromHex(vector.msg), vector.dst));
    expect(point, vector.comment).toBe(vector.expected);
  }
});
