/**
 * The roster in its tables, and back. Entries and bundles prove themselves, and the leaves of the
 * state commit to the last of them: what a disk has changed or lost is found out.
 */
import { AegisError } from '../errors.ts';
import { openBundle } from '../model/bundle.ts';
import { decode, encode } from '../model/cbor.ts';
import { RecordReader } from '../model/record.ts';
import { openSuccession, originOf, type SignedSuccession } from '../model/succession.ts';
import type { StateReader } from '../ports.ts';
import { type Verified, verified } from '../units.ts';
import { historyOf, type Roster, type RosterMember } from './roster.ts';
import { leavesOf, readMembership, readRetired, rosterKeys } from './roster-leaves.ts';
import { TABLES } from './rows.ts';
import type { Turn } from './turn.ts';
import type { StoredRow } from './types.ts';

const ROW_BYTES_MAX = 128 * 1024;
const NUMBER_DIGITS = 6;

const entryKey = (nodeId: string, number: number): string =>
  `${nodeId}/${String(number).padStart(NUMBER_DIGITS, '0')}`;

/** Whose entry it is, which, and by which height it was decided. */
export interface StoredEntry {
  readonly nodeId: string;
  readonly height: number;
  readonly signed: Verified<SignedSuccession>;
}

export interface RosterRows {
  readonly members: readonly StoredRow[];
  readonly successions: readonly StoredRow[];
}

/** The records of a block at `height` have taken the place of those before. @returns new rows. */
export function persistRoster(
  turn: Turn,
  before: Roster,
  changed: readonly RosterMember[],
  height: number,
): StoredRow[] {
  const rows: StoredRow[] = [];
  for (const member of changed) {
    const { nodeId, firstEntries, succession, bundle } = member;
    const known = before.get(nodeId);
    if (known === undefined) {
      const value = encode({ v: 1, type: 'node', bundle });
      rows.push({ table: TABLES.members, key: nodeId, value });
    }
    for (const { bytes, succession: entry } of succession.slice(
      known?.succession.length ?? firstEntries,
    )) {
      const value = encode({ v: 1, type: 'entry', height, bytes });
      rows.push({ table: TABLES.successions, key: entryKey(nodeId, entry.number), value });
    }
  }
  for (const { table, key, value } of rows) turn.persist(table, key, value);
  return rows;
}

/** @throws {AegisError} what is wrong with the row. */
function readEntryRow(key: string, value: Uint8Array): StoredEntry {
  const decoded = decode(value, { maxBytes: ROW_BYTES_MAX });
  const record = new RecordReader(decoded, 'entry', ['height', 'bytes']);
  const signed = openSuccession(record.bytes('bytes', { maxBytes: ROW_BYTES_MAX }));
  const { nodeId, number } = signed.succession;
  if (entryKey(nodeId, number) !== key) throw bad(`the entry ${key} is another one`);
  return { nodeId, height: record.integer('height', 1), signed };
}

/** A node that the genesis does not have, as it came. */
function firstOf(bundleBytes: Uint8Array): RosterMember {
  const { bundle, inception, nodeId, succession } = openBundle(bundleBytes);
  const { name, zone, region } = inception;
  const { consensusKey, possession, vrfKey, inception: inceptionBytes } = bundle;
  const origin = originOf({ nodeId, inception, inceptionBytes, consensusKey, possession, vrfKey });
  const history = historyOf(origin, succession);
  return {
    nodeId,
    name,
    zone,
    region,
    role: 'agent',
    addresses: bundle.addresses,
    storageWeight: bundle.storageWeight,
    keys: history.at(-1)!,
    history,
    firstEntries: succession.length,
    inception: inceptionBytes,
    succession: succession.map((entry) => verified(entry)),
    since: 0,
    isFrozen: false,
    status: 'left',
    bundle: bundleBytes,
  };
}

const bad = (why: string): AegisError => new AegisError('BAD_DATA', why);

/**
 * The records as they are after the tip, and the entries that have become final, in the order of
 * their heights.
 * @param first those of the genesis.
 * @throws {AegisError} what does not fit together.
 */
export function restoreRoster(
  clusterId: string,
  first: readonly RosterMember[],
  rows: RosterRows,
  state: StateReader,
): { readonly members: readonly RosterMember[]; readonly entries: readonly StoredEntry[] } {
  const keys = rosterKeys(clusterId);
  const members = new Map(first.map((member) => [member.nodeId, member]));
  for (const { key, value } of rows.members) {
    const record = new RecordReader(decode(value, { maxBytes: ROW_BYTES_MAX }), 'node', ['bundle']);
    const node = firstOf(record.bytes('bundle', { maxBytes: ROW_BYTES_MAX }));
    if (node.nodeId !== key || members.has(key)) throw bad(`the row of the member ${key} is bad`);
    members.set(key, node);
  }
  const sorted = rows.successions.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const entries = sorted.map(({ key, value }) => readEntryRow(key, value));
  for (const { nodeId, signed } of entries) {
    const member = members.get(nodeId);
    if (member === undefined) throw bad(`an entry is of ${nodeId}, which is no member`);
    const history = [...member.history, ...historyOf(member.keys, [signed]).slice(1)];
    const succession = [...member.succession, signed];
    members.set(nodeId, { ...member, history, succession, keys: history.at(-1)! });
  }
  const restored = [...members.values()].map((member): RosterMember => {
    const own = state.get(keys.keys(member.nodeId));
    const membership = state.get(keys.member(member.nodeId));
    return {
      ...member,
      ...(own === undefined ? {} : readRetired(own)),
      ...(membership === undefined ? {} : { ...readMembership(membership), hasLeaf: true }),
    };
  });
  checkLeaves(leavesOf(keys, restored), state, keys.count);
  return { members: restored, entries: entries.toSorted((a, b) => a.height - b.height) };
}

function checkLeaves(leaves: ReturnType<typeof leavesOf>, state: StateReader, count: string): void {
  // Whoever has lost all rows still has the leaf that counts them.
  if (leaves.length === 0 && state.get(count) !== undefined) throw bad('the members are lost');
  for (const { key, value } of leaves) {
    const found = state.get(key);
    if (found !== undefined && value !== undefined && Buffer.compare(found, value) === 0) continue;
    throw bad('the members are not those of the state');
  }
}
