/**
 * A block of the chain: a header, which custodians vote on by its digest, and the intents that it
 * decides, as they were signed. Here stands only whether the bytes are one: who proposed it, and
 * whether its state root is right, is for `consensus/` and `chain/` to say.
 */
import { sha256Hex } from '../crypto/hash.ts';
import { AegisError } from '../errors.ts';
import { decode, encode } from './cbor.ts';
import { isNodeId } from './identity.ts';
import { INTENT_BYTES_MAX } from './intent.ts';
import { merkleRoot } from './merkle.ts';
import { RecordReader } from './record.ts';
import { ENVELOPE_BYTES_MAX } from './signed.ts';

/** Longest block. */
export const BLOCK_BYTES_MAX = 512 * 1024;
/** Most intents of a block. */
export const INTENTS_MAX = 4096;
/** 1 named neither protocol, custodians nor leaders. */
const HEADER_VERSION = 2;
export const HEADER_BYTES_MAX = 1024;

export interface BlockHeader {
  readonly clusterId: string;
  /** 1, 2, 3, ... */
  readonly height: number;
  /** Digest of the block before, 32 bytes; zeros for the first. */
  readonly previous: Uint8Array;
  /** Milliseconds since the Unix epoch; greater than that of the block before. */
  readonly time: number;
  /** Node id of the custodian that made it. */
  readonly proposer: string;
  /** The view in which it was first proposed. */
  readonly view: number;
  /** The version by which it is executed (V1). */
  readonly protocol: number;
  /** At the end of a seed epoch: the proposer's ECVRF proof, 80 bytes (L1). */
  readonly seedProof?: Uint8Array;
  /** How many. */
  readonly intents: number;
  /** Merkle root (RFC 6962) of their signed bytes. */
  readonly intentsRoot: Uint8Array;
  /** Root of the state after the block. */
  readonly stateRoot: Uint8Array;
  /** Digest of the custodians of the height after it (E1), 32 bytes. */
  readonly custodians: Uint8Array;
  /** Digest of the schedule of leaders after it (L1), 32 bytes. */
  readonly leaders: Uint8Array;
}

export interface Block {
  readonly header: BlockHeader;
  /** Signed intents, as they travel; none of them has been read yet. */
  readonly intents: readonly Uint8Array[];
  /** SHA-256 of the header bytes (hex): what is voted on. */
  readonly digest: string;
  readonly headerBytes: Uint8Array;
  /** The whole block. */
  readonly bytes: Uint8Array;
}

const NAMES = [
  'clusterId',
  'height',
  'previous',
  'time',
  'proposer',
  'view',
  'protocol',
  'seedProof',
  'intents',
  'intentsRoot',
  'stateRoot',
  'custodians',
  'leaders',
];

const badBlock = (why: string): AegisError => new AegisError('BAD_ENCODING', `the block ${why}`);

/**
 * Makes a block; number and root of the intents follow from them.
 * @throws {AegisError} `TOO_LARGE` beyond the limits, `BAD_ENCODING` for a header out of range.
 */
export function createBlock(
  header: Omit<BlockHeader, 'intents' | 'intentsRoot'>,
  intents: readonly Uint8Array[],
): Block {
  const { clusterId, height, previous, time, proposer, view, protocol, seedProof } = header;
  const { stateRoot, custodians, leaders } = header;
  const headerBytes = encode({
    v: HEADER_VERSION,
    type: 'block',
    clusterId,
    height,
    previous,
    time,
    proposer,
    view,
    protocol,
    ...(seedProof === undefined ? {} : { seedProof }),
    intents: intents.length,
    intentsRoot: merkleRoot(intents),
    stateRoot,
    custodians,
    leaders,
  });
  return openBlock(encode([headerBytes, [...intents]]));
}

/**
 * Reads block bytes and checks that the intents are those of the header.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`.
 */
export function openBlock(bytes: Uint8Array): Block {
  const value = decode(bytes, { maxBytes: BLOCK_BYTES_MAX });
  if (!Array.isArray(value) || value.length !== 2) throw badBlock('is not a header and a list');
  const [headerBytes, list] = value as [unknown, unknown];
  if (!(headerBytes instanceof Uint8Array)) throw badBlock('has a header that is not bytes');
  const header = readHeader(headerBytes);
  const intents = readIntents(list);
  if (header.intents !== intents.length) throw badBlock('has another number of intents than told');
  if (Buffer.compare(merkleRoot(intents), header.intentsRoot) !== 0) {
    throw badBlock('has other intents than its header says');
  }
  return { header, intents, digest: sha256Hex(headerBytes), headerBytes, bytes };
}

function readIntents(list: unknown): Uint8Array[] {
  if (!Array.isArray(list)) throw badBlock('has no list of intents');
  if (list.length > INTENTS_MAX) throw badBlock(`has more than ${INTENTS_MAX} intents`);
  return list.map((item: unknown) => {
    if (!(item instanceof Uint8Array)) throw badBlock('has an intent that is not bytes');
    if (item.length > INTENT_BYTES_MAX + ENVELOPE_BYTES_MAX) {
      throw badBlock('has an intent that is too long');
    }
    return item;
  });
}

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function readHeader(bytes: Uint8Array): BlockHeader {
  const value = decode(bytes, { maxBytes: HEADER_BYTES_MAX });
  const record = new RecordReader(value, 'block', NAMES, HEADER_VERSION);
  const proposer = record.text('proposer', { maxBytes: 64 });
  if (!isNodeId(proposer)) throw badBlock('has a proposer that is not a node id');
  const seedProof = record.has('seedProof') ? record.bytes('seedProof', { length: 80 }) : undefined;
  return {
    clusterId: record.text('clusterId', { maxBytes: 64 }),
    height: record.integer('height', 1),
    previous: record.bytes('previous', { length: 32 }),
    time: record.time('time'),
    proposer,
    view: record.integer('view', 0),
    protocol: record.integer('protocol', 1),
    ...(seedProof === undefined ? {} : { seedProof }),
    intents: record.integer('intents', 0, INTENTS_MAX),
    intentsRoot: record.bytes('intentsRoot', { length: 32 }),
    stateRoot: record.bytes('stateRoot', { length: 32 }),
    custodians: record.bytes('custodians', { length: 32 }),
    leaders: record.bytes('leaders', { length: 32 }),
  };
}
