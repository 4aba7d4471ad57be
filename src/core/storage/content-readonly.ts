/**
 * Reads a home's objects from another process, while its node runs or while it does not. Small and
 * synchronous: for short commands and tests, not for a node, whose loop it would hold up.
 */
import type { CID } from 'multiformats/cid';
import { AegisError } from '../errors.ts';
import { ContentReader } from './content-reader.ts';
import { createHashers } from './multihash.ts';
import type { Totals } from './protocol.ts';

export interface ContentView {
  /** Always verified. @throws {AegisError} `BAD_HASH` naming the CID. */
  get(cid: CID): Uint8Array | undefined;
  has(cid: CID): boolean;
  stat(): Totals;
  close(): void;
}

/** @throws {AegisError} `NOT_FOUND`, `STORE_DAMAGED`, `HOME_TOO_NEW`, `DENIED`. */
export async function openContentReadOnly(path: string): Promise<ContentView> {
  const reader = new ContentReader(path, await createHashers());
  return {
    get: (cid) => {
      const { found, damaged } = reader.getMany([cid.multihash.bytes], true, 1);
      if (damaged === undefined) return found[0];
      const name = cid.toString();
      throw new AegisError('BAD_HASH', `the bytes of ${name} do not match their name`, {
        details: { cid: name },
      });
    },
    has: (cid) => reader.has([cid.multihash.bytes])[0] === true,
    stat: () => reader.stat(),
    close: () => reader.close(),
  };
}
