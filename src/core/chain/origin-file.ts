/**
 * The state of a cluster as a file, for those who go on from it (R2): a sequence of records, each
 * in dag-cbor behind its length, so that a large state needs no large record. It proves nothing;
 * whoever reads it compares the root.
 */
import { AegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import { RecordReader } from '../model/record.ts';
import { MIB } from '../units.ts';
import type { StoredRow } from './types.ts';

/** A record may hold a whole genesis. */
const RECORD_BYTES_MAX = 8 * MIB;
const RECORD_BYTES = MIB;
export const ORIGIN_BYTES_MAX = 1024 * MIB;

/** Which state it is. */
export interface OriginHead {
  readonly clusterId: string;
  readonly height: number;
  readonly stateRoot: Uint8Array;
}

export interface OriginFile {
  readonly head: OriginHead;
  readonly rows: readonly StoredRow[];
}

/** The parts of the file, in their order. */
export function* encodeOrigin({ head, rows }: OriginFile): Generator<Uint8Array> {
  yield framed({ v: 1, type: 'state', ...head });
  let some: StoredRow[] = [];
  let bytes = 0;
  for (const row of rows) {
    if (some.length > 0 && (row.table !== some[0]!.table || bytes > RECORD_BYTES)) {
      yield framed(rowsRecord(some));
      some = [];
      bytes = 0;
    }
    some.push(row);
    bytes += row.key.length + row.value.length;
  }
  if (some.length > 0) yield framed(rowsRecord(some));
  yield framed({ v: 1, type: 'end', rows: rows.length });
}

const rowsRecord = (rows: readonly StoredRow[]) => ({
  v: 1,
  type: 'rows',
  table: rows[0]!.table,
  rows: rows.map(({ key, value }) => [key, value]),
});

function framed(value: unknown): Uint8Array {
  const bytes = encode(value);
  const frame = Buffer.alloc(4 + bytes.length);
  frame.writeUInt32BE(bytes.length);
  frame.set(bytes, 4);
  return frame;
}

const bad = (why: string): AegisError => new AegisError('BAD_ENCODING', `the state file ${why}`);

/**
 * @param tables which may occur in it.
 * @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`.
 */
export function decodeOrigin(bytes: Uint8Array, tables: readonly string[]): OriginFile {
  if (bytes.length > ORIGIN_BYTES_MAX) throw new AegisError('TOO_LARGE', 'the state is too large');
  const records = recordsOf(bytes);
  const [first, ...rest] = records;
  const head = readHead(first);
  const last = rest.pop();
  const rows = rest.flatMap((value) => readRows(value, tables));
  const end = new RecordReader(last, 'end', ['rows']);
  if (end.integer('rows', 0) !== rows.length) throw bad('ends too early');
  return { head, rows };
}

function recordsOf(bytes: Uint8Array): unknown[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: unknown[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + 4 > bytes.length) throw bad('ends too early');
    const length = view.getUint32(at);
    const end = at + 4 + length;
    if (length > RECORD_BYTES_MAX || end > bytes.length) throw bad('ends too early');
    records.push(decode(bytes.subarray(at + 4, end), { maxBytes: RECORD_BYTES_MAX }));
    at = end;
  }
  return records;
}

function readHead(value: unknown): OriginHead {
  const record = new RecordReader(value, 'state', ['clusterId', 'height', 'stateRoot']);
  return {
    clusterId: record.text('clusterId', { maxBytes: 64 }),
    height: record.integer('height', 0),
    stateRoot: record.bytes('stateRoot', { length: 32 }),
  };
}

function readRows(value: unknown, tables: readonly string[]): StoredRow[] {
  const record = new RecordReader(value, 'rows', ['table', 'rows']);
  const table = record.text('table', { maxBytes: 64 });
  if (!tables.includes(table)) throw bad('holds a table that does not belong into it');
  return record.list('rows', Number.MAX_SAFE_INTEGER).map((item) => {
    const [key, bytes, ...more] = Array.isArray(item) ? (item as unknown[]) : [];
    if (typeof key !== 'string' || !(bytes instanceof Uint8Array) || more.length > 0) {
      throw bad('holds something that is no row');
    }
    // Its own memory, so that the whole file does not stay for one row.
    return { table, key, value: new Uint8Array(bytes) };
  });
}
