/**
 * One change of a proposal (docs/history.md, E3). Here stands only whether it is one; whether it is
 * possible is for `chain/` to say, once its height has come.
 */
import { unreachable } from '../assert.ts';
import { AegisError } from '../errors.ts';
import { STORAGE_WEIGHT_MAX } from './bundle.ts';
import { checkLabel, isNodeId, LABEL_BYTES_MAX } from './identity.ts';
import { readNodeId } from './membership.ts';
import { type Names, SEALED_NAME_BYTES_MAX } from './names.ts';
import { isParameterName, PARAMETERS, type ParameterName } from './parameters.ts';
import { RecordReader } from './record.ts';

/** Most owners of a namespace, and most writers. */
export const NAMESPACE_OWNERS_MAX = 64;
export const NAMESPACE_WRITERS_MAX = 64;

/** Of an agent; null: as the parameters say (Q1). */
export interface Quota {
  readonly changesPerHour: number | null;
  readonly bytesPerHour: number | null;
  readonly paths: number | null;
}

export type ProposedChange =
  /** A member becomes custodian, an agent again, or is none any more. */
  | { readonly op: 'add' | 'remove' | 'expel'; readonly nodeId: string }
  | { readonly op: 'zone'; readonly nodeId: string; readonly zone: string }
  | { readonly op: 'weight'; readonly nodeId: string; readonly storageWeight: number }
  | { readonly op: 'parameter'; readonly name: ParameterName; readonly value: number }
  | ({ readonly op: 'quota'; readonly nodeId: string } & Quota)
  | NamespaceChange
  | { readonly op: 'protocol'; readonly version: number };

interface NamespaceChange {
  readonly op: 'namespace';
  readonly path: string;
  /** 1 to 64 node ids, ascending. */
  readonly owners: readonly string[];
  /** At most 64 node ids, ascending, none of them an owner. */
  readonly writers: readonly string[];
}

const FIELDS = {
  add: ['nodeId'],
  remove: ['nodeId'],
  expel: ['nodeId'],
  zone: ['nodeId', 'zone'],
  weight: ['nodeId', 'storageWeight'],
  parameter: ['name', 'value'],
  quota: ['nodeId', 'changesPerHour', 'bytesPerHour', 'paths'],
  namespace: ['name', 'owners', 'writers'],
  protocol: ['version'],
} as const satisfies Record<ProposedChange['op'], readonly string[]>;

const WHAT = 'proposed change';
const bad = (why: string): AegisError => new AegisError('BAD_ENCODING', `the ${WHAT} ${why}`);
const isOp = (op: string): op is ProposedChange['op'] => Object.hasOwn(FIELDS, op);

/** As it stands in the bytes. */
export function encodeProposedChange(change: ProposedChange, names: Names): object {
  if (change.op !== 'namespace') return change;
  const { op, path, owners, writers } = change;
  return { op, name: names.seal(path), owners: owners.toSorted(), writers: writers.toSorted() };
}

/** @throws {AegisError} `BAD_ENCODING`. */
export function readProposedChange(value: unknown, names: Names): ProposedChange {
  const all = ['op', ...new Set<string>(Object.values(FIELDS).flat())];
  const op = new RecordReader(value, WHAT, all, null).text('op', { maxBytes: 16 });
  if (!isOp(op)) throw bad('is of a kind that this aegis does not know');
  return readFields(op, new RecordReader(value, WHAT, ['op', ...FIELDS[op]], null), names);
}

function readFields(op: ProposedChange['op'], record: RecordReader, names: Names): ProposedChange {
  switch (op) {
    case 'add':
    case 'remove':
    case 'expel':
      return { op, nodeId: readNodeId(record, WHAT) };
    case 'zone':
      return { op, nodeId: readNodeId(record, WHAT), zone: readLabel(record, 'zone') };
    case 'weight': {
      const storageWeight = record.integer('storageWeight', 0, STORAGE_WEIGHT_MAX);
      return { op, nodeId: readNodeId(record, WHAT), storageWeight };
    }
    case 'parameter':
      return readParameter(record);
    case 'quota':
      return {
        op,
        nodeId: readNodeId(record, WHAT),
        changesPerHour: readAmount(record, 'changesPerHour'),
        bytesPerHour: readAmount(record, 'bytesPerHour'),
        paths: readAmount(record, 'paths'),
      };
    case 'namespace':
      return readNamespace(record, names);
    case 'protocol':
      return { op, version: record.integer('version', 1) };
    default:
      return unreachable(op);
  }
}

/** What arrives is malformed; only what an operator gives is a bad request. */
export function readLabel(record: RecordReader, name: string): string {
  const label = record.text(name, { maxBytes: LABEL_BYTES_MAX });
  try {
    return checkLabel(name, label);
  } catch (error) {
    throw new AegisError('BAD_ENCODING', (error as Error).message);
  }
}

function readParameter(record: RecordReader): ProposedChange {
  const name = record.text('name', { maxBytes: 64 });
  if (!isParameterName(name)) throw bad('sets a parameter that this aegis does not know');
  const { min, max } = PARAMETERS[name];
  return { op: 'parameter', name, value: record.integer('value', min, max) };
}

const readAmount = (record: RecordReader, name: string): number | null =>
  record.item(name) === null ? null : record.integer(name, 0);

function readNamespace(record: RecordReader, names: Names): ProposedChange {
  const path = names.open(record.bytes('name', { maxBytes: SEALED_NAME_BYTES_MAX }));
  const owners = readNodeIds(record, 'owners', NAMESPACE_OWNERS_MAX);
  const writers = readNodeIds(record, 'writers', NAMESPACE_WRITERS_MAX);
  if (owners.length === 0) throw bad('leaves a namespace without owners');
  if (writers.some((writer) => owners.includes(writer))) throw bad('gives a node two rights');
  return { op: 'namespace', path, owners, writers };
}

function readNodeIds(record: RecordReader, name: string, max: number): string[] {
  const nodeIds = record.texts(name, max, { maxBytes: 64 });
  if (!nodeIds.every(isNodeId)) throw bad('names what is not a node id');
  const isAscending = nodeIds.every((nodeId, at) => at === 0 || nodeIds[at - 1]! < nodeId);
  if (!isAscending) throw bad('names nodes out of order, or one twice');
  return nodeIds;
}
