import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  aggregateBls,
  aggregateVerify,
  blsPublicKeyOf,
  blsSecretOf,
  fastAggregateVerify,
  openBlsKey,
  provePossession,
  signBls,
  verifyBls,
  verifyPossession,
} from '../../../src/core/crypto/bls.ts';
import { hasCode } from '../../../src/core/errors.ts';
import {
  oracleAggregate,
  oraclePublicKeyOf,
  oracleSign,
  oracleVerify,
} from '../../helpers/bls-oracle.ts';
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

test('an aggregate over many messages fits when every signer is there', () => {
  const keys = [keyOf(5), keyOf(6), keyOf(7)];
  const messages = keys.map((_, index) => Buffer.from(`vote ${index}`));
  const signatures = keys.map(({ secret }, index) => signBls(secret, messages[index]!));
  const publicKeys = keys.map(({ publicKey }) => publicKey);
  const aggregate = aggregateBls(signatures);
  expect(aggregateVerify(publicKeys, messages, aggregate)).toBe(true);
  expect(aggregateVerify(publicKeys, messages.toReversed(), aggregate)).toBe(false);
  expect(aggregateVerify(publicKeys, messages, aggregateBls(signatures.slice(1)))).toBe(false);
  expect(aggregateVerify(publicKeys.slice(1), messages, aggregate)).toBe(false);
  expect(aggregateVerify(publicKeys, messages.slice(1), aggregate)).toBe(false);
  expect(aggregateVerify([], [], aggregate)).toBe(false);
});

test('an aggregate over one message fits when every signer is there, once', () => {
  const keys = [keyOf(5), keyOf(6), keyOf(7)];
  const publicKeys = keys.map(({ publicKey }) => publicKey);
  const [first, ...rest] = publicKeys as [Uint8Array, ...Uint8Array[]];
  const aggregate = aggregateBls(keys.map(({ secret }) => signBls(secret, message)));
  expect(fastAggregateVerify(publicKeys, message, aggregate)).toBe(true);
  expect(aggregateVerify(publicKeys, [message, message, message], aggregate)).toBe(true);
  expect(fastAggregateVerify(publicKeys, Buffer.from('a veto'), aggregate)).toBe(false);
  expect(fastAggregateVerify(rest, message, aggregate)).toBe(false);
  expect(fastAggregateVerify([first, ...publicKeys], message, aggregate)).toBe(false);
  expect(fastAggregateVerify([], message, aggregate)).toBe(false);
  const opened = publicKeys.map((key) => openBlsKey(key)!);
  expect(fastAggregateVerify(opened, message, aggregate)).toBe(true);
  expect(fastAggregateVerify(opened.slice(1), message, aggregate)).toBe(false);
});

test('keys that cancel each other out verify nothing', () => {
  const { publicKey, secret } = keyOf(8);
  // The sign of a compressed point is one bit of its first byte.
  const negative = publicKey.with(0, publicKey[0]! ^ 0x20);
  const signature = signBls(secret, message);
  const identity = new Uint8Array(96).with(0, 0xc0);
  expect(openBlsKey(negative)).toBeDefined();
  for (const forged of [identity, signature]) {
    expect(fastAggregateVerify([publicKey, negative], message, forged)).toBe(false);
    expect(aggregateVerify([publicKey, negative], [message, message], forged)).toBe(false);
  }
  expect(verifyPossession(negative, provePossession(secret))).toBe(false);
});

test('the oracle makes the same keys, signatures, aggregates and verdicts', () => {
  const seeds = fc.uint8Array({ minLength: 32, maxLength: 40 });
  fc.assert(
    fc.property(seeds, seeds, fc.uint8Array(), fc.boolean(), (one, other, text, isHonest) => {
      const secrets = [blsSecretOf(one), blsSecretOf(other)];
      const keys = secrets.map(blsPublicKeyOf);
      const signatures = secrets.map((secret) => signBls(secret, text));
      const signature = aggregateBls(isHonest ? signatures : signatures.slice(1));
      expect(keys).toEqual(secrets.map(oraclePublicKeyOf));
      expect(signatures).toEqual(secrets.map((secret) => oracleSign(secret, text)));
      expect(aggregateBls(signatures)).toEqual(oracleAggregate(signatures));
      const verdict = fastAggregateVerify(keys, text, signature);
      expect(verdict).toBe(isHonest);
      expect(oracleVerify(keys, [text, text], signature)).toBe(verdict);
    }),
    { numRuns: 5 },
  );
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
      return !verifyBls(key, message, sig) && !aggregateVerify([key], [message], sig);
    }),
    { numRuns: 20 },
  );
});
