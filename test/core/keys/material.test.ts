import { expect, test } from 'vitest';
import { verifyPossession } from '../../../src/core/crypto/bls.ts';
import { onionAddressOf } from '../../../src/core/crypto/onion.ts';
import {
  fromHex,
  generateKey,
  KEY_SIZES,
  KEY_TYPES,
  publicKeyFor,
} from '../../../src/core/keys/material.ts';
import { systemRandom } from '../../../src/core/keys/random.ts';
import { fixedRandom } from '../../helpers/keystores.ts';

test.each(KEY_TYPES)(
  'a %s key has its sizes, and its public part follows from the secret',
  async (type) => {
    const key = await generateKey(type, systemRandom);
    expect(key.secret).toHaveLength(KEY_SIZES[type].secret);
    expect(fromHex(key.public.key)).toHaveLength(KEY_SIZES[type].public);
    expect(await publicKeyFor(type, key.secret)).toBe(key.public.key);
    const { proofOfPossession, address } = key.public;
    expect(proofOfPossession === undefined).toBe(type !== 'consensus');
    expect(address === undefined).toBe(type !== 'onion');
    const publicKey = fromHex(key.public.key);
    if (proofOfPossession)
      expect(verifyPossession(publicKey, fromHex(proofOfPossession))).toBe(true);
    if (address) expect(address).toBe(onionAddressOf(publicKey));
  },
);

test.each(KEY_TYPES)(
  'randomness in a Buffer, as Node gives it, makes a whole %s key',
  async (type) => {
    // Buffer.slice shares memory: wiping the seed must not wipe the key.
    const key = await generateKey(type, fixedRandom(1));
    expect(key.secret.some((byte) => byte !== 0)).toBe(true);
    expect(await publicKeyFor(type, key.secret)).toBe(key.public.key);
    const again = await generateKey(type, fixedRandom(1));
    const other = await generateKey(type, fixedRandom(2));
    expect(again).toEqual(key);
    expect(other.public.key).not.toBe(key.public.key);
  },
);

test('a secret of another length is refused', async () => {
  for (const type of KEY_TYPES) {
    const secret = new Uint8Array(KEY_SIZES[type].secret + 1);
    await expect(publicKeyFor(type, secret)).rejects.toMatchObject({ code: 'BAD_DATA' });
  }
});

test('a source that gives too little randomness makes no key', async () => {
  const random = { bytes: () => new Uint8Array(16) };
  await expect(generateKey('network', random)).rejects.toThrow('as many bytes');
});
