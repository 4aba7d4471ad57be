import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import * as fc from 'fast-check';
import { createBLAKE3 } from 'hash-wasm';
import { expect, test } from 'vitest';
import {
  leafKeysOf,
  openLeaf,
  openName,
  SEALED_LEAF_EXTRA_BYTES,
  SEALED_NAME_BYTES_MAX,
  sealLeaf,
  sealName,
} from '../../../src/core/crypto/sealed-leaf.ts';
import { hasCode } from '../../../src/core/errors.ts';

const keys = leafKeysOf(new Uint8Array(32).fill(1));
const others = leafKeysOf(new Uint8Array(32).fill(2));
const refused = expect.toSatisfy((error) => hasCode(error, 'BAD_DATA')) as Error;

const keyed = async (key: Uint8Array, bytes: Uint8Array): Promise<Uint8Array> =>
  (await createBLAKE3(256, key)).init().update(bytes).digest('binary');

test('a leaf is sealed as W43 says, by other libraries', async () => {
  const leaf = Buffer.from('what stands in a leaf');
  const derive = (label: string) =>
    hkdf(sha256, new Uint8Array(32).fill(1), new Uint8Array(), Buffer.from(label), 32);
  const salt = await keyed(derive('aegis/sealed/leaf-mac/1'), leaf);
  const key = await keyed(derive('aegis/sealed/leaf-key/1'), salt);
  const ciphertext = chacha20poly1305(key, new Uint8Array(12)).encrypt(leaf);
  expect(Buffer.from(sealLeaf(keys, leaf))).toEqual(Buffer.concat([salt, ciphertext]));
});

test('the form of a sealed leaf and of a sealed name does not change', () => {
  expect(Buffer.from(sealLeaf(keys, Buffer.from('leaf'))).toString('hex')).toMatchSnapshot();
  expect(sealName(keys, 'notes.md')).toMatchSnapshot();
});

test('what is sealed opens under its key, is the same each time, and opens under no other', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), (leaf) => {
      const sealed = sealLeaf(keys, leaf);
      expect(sealed).toHaveLength(leaf.length + SEALED_LEAF_EXTRA_BYTES);
      expect(Buffer.from(openLeaf(keys, sealed))).toEqual(Buffer.from(leaf));
      expect(sealLeaf(keys, leaf)).toEqual(sealed);
      expect(() => openLeaf(others, sealed)).toThrow(refused);
    }),
  );
});

test('a change of any bit of a leaf is refused, and so is what is shorter than a leaf', () => {
  const sealed = sealLeaf(keys, new Uint8Array(20).fill(9));
  fc.assert(
    fc.property(fc.nat(sealed.length - 1), fc.nat(7), (at, bit) => {
      const changed = sealed.slice();
      changed[at]! ^= 1 << bit;
      expect(() => openLeaf(keys, changed)).toThrow(refused);
    }),
  );
  for (let length = 0; length < sealed.length; length += 1) {
    expect(() => openLeaf(keys, sealed.subarray(0, length))).toThrow(refused);
  }
});

test('a name opens under its key only, and has one form', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (name) => {
      const sealed = sealName(keys, name);
      expect(sealed).toMatch(/^[\w-]+$/);
      expect(openName(keys, sealed)).toBe(name);
      expect(sealName(keys, name)).toBe(sealed);
      expect(() => openName(others, sealed)).toThrow(refused);
      expect(() => openName(keys, `${sealed}=`)).toThrow(refused);
    }),
  );
  for (const odd of ['', 'AA', 'a name', '.'.repeat(90)]) {
    expect(() => openName(keys, odd)).toThrow(refused);
  }
});

test('the longest name that can be sealed is as long as names may be', () => {
  const longest = 'n'.repeat(SEALED_NAME_BYTES_MAX);
  expect(sealName(keys, longest)).toHaveLength(1024);
  expect(() => sealName(keys, `${longest}n`)).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'TOO_LARGE')) as Error,
  );
});
