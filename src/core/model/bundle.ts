/**
 * The public bundle of a node: what its operator hands to those who make a cluster. Signed by the
 * identity key, so that addresses and weight cannot be changed on the way; whether the node is
 * the one that was meant, people check by its fingerprint over another channel.
 */
import { sha256 } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import type { Signer } from '../ports.ts';
import { type Verified, verified } from '../units.ts';
import { decode } from './cbor.ts';
import { INCEPTION_BYTES_MAX, type Inception, openInception } from './identity.ts';
import { bytesOfText, RecordReader } from './record.ts';
import { checkSignature, openSigned, signRecord } from './signed.ts';

export const ADDRESSES_MAX = 16;
export const ADDRESS_BYTES_MAX = 256;
export const STORAGE_WEIGHT_MAX = 1000;
/** Longest signed bundle. */
export const BUNDLE_BYTES_MAX = 8192;
/** Longest text form. */
export const BUNDLE_TEXT_BYTES_MAX = 16_384;

export interface Bundle {
  /** Signed inception bytes. */
  readonly inception: Uint8Array;
  /** Multiaddrs where the node can be dialled. */
  readonly addresses: readonly string[];
  /** Share of replicas that the node takes, 0 (none) to 1000. */
  readonly storageWeight: number;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
}

export interface OpenBundle {
  readonly bundle: Bundle;
  readonly inception: Inception;
  readonly nodeId: string;
  /** The signed bytes, as they travel. */
  readonly bytes: Uint8Array;
}

const NAMES = ['inception', 'addresses', 'storageWeight', 'createdAt'];
const BEGIN = '-----BEGIN AEGIS BUNDLE-----';
const END = '-----END AEGIS BUNDLE-----';

/** A multiaddr by its outer form; the transports read the rest. */
const isAddress = (text: string): boolean => /^(\/[\x21-\x2e\x30-\x7e]+)+$/.test(text);

/** Makes signed bundle bytes. `signer` holds the identity key of the inception. */
export function createBundle(bundle: Bundle, signer: Signer): Uint8Array {
  const { inception, addresses, storageWeight, createdAt } = bundle;
  const record = { inception, addresses, storageWeight, createdAt };
  const bytes = signRecord({ v: 1, type: 'bundle', ...record }, signer);
  openBundle(bytes);
  return bytes;
}

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`, `BAD_SIGNATURE`, `BAD_REQUEST`. */
export function openBundle(bytes: Uint8Array): Verified<OpenBundle> {
  const signed = openSigned(bytes, { maxBytes: BUNDLE_BYTES_MAX });
  const value = decode(signed.payload, { maxBytes: BUNDLE_BYTES_MAX });
  const record = new RecordReader(value, 'bundle', NAMES);
  const bundle: Bundle = {
    inception: record.bytes('inception', { maxBytes: INCEPTION_BYTES_MAX }),
    addresses: record.texts('addresses', ADDRESSES_MAX, { maxBytes: ADDRESS_BYTES_MAX }),
    storageWeight: record.integer('storageWeight', 0, STORAGE_WEIGHT_MAX),
    createdAt: record.integer('createdAt', 0),
  };
  if (!bundle.addresses.every(isAddress)) {
    throw new AegisError('BAD_ENCODING', 'the bundle has an address that is not a multiaddr', {
      hint: 'Addresses look like /ip4/192.0.2.1/tcp/4001.',
    });
  }
  const { inception, nodeId } = openInception(bundle.inception);
  checkSignature('bundle', signed, inception.identityKey);
  return verified({ bundle, inception, nodeId, bytes });
}

/** The text form: base64 between two marker lines, as PEM (RFC 7468) does it. */
export function bundleToText(bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `${[BEGIN, ...lines, END].join('\n')}\n`;
}

/**
 * The signed bytes of a text form. White space around and inside does not matter.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. The signature is checked by `openBundle`.
 */
export function bundleFromText(text: string): Uint8Array {
  if (text.length > BUNDLE_TEXT_BYTES_MAX) {
    throw new AegisError('TOO_LARGE', 'the text is too long to be a bundle');
  }
  const trimmed = text.trim();
  if (!trimmed.startsWith(BEGIN) || !trimmed.endsWith(END)) {
    throw new AegisError('BAD_ENCODING', 'the text is not an aegis bundle', {
      hint: 'Bundles are made with: aegis cluster bundle --out F',
    });
  }
  const body = trimmed.slice(BEGIN.length, -END.length).replaceAll(/\s+/g, '');
  const bytes = Buffer.from(body, 'base64');
  if (bytes.toString('base64') !== body) {
    throw new AegisError('BAD_ENCODING', 'the bundle is not base64 between its marker lines');
  }
  return new Uint8Array(bytes);
}

/** 128 bits of the hash of a node id in groups of four, for reading aloud. */
export function fingerprint(nodeId: string): string {
  const hex = Buffer.from(sha256(bytesOfText(nodeId)).subarray(0, 16)).toString('hex');
  return (hex.match(/.{4}/g) ?? []).join(' ');
}
