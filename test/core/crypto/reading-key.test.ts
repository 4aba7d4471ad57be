import { ed25519 } from '@noble/curves/ed25519.js';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  firstReadersSecret,
  identityOf,
  isRecipient,
  readerOf,
  readingSecretOf,
  recipientOfSecret,
} from '../../../src/core/crypto/reading-key.ts';
import { hasCode } from '../../../src/core/errors.ts';

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });

test('keys are written as age writes them', async () => {
  const secret = new Uint8Array(32).fill(3);
  expect(await identityToRecipient(identityOf(secret))).toBe(recipientOfSecret(secret));
  expect(isRecipient(recipientOfSecret(secret))).toBe(true);
  expect(isRecipient(await identityToRecipient(await generateX25519Identity()))).toBe(true);
});

test('a node reads by its network key what is sealed to it', () => {
  fc.assert(
    fc.property(bytes32, (seed) => {
      expect(readerOf(ed25519.getPublicKey(seed))).toBe(recipientOfSecret(readingSecretOf(seed)));
    }),
    { numRuns: 20 },
  );
  expect(() => readerOf(new Uint8Array(32).fill(255))).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'BAD_DATA')) as Error,
  );
});

test('anything else is no recipient', () => {
  const good = recipientOfSecret(new Uint8Array(32).fill(3));
  const odd = [
    ...['', 'age1', good.slice(0, -1), `${good}q`, good.toUpperCase(), ` ${good}`],
    `age1pq${good.slice(6)}`,
    `${good.slice(0, 20)}${good[20] === 'q' ? 'p' : 'q'}${good.slice(21)}`,
  ];
  for (const text of odd) expect(isRecipient(text), text).toBe(false);
});

test('the first key of the readers follows from the key of names alone, and stays', () => {
  const secret = firstReadersSecret(new Uint8Array(32).fill(5));
  expect(recipientOfSecret(secret)).toBe(
    'age1dt4a2lu5j98zpueaunlhad4d4s4y93zayuelk8hcp6dk7hnzd4fqrp2nrx',
  );
});
