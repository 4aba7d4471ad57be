import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  aggregateBls,
  blsPublicKeyOf,
  blsSecretOf,
  provePossession,
  signBls,
  verifyBls,
  verifyBlsAggregate,
  verifyPossession,
} from '../../../src/core/crypto/bls.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { fromHex, toHex } from '../../helpers/vectors.ts';

const keyOf = (fill: number): { secret: Uint8Array; publicKey: Uint8Array } => {
  const secret = blsSecretOf(new Uint8Array(32).fill(fill));
  return { secret, publicKey: blsPublicKeyOf(secret) };
};
const message = Buffer.from('a vote');

test('KeyGen makes the master keys of EIP-2333, test cases 0, 3 and 2', () => {
  const cases = [
    [
      'c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e5349553' +
        '1f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04',
      6083874454709270928345386274498605044986640685124978867557563392430687146096n,
    ],
    [
      'd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3',
      19022158461524446591288038168518313374041767046816487870552872741050760015818n,
    ],
    [
      '0099ff991111002299dd7744ee3355bbdd8844115566cc55663355668888cc00',
      27580842291869792442942448775674722299803720648445448686099262467207037398656n,
    ],
  ] as const;
  for (const [seed, secret] of cases) {
    expect(BigInt(`0x${toHex(blsSecretOf(fromHex(seed)))}`)).toBe(secret);
  }
});

test('a signature fits its key and message only', () => {
  const [a, b] = [keyOf(1), keyOf(2)];
  const signature = signBls(a.secret, message);
  expect(verifyBls(a.publicKey, message, signature)).toBe(true);
  expect(verifyBls(b.publicKey, message, signature)).toBe(false);
  expect(verifyBls(a.publicKey, Buffer.from('a vote!'), signature)).toBe(false);
});

test('a signature is no proof of possession, and a proof is no signature', () => {
  const { secret, publicKey } = keyOf(3);
  const proof = provePossession(secret);
  expect(verifyPossession(publicKey, proof)).toBe(true);
  expect(verifyPossession(publicKey, signBls(secret, publicKey))).toBe(false);
  expect(verifyBls(publicKey, publicKey, proof)).toBe(false);
  expect(verifyPossession(keyOf(4).publicKey, proof)).toBe(false);
});

test('an aggregate fits when every signer is there', () => {
  const keys = [keyOf(5), keyOf(6), keyOf(7)];
  const messages = keys.map((_, index) => Buffer.from(`vote ${index}`));
  const signatures = keys.map(({ secret }, index) => signBls(secret, messages[index]!));
  const publicKeys = keys.map(({ publicKey }) => publicKey);
  const aggregate = aggregateBls(signatures);
  expect(verifyBlsAggregate(publicKeys, messages, aggregate)).toBe(true);
  expect(verifyBlsAggregate(publicKeys, messages.toReversed(), aggregate)).toBe(false);
  expect(verifyBlsAggregate(publicKeys, messages, aggregateBls(signatures.slice(1)))).toBe(false);
  expect(verifyBlsAggregate(publicKeys.slice(1), messages, aggregate)).toBe(false);
  expect(verifyBlsAggregate([], [], aggregate)).toBe(false);
});

test('malformed signatures to aggregate are BAD_SIGNATURE', () => {
  for (const signatures of [[], [new Uint8Array(96)], [new Uint8Array(5)]]) {
    expect(() => aggregateBls(signatures)).toThrow(
      expect.toSatisfy((error) => hasCode(error, 'BAD_SIGNATURE')) as Error,
    );
  }
});

test('hostile bytes are false and nothing else', () => {
  const any = fc.uint8Array({ maxLength: 100 });
  fc.assert(fc.property(any, any, (key, signature) => !verifyBls(key, message, signature)));
  const whole = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(
    fc.property(whole(48), whole(96), (key, sig) => {
      return !verifyBls(key, message, sig) && !verifyBlsAggregate([key], [message], sig);
    }),
    { numRuns: 20 },
  );
});
