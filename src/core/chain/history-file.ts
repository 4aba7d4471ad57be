/**
 * History as a file: blocks in windows, each with the certificate of its last block, and the
 * hand-overs that lead to them (E1, Y1); or a snapshot (Y4). Frames of one record each behind its
 * length, so that a file of any size is written and read piece by piece. Nothing here says whether
 * what is in it holds.
 */
import { unreachable } from '../assert.ts';
import { Fields } from '../consensus/fields.ts';
import { AegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import { MIB } from '../units.ts';
import { LIMITS } from './limits.ts';
import { leavesValue, pageValue, readLeaves, readPage, readPrefix } from './snapshot.ts';
import type { StateRow } from './state-tree.ts';
import type { BlockWindow, StoredRow } from './types.ts';

/** A frame: a window as it is served, or a part of a state. */
export const FRAME_BYTES_MAX = 2 * MIB;
const LENGTH_BYTES = 4;
const CLUSTER_ID_BYTES_MAX = 64;
const HANDOVER_BYTES_MAX = 64 * 1024;
const CERTIFICATE_BYTES_MAX = 512;

export type HistoryFrame =
  | HistoryHead
  | SnapshotHead
  /** The bytes of a row of `chain/handovers`. */
  | { readonly type: 'handover'; readonly handover: Uint8Array }
  | ({ readonly type: 'window' } & BlockWindow)
  | { readonly type: 'manifest'; readonly manifest: Uint8Array }
  | { readonly type: 'page'; readonly index: number; readonly rows: readonly StoredRow[] }
  | { readonly type: 'part'; readonly prefix: string; readonly leaves: readonly StateRow[] }
  /** How many frames stand before it, the head not counted. */
  | { readonly type: 'end'; readonly frames: number };

/** The first frame of a file with blocks. */
export interface HistoryHead {
  readonly type: 'history';
  readonly clusterId: string;
  /** The first and the last height. */
  readonly from: number;
  readonly to: number;
}

/** The first frame of a file with a snapshot. */
export interface SnapshotHead {
  readonly type: 'snapshot';
  readonly clusterId: string;
  readonly height: number;
}

const HISTORY = 'aegis/history/1';
const SNAPSHOT = 'aegis/snapshot-file/1';
/** What stands in the place of the first word, by its length. */
const FIELDS: Readonly<Record<string, number>> = {
  [HISTORY]: 4,
  [SNAPSHOT]: 3,
  handover: 2,
  window: 3,
  manifest: 2,
  page: 3,
  part: 3,
  end: 2,
};

export function encodeFrame(frame: HistoryFrame): Uint8Array {
  const bytes = encode(valueOf(frame));
  const framed = Buffer.alloc(LENGTH_BYTES + bytes.length);
  framed.writeUInt32BE(bytes.length);
  framed.set(bytes, LENGTH_BYTES);
  return framed;
}

function valueOf(frame: HistoryFrame): unknown {
  switch (frame.type) {
    case 'history':
      return [HISTORY, frame.clusterId, frame.from, frame.to];
    case 'snapshot':
      return [SNAPSHOT, frame.clusterId, frame.height];
    case 'handover':
      return ['handover', frame.handover];
    case 'window':
      return ['window', frame.blocks, frame.certificate];
    case 'manifest':
      return ['manifest', frame.manifest];
    case 'page':
      return ['page', frame.index, pageValue(frame.rows)];
    case 'part':
      return ['part', frame.prefix, leavesValue(frame.leaves)];
    case 'end':
      return ['end', frame.frames];
    default:
      return unreachable(frame);
  }
}

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function decodeFrame(bytes: Uint8Array): HistoryFrame {
  const value = decode(bytes, { maxBytes: FRAME_BYTES_MAX });
  const word: unknown = Array.isArray(value) ? value[0] : undefined;
  const count = typeof word === 'string' && Object.hasOwn(FIELDS, word) ? FIELDS[word] : undefined;
  if (count === undefined) throw bad('has a record that does not belong into it');
  const fields = new Fields(value, count, 'history file');
  switch (fields.read(String)) {
    case HISTORY:
      return readHead(fields);
    case SNAPSHOT:
      return { type: 'snapshot', clusterId: fields.read(readClusterId), height: fields.height() };
    case 'handover':
      return { type: 'handover', handover: fields.blob(HANDOVER_BYTES_MAX) };
    case 'window': {
      const blocks = fields.list(LIMITS.windowBlocks, (block) =>
        new Fields([block], 1, 'window').blob(LIMITS.blockBytes),
      );
      return { type: 'window', blocks, certificate: fields.blob(CERTIFICATE_BYTES_MAX) };
    }
    case 'manifest':
      return { type: 'manifest', manifest: fields.blob(LIMITS.messageBytes) };
    case 'page': {
      const index = fields.integer(0, LIMITS.snapshotPages);
      return { type: 'page', index, rows: fields.read(readPage) };
    }
    case 'part': {
      const prefix = fields.read(readPrefix);
      return { type: 'part', prefix, leaves: fields.read(readLeaves) };
    }
    default:
      return { type: 'end', frames: fields.integer(0, Number.MAX_SAFE_INTEGER) };
  }
}

function readHead(fields: Fields): HistoryHead {
  const clusterId = fields.read(readClusterId);
  const from = fields.height();
  const to = fields.height();
  if (to < from) throw bad('ends before it begins');
  return { type: 'history', clusterId, from, to };
}

function readClusterId(value: unknown): string {
  if (typeof value === 'string' && value.length <= CLUSTER_ID_BYTES_MAX) return value;
  throw bad('names no cluster');
}

const bad = (why: string): AegisError => new AegisError('BAD_ENCODING', `the history file ${why}`);

/**
 * Cuts what is read into frames. It keeps no more than one frame; the order of frames, a head first
 * and an end last, is checked here, so that a file that was cut is never taken for a whole one.
 */
export class FrameSplitter {
  #rest: Buffer = Buffer.alloc(0);
  #head: HistoryHead | SnapshotHead | undefined;
  #frames = 0;
  #isOver = false;

  /** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
  *push(chunk: Uint8Array): Generator<HistoryFrame> {
    this.#rest = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= LENGTH_BYTES) {
      if (this.#isOver) throw bad('goes on after its end');
      const length = this.#rest.readUInt32BE(0);
      if (length > FRAME_BYTES_MAX) {
        const message = `the history file has a record of more than ${FRAME_BYTES_MAX} bytes`;
        throw new AegisError('TOO_LARGE', message);
      }
      const end = LENGTH_BYTES + length;
      if (this.#rest.length < end) return;
      const frame = decodeFrame(this.#rest.subarray(LENGTH_BYTES, end));
      // Before it is given away: whoever takes it may not come back for more.
      this.#rest = this.#rest.subarray(end);
      this.#check(frame);
      yield frame;
    }
  }

  /** The file has ended. @throws {AegisError} `BAD_ENCODING` when it should not have. */
  end(): void {
    if (!this.#isOver || this.#rest.length > 0) throw bad('ends too early');
  }

  #check(frame: HistoryFrame): void {
    const isHead = frame.type === 'history' || frame.type === 'snapshot';
    if (isHead !== (this.#head === undefined)) throw bad('is none');
    if (isHead) {
      this.#head = frame;
      return;
    }
    if (frame.type === 'end') {
      if (frame.frames !== this.#frames) throw bad('lacks records');
      this.#isOver = true;
      return;
    }
    this.#frames += 1;
    const isOfBlocks = frame.type === 'window' || frame.type === 'handover';
    if (isOfBlocks !== (this.#head?.type === 'history')) throw bad('has records of two kinds');
  }
}
