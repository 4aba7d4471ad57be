/**
 * The root of a sealed content (docs/knowledge-base.md, W42): links to the key object and to the
 * DAG of the ciphertext, and to whom it is sealed. Here stands only what its bytes say; whether
 * the key object is sealed to those, only they can tell.
 */
import type { CID } from 'multiformats/cid';
import { isRecipient, RECIPIENT_LENGTH } from '../crypto/reading-key.ts';
import { AegisError } from '../errors.ts';
import { decode, encode } from './cbor.ts';
import { RecordReader } from './record.ts';

/** Multicodec codes (multiformats/multicodec, table.csv). */
export const SEALED_CODEC = 0x71;
const RAW = 0x55;
const DAG_PB = 0x70;
const DIGEST_BYTES = 32;

/** Whom one content can be sealed to. */
export const SEALED_RECIPIENTS_MAX = 128;
/** Longest key object: an age file with so many recipients has less. */
export const KEY_OBJECT_BYTES_MAX = 32 * 1024;
/** Longest sealed root. */
export const SEALED_ROOT_BYTES_MAX = 16 * 1024;

export interface SealedRoot {
  /** Of the key object. */
  readonly key: CID;
  /** Of the UnixFS DAG of the ciphertext. */
  readonly content: CID;
  /** Recipients of age, in the order of their text. */
  readonly to: readonly string[];
}

const bad = (why: string, cause?: unknown): AegisError =>
  new AegisError('BAD_DATA', `the sealed root ${why}`, { cause });

export function encodeSealedRoot({ key, content, to }: SealedRoot): Uint8Array {
  return encode({ v: 1, type: 'sealed', key, content, to: [...to].toSorted() });
}

/** @throws {AegisError} `BAD_DATA`, `BAD_ENCODING`, `TOO_LARGE`. */
export function readSealedRoot(bytes: Uint8Array): SealedRoot {
  const value = decode(bytes, { maxBytes: SEALED_ROOT_BYTES_MAX });
  const record = new RecordReader(value, 'sealed', ['key', 'content', 'to']);
  const key = record.cid('key');
  const content = record.cid('content');
  const limits = { maxBytes: RECIPIENT_LENGTH };
  const to = record.texts('to', SEALED_RECIPIENTS_MAX, limits);
  if (!isObject(key, RAW)) throw bad('has a key that is no raw object');
  if (!isObject(content, RAW) && !isObject(content, DAG_PB)) throw bad('has a content of no file');
  if (to.length === 0 || !to.every(isRecipient)) throw bad('is sealed to what is no recipient');
  if (to.some((one, at) => at > 0 && one <= to[at - 1]!)) throw bad('has recipients out of order');
  return { key, content, to };
}

const isObject = (cid: CID, codec: number): boolean =>
  cid.version === 1 && cid.code === codec && cid.multihash.size === DIGEST_BYTES;

/** Whether the name of a root says that it is sealed. */
export const isSealedRoot = ({ code }: CID): boolean => code === SEALED_CODEC;
