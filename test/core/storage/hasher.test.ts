import { createHash } from 'node:crypto';
import { blake3 } from '@noble/hashes/blake3.js';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHasher } from '../../../src/core/storage/hasher.ts';
import {
  createHashers,
  MULTIHASH_BYTES,
  matches,
  multihashOf,
  packKeys,
  unpackKeys,
} from '../../../src/core/storage/multihash.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('every implementation answers as the reference does, whatever the size', async () => {
  const fast = await createHasher('blake3');
  const portable = await createHasher('blake3', { native: false });
  const sha256 = await createHasher('sha2-256');
  // Around the block and chunk sizes of BLAKE3, and where the addon takes over.
  const sizes = [0, 1, 63, 64, 65, 1023, 1024, 1025, 2047, 2048, 2049, 4096, 70_000];
  for (const size of sizes) {
    const bytes = Uint8Array.from({ length: size }, (_, at) => at % 251);
    expect(hex(fast.digest(bytes))).toBe(hex(blake3(bytes)));
    expect(hex(portable.digest(bytes))).toBe(hex(blake3(bytes)));
    expect(hex(sha256.digest(bytes))).toBe(createHash('sha256').update(bytes).digest('hex'));
  }
  expect([fast.code, sha256.code]).toEqual([0x1e, 0x12]);
});

test('known answers: the empty input of BLAKE3 (test_vectors.json) and of FIPS 180-4', async () => {
  const { blake3: fast, 'sha2-256': sha256 } = await createHashers();
  expect(hex(fast.digest(new Uint8Array()))).toBe(
    'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',
  );
  expect(hex(sha256.digest(new Uint8Array()))).toBe(
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  );
});

test('a digest owns its memory', async () => {
  for (const name of ['blake3', 'sha2-256'] as const) {
    const hasher = await createHasher(name);
    const [a, b] = [hasher.digest(new Uint8Array(5000)), hasher.digest(new Uint8Array(10))];
    expect([a.buffer.byteLength, b.buffer.byteLength]).toEqual([32, 32]);
    expect(hex(a)).not.toBe(hex(b));
  }
});

test('multihashes match their bytes and nothing else, and survive packing', async () => {
  const hashers = await createHashers();
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      const keys = [multihashOf(hashers.blake3, a), multihashOf(hashers['sha2-256'], b)];
      expect(unpackKeys(packKeys(keys))).toEqual(keys);
      expect(keys.every(({ length }) => length === MULTIHASH_BYTES)).toBe(true);
      expect(matches(keys[0]!, a, hashers) && matches(keys[1]!, b, hashers)).toBe(true);
      expect(matches(keys[0]!, b, hashers)).toBe(hex(a) === hex(b));
    }),
  );
  expect(() => packKeys([new Uint8Array(33)])).toThrow('32-byte');
});
