/**
 * The client keys of onion services (docs/tor.md, O13 and O14): who has one can read the descriptor
 * of a service, and so find it. Service and client compute the same key from what the chain says.
 *
 * Here an Ed25519 key signs and agrees (X25519). That is sound: Thormarker ("On using the same key
 * pair for Ed25519 and an X25519 based KEM", eprint 2021/509) proves both secure together, in the
 * random oracle model under a Diffie-Hellman assumption, where the shared secret goes into a hash
 * of its own and nowhere else. So it goes into HKDF-SHA-256 under a label that nothing else has,
 * while Ed25519 hashes with SHA-512, and it never leaves this file. The network key signs what
 * libp2p signs, under prefixes of its own, and in the place of the onion key sign keys that Tor has
 * blinded. What is not as in that proof, and why it does not matter, docs/tor.md says.
 *
 * It chooses neither who is let in nor when keys change, and keeps nothing.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { assert } from '../assert.ts';
import { AegisError } from '../errors.ts';
import { agree } from './agree.ts';
import { hkdfSha256, sha512 } from './hash.ts';

const LABEL = Buffer.from('aegis/onion-client/1');
const KEY_BYTES = 32;
const HOUR_MS = 3600 * 1000;
const EPOCH_MS = 7 * 24 * HOUR_MS;
/** O14: clocks of a service and its clients may differ by less than this. */
const OVERLAP_MS = 2 * HOUR_MS;

/** Whose key it is, at whose service, in which cluster. */
export interface ClientKeyNames {
  readonly clusterId: string;
  /** Public onion key of the service, 32 bytes. */
  readonly service: Uint8Array;
  /** Public network key of the client, 32 bytes. */
  readonly client: Uint8Array;
}

/** The secret of either side: the other one's public key is all that it takes beside. */
export type OwnSecret =
  /** Of the service: the expanded secret of its onion key, 64 bytes. */
  | { readonly onion: Uint8Array }
  /** Of the client: the seed of its network key, 32 bytes. */
  | { readonly network: Uint8Array };

/**
 * O13: the client key of one key epoch, 32 bytes: an X25519 secret. Its user wipes it.
 * @throws {AegisError} `BAD_DATA` when the other one's key is none, or is of small order: then
 * there is no client key, and that one is not let in.
 */
export const clientKeyOf = (
  names: ClientKeyNames & { readonly epoch: number },
  secret: OwnSecret,
): Uint8Array => clientKeysOf(names, [names.epoch], secret)[0]!;

/** The same for several key epochs, which cost hardly more than one. */
export function clientKeysOf(
  { clusterId, service, client }: ClientKeyNames,
  epochs: readonly number[],
  secret: OwnSecret,
): readonly Uint8Array[] {
  assert(service.length === KEY_BYTES && client.length === KEY_BYTES, 'public keys have 32 bytes');
  const isService = 'onion' in secret;
  const scalar = isService ? scalarOf(secret.onion) : scalarOfSeed(secret.network);
  try {
    const shared = agree(scalar, montgomeryOf(isService ? client : service));
    const salt = Buffer.from(clusterId);
    const keys = epochs.map((epoch) =>
      hkdfSha256(shared, salt, infoOf(service, client, epoch), KEY_BYTES),
    );
    shared.fill(0);
    return keys;
  } finally {
    scalar.fill(0);
  }
}

function scalarOfSeed(seed: Uint8Array): Uint8Array {
  assert(seed.length === KEY_BYTES, 'an Ed25519 seed has 32 bytes');
  const expanded = sha512(seed);
  const scalar = scalarOf(expanded);
  expanded.fill(0);
  return scalar;
}

/** The scalar (32 bytes) of an expanded secret. X25519 clamps it as RFC 8032 does. */
function scalarOf(expandedSecret: Uint8Array): Uint8Array {
  assert(expandedSecret.length === 64, 'an expanded Ed25519 secret has 64 bytes');
  return expandedSecret.slice(0, KEY_BYTES);
}

/** The u coordinate of a public key. Clamped scalars are multiples of 8: torsion goes away. */
function montgomeryOf(publicKey: Uint8Array): Uint8Array {
  try {
    return ed25519.utils.toMontgomery(publicKey);
  } catch (error) {
    throw new AegisError('BAD_DATA', 'the public key is no point of Ed25519', { cause: error });
  }
}

/** One text for each key: both public keys and the epoch have a fixed length. */
function infoOf(service: Uint8Array, client: Uint8Array, epoch: number): Uint8Array {
  assert(Number.isSafeInteger(epoch) && epoch >= 0, 'key epochs are counted from 0');
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(epoch));
  return Buffer.concat([LABEL, service, client, number]);
}

/** O14: the key epoch at a time (milliseconds since the Unix epoch). */
export const clientKeyEpochAt = (timeMs: number): number =>
  Math.max(0, Math.floor(timeMs / EPOCH_MS));

/** O14: of which key epochs a service takes the keys then, in order: one, or two near a change. */
export function serviceEpochsAt(timeMs: number): readonly number[] {
  const epochs = [clientKeyEpochAt(timeMs - OVERLAP_MS), clientKeyEpochAt(timeMs + OVERLAP_MS)];
  return [...new Set(epochs)];
}

/** O14: which key epochs a client tries then, the likeliest first. */
export function clientEpochsAt(timeMs: number): readonly number[] {
  return [...new Set([clientKeyEpochAt(timeMs), ...serviceEpochsAt(timeMs)])];
}

/** O14: when a service has to look again which keys it takes: the next time after this one. */
export function nextEpochChange(timeMs: number): number {
  const starts = [0, 1].map((more) => (clientKeyEpochAt(timeMs) + more) * EPOCH_MS);
  const times = starts.flatMap((start) => [start - OVERLAP_MS, start + OVERLAP_MS]);
  return times.find((time) => time > timeMs)!;
}
