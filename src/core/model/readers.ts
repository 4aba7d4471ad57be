/**
 * What a custodian writes under `.aegis/readers` (docs/knowledge-base.md, W45): the key of one
 * epoch of the readers, as an age file for its members. Here stands only what the bytes say.
 */
import { isRecipient, RECIPIENT_LENGTH } from '../crypto/reading-key.ts';
import { AegisError } from '../errors.ts';
import { decode, encode } from './cbor.ts';
import { isNodeId } from './identity.ts';
import { RecordReader } from './record.ts';

/** Paths below it hold one epoch each; the last part is its number. */
export const READERS_PREFIX = '.aegis/readers/';
/** Members of one epoch. */
const READERS_MAX = 2048;
/** Longest record: 210 bytes a member, and what else there is. */
export const READERS_BYTES_MAX = 512 * 1024;
const NODE_ID_BYTES_MAX = 64;
const EPOCH_MAX = 1_000_000;

export interface ReadersEpoch {
  /** From 1 on: that of 0 follows from the key of names. */
  readonly epoch: number;
  /** To which contents are sealed. */
  readonly recipient: string;
  /** Node ids, in order. */
  readonly members: readonly string[];
  /** For each of them: an age file of the secret of `recipient`. */
  readonly file: Uint8Array;
}

export const pathOfEpoch = (epoch: number): string => `${READERS_PREFIX}${epoch}`;

/** Undefined for other paths. */
export function epochOfPath(path: string): number | undefined {
  const text = path.startsWith(READERS_PREFIX) ? path.slice(READERS_PREFIX.length) : '';
  const epoch = /^[1-9]\d{0,6}$/.test(text) ? Number(text) : EPOCH_MAX + 1;
  return epoch > EPOCH_MAX ? undefined : epoch;
}

export const encodeReaders = ({ epoch, recipient, members, file }: ReadersEpoch): Uint8Array =>
  encode({ v: 1, type: 'readers', epoch, recipient, members: [...members].toSorted(), file });

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function readReaders(bytes: Uint8Array): ReadersEpoch {
  const value = decode(bytes, { maxBytes: READERS_BYTES_MAX });
  const record = new RecordReader(value, 'readers', ['epoch', 'recipient', 'members', 'file']);
  const recipient = record.text('recipient', { maxBytes: RECIPIENT_LENGTH });
  const members = record.texts('members', READERS_MAX, { maxBytes: NODE_ID_BYTES_MAX });
  const isOrdered = members.every((one, at) => at === 0 || one > members[at - 1]!);
  if (!isRecipient(recipient) || !isOrdered || !members.every(isNodeId)) {
    throw new AegisError('BAD_ENCODING', 'the readers are no members in order, or have no key');
  }
  return {
    epoch: record.integer('epoch', 1, EPOCH_MAX),
    ...{ recipient, members, file: record.bytes('file', { maxBytes: READERS_BYTES_MAX }) },
  };
}
