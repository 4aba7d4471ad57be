/**
 * One change that an intent asks for: a ref moves, a right is given or taken (docs/history.md, N2),
 * the hash of a state is anchored (R4), a name is erased (N4). Here stands only whether it is one.
 * Paths stand encrypted in the bytes (docs/proofs.md).
 */
import type { CID } from 'multiformats/cid';
import { AegisError } from '../errors.ts';
import { readNodeId } from './membership.ts';
import { MERGE_BYTES_MAX } from './merge.ts';
import { type Names, SEALED_NAME_BYTES_MAX, SEALED_RECORD_EXTRA_BYTES } from './names.ts';
import { readLabel } from './proposed-change.ts';
import { RecordReader } from './record.ts';
import { checkParents, isVersionCid, PARENTS_MAX, sortParents } from './version.ts';

const ANCHOR_BYTES = 32;

/** One ref moves to one version. */
export interface Move {
  readonly op?: undefined;
  readonly path: string;
  /** The new head. */
  readonly version: CID;
  /** The versions that it follows, which are heads no more, in the order of their text. */
  readonly parents: readonly CID[];
  /** That of the version. */
  readonly generation: number;
  readonly deleted?: boolean;
  /** Compare-and-swap: the one head that must be there, or null when none may be. */
  readonly expected?: CID | null;
  /** W11: the version is a merge, and this its record, which stands encrypted in the bytes. */
  readonly merge?: Uint8Array;
}

/** What a node may do in a namespace. */
export type Right = 'owner' | 'writer';

/** N2. A node has one right; the later grant counts. */
export interface Grant {
  readonly op: 'grant';
  /** Of the namespace. */
  readonly path: string;
  readonly nodeId: string;
  readonly right: Right;
}

/** N2. */
export interface Revoke {
  readonly op: 'revoke';
  /** Of the namespace. */
  readonly path: string;
  readonly nodeId: string;
}

/** R4. */
export interface Anchor {
  readonly op: 'anchor';
  readonly label: string;
  /** Of a state of the author's own, 32 bytes. */
  readonly digest: Uint8Array;
  /** The digest that was anchored under the label before; none at first. */
  readonly previous?: Uint8Array;
}

/** N4. */
export interface Erase {
  readonly op: 'erase';
  readonly path: string;
}

export type Change = Move | Grant | Revoke | Anchor | Erase;

const MOVE_FIELDS = ['name', 'version', 'parents', 'generation', 'deleted', 'expected', 'merge'];
const FIELDS = {
  grant: ['op', 'name', 'nodeId', 'right'],
  revoke: ['op', 'name', 'nodeId'],
  anchor: ['op', 'label', 'digest', 'previous'],
  erase: ['op', 'name'],
} as const;

const bad = (why: string): AegisError => new AegisError('BAD_ENCODING', `the change ${why}`);

export const isMove = (change: Change): change is Move => change.op === undefined;

/** As they stand in the bytes of an intent. */
export const encodeChanges = (changes: readonly Change[], names: Names): object[] =>
  changes.map((change) => {
    if (change.op === 'anchor') return change;
    const { path, ...rest } = change;
    const name = names.seal(path);
    if (rest.op !== undefined) return { name, ...rest };
    const { op: _, parents, merge, ...move } = rest;
    const record = merge === undefined ? {} : { merge: names.sealRecord(merge) };
    return { name, parents: sortParents(parents), ...move, ...record };
  });

/** @throws {AegisError} `BAD_ENCODING`. */
export function readChange(value: unknown, names: Names): Change {
  const op = opOf(value);
  switch (op) {
    case undefined:
      return readMove(new RecordReader(value, 'change', MOVE_FIELDS, null), names);
    case 'grant':
      return readGrant(new RecordReader(value, 'grant', FIELDS[op], null), names);
    case 'revoke': {
      const revoke = new RecordReader(value, 'revocation', FIELDS[op], null);
      return { op, path: readName(revoke, names), nodeId: readNodeId(revoke, 'revocation') };
    }
    case 'anchor':
      return readAnchor(new RecordReader(value, 'anchor', FIELDS[op], null));
    case 'erase':
      return { op, path: readName(new RecordReader(value, 'erasure', FIELDS[op], null), names) };
    default:
      throw bad('is of a kind that this aegis does not know');
  }
}

const readName = (record: RecordReader, names: Names): string =>
  names.open(record.bytes('name', { maxBytes: SEALED_NAME_BYTES_MAX }));

const opOf = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'op' in value ? value.op : undefined;

function readMove(record: RecordReader, names: Names): Move {
  const version = record.cid('version');
  if (!isVersionCid(version)) throw bad('moves a path to what is no version');
  const expected = record.has('expected') ? record.cidOrNull('expected') : undefined;
  if (expected && !isVersionCid(expected)) throw bad('expects what is no version');
  const deleted = record.has('deleted') ? record.flag('deleted') : undefined;
  return {
    path: readName(record, names),
    version,
    parents: checkParents(record.cids('parents', PARENTS_MAX), bad),
    generation: record.integer('generation', 1),
    ...(deleted === undefined ? {} : { deleted }),
    ...(expected === undefined ? {} : { expected }),
    ...(record.has('merge') ? { merge: names.openRecord(readSealed(record)) } : {}),
  };
}

const readSealed = (record: RecordReader): Uint8Array =>
  record.bytes('merge', { maxBytes: MERGE_BYTES_MAX + SEALED_RECORD_EXTRA_BYTES });

function readGrant(record: RecordReader, names: Names): Grant {
  const right = record.text('right', { maxBytes: 16 });
  if (right !== 'owner' && right !== 'writer') throw bad('grants what is no right');
  const nodeId = readNodeId(record, 'grant');
  return { op: 'grant', path: readName(record, names), nodeId, right };
}

function readAnchor(record: RecordReader): Anchor {
  const length = ANCHOR_BYTES;
  return {
    op: 'anchor',
    label: readLabel(record, 'label'),
    digest: record.bytes('digest', { length }),
    ...(record.has('previous') ? { previous: record.bytes('previous', { length }) } : {}),
  };
}
