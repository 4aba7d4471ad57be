/** How leaves and nodes of the state are hashed (docs/proofs.md), and the bits of their keys. */
import { sha256Latin1 } from '../crypto/hash.ts';

/** Hashes are texts of 32 characters, one a byte: a third of the memory of arrays, and faster. */
export type Hash = string;

export const EMPTY_HASH: Hash = '\0'.repeat(32);
/** Domains, so that no leaf passes for a node and neither for anything else that is hashed. */
const LEAF_DOMAIN = 'aegis/state-leaf/1\0';
const NODE_DOMAIN = 'aegis/state-node/1\0';
const DOMAIN_BYTES = LEAF_DOMAIN.length;
/** What is hashed is put together here: buffers of their own took half of the time. */
const LEAF_INPUT = Buffer.alloc(DOMAIN_BYTES + 64, LEAF_DOMAIN, 'latin1');
const NODE_INPUT = Buffer.alloc(DOMAIN_BYTES + 64, NODE_DOMAIN, 'latin1');

/** Hash of a leaf: of its key and the hash of its value, so that a proof can hide the value. */
export function leafHash(key: string, valueHash: Hash): Hash {
  LEAF_INPUT.write(key, DOMAIN_BYTES, 32, 'hex');
  LEAF_INPUT.write(valueHash, DOMAIN_BYTES + 32, 32, 'latin1');
  return sha256Latin1(LEAF_INPUT);
}

export function nodeHash(left: Hash, right: Hash): Hash {
  NODE_INPUT.write(left, DOMAIN_BYTES, 32, 'latin1');
  NODE_INPUT.write(right, DOMAIN_BYTES + 32, 32, 'latin1');
  return sha256Latin1(NODE_INPUT);
}

/** The hash of what these bits lead to, with nothing beside it on the way. */
export function chainHash(bits: string, below: Hash): Hash {
  let hash = below;
  for (let at = bits.length - 1; at >= 0; at -= 1) {
    hash = bits[at] === '0' ? nodeHash(hash, EMPTY_HASH) : nodeHash(EMPTY_HASH, hash);
  }
  return hash;
}

export const bytesOfHash = (hash: Hash): Uint8Array => new Uint8Array(Buffer.from(hash, 'latin1'));

/** Bit `depth` of a key in hex, first bit first. */
export function bitOf(key: string, depth: number): 0 | 1 {
  const code = key.charCodeAt(depth >> 2);
  const nibble = code < 58 ? code - 48 : code - 87;
  return ((nibble >> (3 - (depth & 3))) & 1) as 0 | 1;
}

const NIBBLES = Array.from({ length: 16 }, (_, n) => n.toString(2).padStart(4, '0'));

/** The bits `from` to `to` of a key in hex, written as 0 and 1. */
export function bitsOf(key: string, from: number, to: number): string {
  let bits = '';
  for (let at = from >> 2; at << 2 < to; at += 1) bits += NIBBLES[Number.parseInt(key[at]!, 16)]!;
  const skipped = from & ~3;
  return bits.slice(from - skipped, to - skipped);
}

/** The hex digits of bits, filled up with zeros to a digit. */
export function hexOfBits(bits: string): string {
  let digits = '';
  for (let at = 0; at < bits.length; at += 4) {
    digits += Number.parseInt(bits.slice(at, at + 4).padEnd(4, '0'), 2).toString(16);
  }
  return digits;
}

/** How many of the bits from `depth` on two keys share, up to `to`. */
export function sharedBits(a: string, b: string, depth: number, to = 256): number {
  let at = depth;
  while (at < to) {
    // Whole digits, where there are such.
    if ((at & 3) === 0 && at + 4 <= to && a[at >> 2] === b[at >> 2]) at += 4;
    else if (bitOf(a, at) === bitOf(b, at)) at += 1;
    else break;
  }
  return at - depth;
}

/** How many of these bits a key has from `depth` on. */
export function matchedBits(bits: string, key: string, depth: number): number {
  let at = 0;
  while (at < bits.length && bits.charCodeAt(at) - 48 === bitOf(key, depth + at)) at += 1;
  return at;
}

/** @param prefix bits, written as 0 and 1. */
export const startsWith = (key: string, prefix: string): boolean =>
  matchedBits(prefix, key, 0) === prefix.length;
