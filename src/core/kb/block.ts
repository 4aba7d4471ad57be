/** Objects and their names. */
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import type { Hasher } from '../ports.ts';

/** Multicodec codes (multiformats/multicodec, table.csv). */
export const RAW = 0x55;
export const DAG_PB = 0x70;
export const BLAKE3 = 0x1e;
export const SHA2_256 = 0x12;

/** An object: bytes under their name. Whether the name fits is for the receiver to check. */
export interface Block {
  readonly cid: CID;
  readonly bytes: Uint8Array;
}

/** CIDv1 of `bytes`. */
export const cidOf = (codec: number, bytes: Uint8Array, hasher: Hasher): CID =>
  CID.createV1(codec, Digest.create(hasher.code, hasher.digest(bytes)));

export const blockOf = (codec: number, bytes: Uint8Array, hasher: Hasher): Block => ({
  cid: cidOf(codec, bytes, hasher),
  bytes,
});

/** Whether `bytes` are what `cid` names, for a hash that `hasher` makes. */
export function fits(cid: CID, bytes: Uint8Array, hasher: Hasher): boolean {
  const { code, digest } = cid.multihash;
  return code === hasher.code && Buffer.compare(digest, hasher.digest(bytes)) === 0;
}

/** A short map key for a CID: its bytes, one character each. Equal CIDs have equal keys. */
export function keyOf({ bytes }: CID): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** Finds the hasher for a CID; undefined for a hash that is not served. */
export type Hashers = (code: number) => Hasher | undefined;
