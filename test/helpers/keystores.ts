/** Keystores in temporary directories, with a key derivation that is quick instead of safe. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '../../src/core/crypto/hash.ts';
import type { KdfCost } from '../../src/core/crypto/kdf.ts';
import type { Random } from '../../src/core/ports.ts';

export const QUICK_KDF: KdfCost = { memoryKib: 8, passes: 1, lanes: 1 };

/** Bytes that follow from a number: the same number gives the same bytes. */
export function fixedRandom(number: number): Random {
  let count = 0;
  return {
    bytes: (length) => {
      const parts: Uint8Array[] = [];
      for (let done = 0; done < length; done += 32) {
        count += 1;
        parts.push(sha256(Buffer.from(`${number}/${count}`)));
      }
      return Buffer.concat(parts).subarray(0, length);
    },
  };
}

/** A directory of its own for `use`, removed afterwards. */
export async function withDirectory<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'aegis-test-'));
  try {
    return await use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
