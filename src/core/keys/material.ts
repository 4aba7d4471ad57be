/** The kinds of keys, how each is made from randomness, and what of it is public. */

import { assert } from '../assert.ts';
import { agreementKeyOf } from '../crypto/agree.ts';
import { publicKeyOf } from '../crypto/sign.ts';
import { AegisError } from '../errors.ts';
import type { Random } from '../ports.ts';

export const KEY_TYPES = [
  'identity',
  'network',
  'consensus',
  'vrf',
  'session',
  'reading',
  'onion',
] as const;
export type KeyType = (typeof KEY_TYPES)[number];

/** What of a key everybody may know. All values are text. */
export interface PublicPart {
  /** The public key in hexadecimal. */
  readonly key: string;
  /** Consensus keys: proof that the maker holds the secret (hexadecimal, 96 bytes). */
  readonly proofOfPossession?: string;
  /** Onion keys: the address, 56 characters and `.onion`. */
  readonly address?: string;
}

export interface KeyMaterial {
  readonly type: KeyType;
  /** Seed (identity, network, vrf), scalar (consensus, session, reading), or expanded (onion). */
  readonly secret: Uint8Array;
  readonly public: PublicPart;
}

/** Length of the secret and of the public key, in bytes. */
export const KEY_SIZES: Readonly<Record<KeyType, { secret: number; public: number }>> = {
  identity: { secret: 32, public: 32 },
  network: { secret: 32, public: 32 },
  consensus: { secret: 32, public: 48 },
  vrf: { secret: 32, public: 32 },
  session: { secret: 32, public: 32 },
  reading: { secret: 32, public: 32 },
  onion: { secret: 64, public: 32 },
};

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
export const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

type Maker = (seed: Uint8Array) => Promise<Omit<KeyMaterial, 'type'>>;

const ed25519Key: Maker = (seed) =>
  Promise.resolve({ secret: seed.slice(), public: { key: hex(publicKeyOf(seed)) } });

const x25519Key: Maker = (seed) =>
  Promise.resolve({ secret: seed.slice(), public: { key: hex(agreementKeyOf(seed)) } });

/** Curves that are seldom needed are loaded when they are. */
const MAKERS: Readonly<Record<KeyType, Maker>> = {
  identity: ed25519Key,
  network: ed25519Key,
  // RFC 9381 derives public keys as Ed25519 does.
  vrf: ed25519Key,
  session: x25519Key,
  reading: x25519Key,
  consensus: async (seed) => {
    const bls = await import('../crypto/bls.ts');
    const secret = bls.blsSecretOf(seed);
    const proofOfPossession = hex(bls.provePossession(secret));
    return { secret, public: { key: hex(bls.blsPublicKeyOf(secret)), proofOfPossession } };
  },
  onion: async (seed) => {
    const { onionKeyOf } = await import('../crypto/onion.ts');
    const { expandedSecret: secret, publicKey, address } = onionKeyOf(seed);
    return { secret, public: { key: hex(publicKey), address } };
  },
};

/** Makes a key from randomness. */
export async function generateKey(type: KeyType, random: Random): Promise<KeyMaterial> {
  // A copy: what the source gave may share its memory with others, as Buffers do.
  const seed = new Uint8Array(random.bytes(32));
  assert(seed.length === 32, 'the source of randomness gives as many bytes as it was asked for');
  const made = await MAKERS[type](seed);
  seed.fill(0);
  return { type, ...made };
}

/** The public key (hexadecimal) that belongs to a secret. */
export async function publicKeyFor(type: KeyType, secret: Uint8Array): Promise<string> {
  if (secret.length !== KEY_SIZES[type].secret) {
    throw new AegisError('BAD_DATA', `a secret ${type} key has ${KEY_SIZES[type].secret} bytes`);
  }
  if (type === 'consensus') return hex((await import('../crypto/bls.ts')).blsPublicKeyOf(secret));
  if (type === 'onion')
    return hex((await import('../crypto/onion-secret.ts')).onionPublicKeyOf(secret));
  const isAgreement = type === 'session' || type === 'reading';
  return hex(isAgreement ? agreementKeyOf(secret) : publicKeyOf(secret));
}
