/** How the chain lies in its tables: keys, values, and what of it a node needs when it starts. */
import { fromHex, hex } from '../consensus/fields.ts';
import { AegisError } from '../errors.ts';
import { decode, encode } from '../model/cbor.ts';
import { RecordReader } from '../model/record.ts';
import type { Receipt, RefusalReason } from './execution.ts';
import type { Divergence, StoredRow } from './types.ts';

export const TABLES = {
  /** `height/digest` -> block bytes, final or undecided. */
  blocks: 'chain/blocks',
  /** height -> digest and certificate of the final block. */
  chain: 'chain/chain',
  /** Key of the state -> value. */
  state: 'chain/state',
  /** Intent id -> receipt. */
  receipts: 'chain/receipts',
  /** `nodeId/number` -> entry of a succession, and the height that decided it. */
  successions: 'chain/successions',
  /** Node id -> the bundle with which a node came that the genesis does not have. */
  members: 'chain/members',
  /** Height -> hand-over: the last block of an epoch, and who comes after (E1). Kept for ever. */
  handovers: 'chain/handovers',
  /** Node id -> a member of the cluster before that is none here (R2). */
  former: 'chain/former',
  /** Sequence -> own intent that is not final; digest -> statement that was handed in here. */
  pending: 'chain/pending',
  /** Height -> header of a block of a height at which snapshots are made; never pruned (Y5). */
  headers: 'chain/headers',
  /** Height -> certificate of another block than the one that is final here (Y3). */
  conflicts: 'chain/conflicts',
  meta: 'chain/meta',
} as const;

export const META = {
  tip: 'tip',
  leaders: 'leaders',
  runs: 'runs',
  base: 'base',
  divergence: 'divergence',
} as const;

/**
 * Tables of which `Chain.recover` needs all rows. Of `chain/blocks` see `undecidedFrom`;
 * `chain/state` is read through `Rows` (W40).
 */
export const RECOVERY_TABLES: readonly string[] = [
  TABLES.meta,
  TABLES.successions,
  TABLES.members,
  TABLES.handovers,
  TABLES.headers,
  TABLES.former,
  TABLES.pending,
];

const HEIGHT_DIGITS = 12;
const ROW_BYTES_MAX = 8192;

/** Sorts as the heights, or the sequences of intents, do. */
export const heightKey = (height: number): string => String(height).padStart(HEIGHT_DIGITS, '0');

export const blockKey = (height: number, digest: string): string =>
  `${heightKey(height)}/${digest}`;

/** The first key of `chain/blocks` that `Chain.recover` needs, by the rows of `chain/meta`. */
export function undecidedFrom(
  metaRows: Iterable<{ readonly key: string; readonly value: Uint8Array }>,
): string {
  for (const { key, value } of metaRows) {
    if (key === META.tip) return heightKey(readTip(value).height + 1);
  }
  return heightKey(1);
}

export interface TipRow {
  readonly height: number;
  readonly headerBytes: Uint8Array;
  /** Undefined: it came in the middle of a window (Y1), and the node stopped there. */
  readonly certificate?: Uint8Array | undefined;
}

export const tipRow = ({ height, headerBytes, certificate }: TipRow): Uint8Array =>
  encode({
    v: 1,
    type: 'tip',
    height,
    headerBytes,
    ...(certificate === undefined ? {} : { certificate }),
  });

/** @throws {AegisError} `BAD_ENCODING`. */
export function readTip(bytes: Uint8Array): TipRow {
  const value = decode(bytes, { maxBytes: ROW_BYTES_MAX });
  const record = new RecordReader(value, 'tip', ['height', 'headerBytes', 'certificate']);
  return {
    height: record.integer('height', 1),
    headerBytes: record.bytes('headerBytes', { maxBytes: ROW_BYTES_MAX }),
    certificate: record.has('certificate')
      ? record.bytes('certificate', { maxBytes: ROW_BYTES_MAX })
      : undefined,
  };
}

/** What `chain/chain` says of a final block. */
export interface ChainRow {
  /** Hex. */
  readonly digest: string;
  /**
   * An encoded commit certificate. Undefined: none was verified here; a later block of the epoch
   * has the one that makes it final (Y1), and it is served only together with that.
   */
  readonly certificate?: Uint8Array | undefined;
}

export const chainRow = ({ digest, certificate }: ChainRow): Uint8Array =>
  encode({ digest: fromHex(digest), ...(certificate === undefined ? {} : { certificate }) });

/** @throws {AegisError} `BAD_ENCODING`. */
export function readChainRow(bytes: Uint8Array): ChainRow {
  const value = decode(bytes, { maxBytes: ROW_BYTES_MAX }) as Partial<Record<string, unknown>>;
  const digest = value?.['digest'];
  const certificate = value?.['certificate'];
  const isOne = certificate === undefined || certificate instanceof Uint8Array;
  if (!(digest instanceof Uint8Array) || !isOne) {
    throw new AegisError('BAD_ENCODING', 'the row of the chain is none');
  }
  return { digest: hex(digest), certificate };
}

export const receiptRow = ({ id: _id, ...rest }: Receipt): Uint8Array =>
  encode({ v: 1, type: 'receipt', ...rest });

const RESULTS = ['done', 'unchanged', 'refused'] as const;
const REASONS = [
  'conflict',
  'bad-generation',
  'too-many-heads',
  'bad-merge',
  'not-heads',
  'bad-succession',
  'key-taken',
  'name-taken',
  'frozen',
  'bad-invitation',
  'not-a-member',
  'already-a-member',
  'bad-departure',
  'not-allowed',
  'over-quota',
  'bad-anchor',
  'bad-erasure',
  'not-yet',
  'not-a-custodian',
  'bad-proposal',
  'no-such-proposal',
  'expired',
  'too-many-proposals',
  'bad-readiness',
] as const satisfies readonly RefusalReason[];
const STATEMENTS = [
  'succession',
  'duplicity',
  'admission',
  'departure',
  'proposal',
  'approval',
  'readiness',
] as const;

/** @throws {AegisError} `BAD_ENCODING`. */
export function readReceipt(id: string, bytes: Uint8Array): Receipt {
  const value = decode(bytes, { maxBytes: ROW_BYTES_MAX });
  const names = ['author', 'sequence', 'statement', 'height', 'index', 'result', 'reason'];
  const record = new RecordReader(value, 'receipt', names);
  const result = RESULTS.find((word) => word === record.text('result', { maxBytes: 32 }));
  const reason = record.has('reason')
    ? REASONS.find((word) => word === record.text('reason', { maxBytes: 32 }))
    : undefined;
  const statement = record.has('statement')
    ? STATEMENTS.find((word) => word === record.text('statement', { maxBytes: 32 }))
    : undefined;
  if (result === undefined) throw new AegisError('BAD_ENCODING', 'the receipt has no result');
  return {
    id,
    author: record.text('author', { maxBytes: 64 }),
    sequence: record.integer('sequence', 0),
    ...(statement === undefined ? {} : { statement }),
    height: record.integer('height', 1),
    index: record.integer('index', 0),
    result,
    ...(reason === undefined ? {} : { reason }),
  };
}

export const runsRow = (runs: number): Uint8Array => encode({ v: 1, type: 'runs', runs });

/** @throws {AegisError} `BAD_ENCODING`. */
export function readRuns(bytes: Uint8Array): number {
  const value = decode(bytes, { maxBytes: ROW_BYTES_MAX });
  return new RecordReader(value, 'runs', ['runs']).integer('runs', 1);
}

/** Z1: the lowest height whose block is kept; 1 where there is no such row. */
export const baseRow = (height: number): Uint8Array => encode({ v: 1, type: 'base', height });

/** @throws {AegisError} `BAD_ENCODING`. */
export function readBase(bytes: Uint8Array | undefined): number {
  if (bytes === undefined) return 1;
  const value = decode(bytes, { maxBytes: ROW_BYTES_MAX });
  return new RecordReader(value, 'base', ['height']).integer('height', 1);
}

const DIVERGENCE = ['height', 'ours', 'theirs', 'proposer', 'key', 'path'];

/** Y7. */
export const divergenceRow = ({ type, ...rest }: Divergence): Uint8Array =>
  encode({ v: 1, type, ...defined(rest) });

const defined = <T extends object>(record: T): Partial<T> =>
  Object.fromEntries(
    Object.entries(record).filter(([, value]) => value !== undefined),
  ) as Partial<T>;

/** @throws {AegisError} `BAD_ENCODING`. */
export function readDivergence(bytes: Uint8Array): Divergence {
  const value = decode(bytes, { maxBytes: ROW_BYTES_MAX });
  const record = new RecordReader(value, 'divergence', DIVERGENCE);
  const text = (name: string): string => record.text(name, { maxBytes: 4096 });
  return {
    type: 'divergence',
    height: record.integer('height', 1),
    ours: text('ours'),
    theirs: text('theirs'),
    proposer: text('proposer'),
    ...(record.has('key') ? { key: text('key') } : {}),
    ...(record.has('path') ? { path: text('path') } : {}),
  };
}

export interface SortedRows {
  readonly meta: ReadonlyMap<string, Uint8Array>;
  readonly state: readonly StoredRow[];
  readonly successions: readonly StoredRow[];
  readonly members: readonly StoredRow[];
  readonly handovers: readonly StoredRow[];
  readonly headers: readonly StoredRow[];
  readonly former: readonly StoredRow[];
  readonly pending: readonly StoredRow[];
  readonly blocks: readonly StoredRow[];
  /** Of the machine beneath. */
  readonly consensus: readonly StoredRow[];
}

export function sortRows(rows: Iterable<StoredRow>): SortedRows {
  const meta = new Map<string, Uint8Array>();
  const lists = new Map<string, StoredRow[]>();
  const consensus: StoredRow[] = [];
  const of = (table: string): StoredRow[] => {
    const list = lists.get(table) ?? [];
    lists.set(table, list);
    return list;
  };
  for (const row of rows) {
    if (row.table === TABLES.meta) meta.set(row.key, row.value);
    else if (row.table.startsWith('consensus/')) consensus.push(row);
    else of(row.table).push(row);
  }
  return {
    meta,
    state: of(TABLES.state),
    successions: of(TABLES.successions),
    members: of(TABLES.members),
    handovers: of(TABLES.handovers),
    headers: of(TABLES.headers),
    former: of(TABLES.former),
    pending: of(TABLES.pending),
    blocks: of(TABLES.blocks),
    consensus,
  };
}
