/**
 * How the roster stands in the state: a leaf for the keys of each member and one for its
 * membership, once they are not those of the genesis; one for each invitation that was used; and
 * one that counts, so that no row can get lost unseen. Their keys are made with the id of this very
 * cluster: those of a cluster before (R2) say nothing here.
 */
import { fromHex, hex } from '../consensus/fields.ts';
import { hmacSha256, sha256 } from '../crypto/hash.ts';
import { Memo } from '../crypto/memo.ts';
import { ADDRESS_BYTES_MAX, ADDRESSES_MAX } from '../model/bundle.ts';
import { decode, encode } from '../model/cbor.ts';
import { LABEL_BYTES_MAX } from '../model/identity.ts';
import { bytesOfText, RecordReader } from '../model/record.ts';
import type { StateReader } from '../ports.ts';
import type { RetiredKey, Roster, RosterMember } from './roster.ts';
import type { StateChange } from './state-tree.ts';

const LEAF_BYTES_MAX = 8192;

export interface RosterKeys {
  keys(nodeId: string): string;
  member(nodeId: string): string;
  invitation(id: string): string;
  readonly count: string;
}

/** Each block asks for them. */
const KEYS = new Memo<RosterKeys>(16);

export const rosterKeys = (clusterId: string): RosterKeys =>
  KEYS.get(bytesOfText(clusterId), () => makeKeys(clusterId))!;

function makeKeys(clusterId: string): RosterKeys {
  const hmac = hmacSha256(bytesOfText(clusterId));
  return {
    keys: (nodeId) => hmac(`aegis/keys/1\0${nodeId}`),
    member: (nodeId) => hmac(`aegis/member/1\0${nodeId}`),
    invitation: (id) => hmac(`aegis/invitation/1\0${id}`),
    count: hmac('aegis/roster/1\0'),
  };
}

const hasOwnEntries = ({ history, firstEntries, bundle }: RosterMember): boolean =>
  bundle !== undefined || history.length - 1 > firstEntries;

/** The digest is that of the last entry, which names the one before, and so on. */
function keysLeaf({ keys, retiredNetworkKey, retiredOnionKey }: RosterMember): Uint8Array {
  const { number, keyEpoch, digest } = keys;
  return encode({
    v: 1,
    type: 'keys',
    number,
    keyEpoch,
    digest: fromHex(digest),
    ...(retiredNetworkKey && {
      retired: retiredNetworkKey.key,
      retiredUntil: retiredNetworkKey.until,
    }),
    ...(retiredOnionKey && {
      retiredOnion: retiredOnionKey.key,
      retiredOnionUntil: retiredOnionKey.until,
    }),
  });
}

function memberLeaf(member: RosterMember): Uint8Array {
  const { status, since, isFrozen, role, zone, addresses, storageWeight } = member;
  const { admission, inviter, bundle, readiness } = member;
  return encode({
    v: 2,
    type: 'member',
    hasLeft: status === 'left',
    since,
    isFrozen,
    isCustodian: role === 'custodian',
    zone,
    addresses,
    storageWeight,
    ...(readiness === undefined
      ? {}
      : { protocol: readiness.protocol, protocolTime: readiness.time }),
    ...(admission === undefined ? {} : { admission: fromHex(admission) }),
    ...(inviter === undefined ? {} : { inviter }),
    ...(bundle === undefined ? {} : { bundle: sha256(bundle) }),
  });
}

const KEYS_NAMES = [
  'number',
  'keyEpoch',
  'digest',
  'retired',
  'retiredUntil',
  'retiredOnion',
  'retiredOnionUntil',
];

/** What the leaf of the keys says beside the succession. */
export function readRetired(
  leaf: Uint8Array,
): Pick<RosterMember, 'retiredNetworkKey' | 'retiredOnionKey'> {
  const record = new RecordReader(decode(leaf, { maxBytes: LEAF_BYTES_MAX }), 'keys', KEYS_NAMES);
  const read = (name: 'retired' | 'retiredOnion'): RetiredKey | undefined => {
    if (!record.has(name)) return undefined;
    const key = record.bytes(name, { length: 32 });
    return { key, until: record.integer(`${name}Until`, 0) };
  };
  return { retiredNetworkKey: read('retired'), retiredOnionKey: read('retiredOnion') };
}

type Membership = Pick<
  RosterMember,
  | 'status'
  | 'since'
  | 'isFrozen'
  | 'role'
  | 'zone'
  | 'addresses'
  | 'storageWeight'
  | 'readiness'
  | 'admission'
  | 'inviter'
>;

const MEMBER_NAMES = [
  'hasLeft',
  'since',
  'isFrozen',
  'isCustodian',
  'zone',
  'addresses',
  'storageWeight',
  'protocol',
  'protocolTime',
  'admission',
  'inviter',
  'bundle',
];

export function readMembership(leaf: Uint8Array): Membership {
  const value = decode(leaf, { maxBytes: LEAF_BYTES_MAX });
  const record = new RecordReader(value, 'member', MEMBER_NAMES, 2);
  return {
    status: record.flag('hasLeft') ? 'left' : 'member',
    since: record.integer('since', 0),
    isFrozen: record.flag('isFrozen'),
    role: record.flag('isCustodian') ? 'custodian' : 'agent',
    zone: record.text('zone', { maxBytes: LABEL_BYTES_MAX }),
    addresses: record.texts('addresses', ADDRESSES_MAX, { maxBytes: ADDRESS_BYTES_MAX }),
    storageWeight: record.integer('storageWeight', 0),
    readiness: record.has('protocol')
      ? { protocol: record.integer('protocol', 1), time: record.time('protocolTime') }
      : undefined,
    admission: record.has('admission') ? hex(record.bytes('admission', { length: 32 })) : undefined,
    inviter: record.has('inviter') ? record.text('inviter', { maxBytes: 64 }) : undefined,
  };
}

/** How many rows there are of a roster. */
interface RowCount {
  /** Of nodes that the genesis does not have. */
  readonly nodes: number;
  readonly entries: number;
}

const countLeaf = ({ nodes, entries }: RowCount): Uint8Array =>
  encode({ v: 1, type: 'roster', nodes, entries });

function countOf(members: Iterable<RosterMember>): RowCount {
  let [nodes, entries] = [0, 0];
  for (const { bundle, history, firstEntries } of members) {
    if (bundle !== undefined) nodes += 1;
    entries += history.length - 1 - firstEntries;
  }
  return { nodes, entries };
}

/** All leaves of a roster, but for those of invitations. */
export function leavesOf(keys: RosterKeys, members: Iterable<RosterMember>): StateChange[] {
  const all = [...members];
  const leaves: StateChange[] = [];
  for (const member of all) {
    const { nodeId } = member;
    if (hasOwnEntries(member)) leaves.push({ key: keys.keys(nodeId), value: keysLeaf(member) });
    if (member.hasLeaf === true) {
      leaves.push({ key: keys.member(nodeId), value: memberLeaf(member) });
    }
  }
  const count = countOf(all);
  if (leaves.length > 0) leaves.push({ key: keys.count, value: countLeaf(count) });
  return leaves;
}

/** The leaves of the roster within a block. */
export class RosterLeaves {
  readonly #keys: RosterKeys;
  readonly #state: StateReader;
  /** By the id of the invitation: digest of the admission. */
  readonly #used = new Map<string, string>();

  constructor(clusterId: string, state: StateReader) {
    this.#keys = rosterKeys(clusterId);
    this.#state = state;
  }

  usedBy(invitationId: string): string | undefined {
    const used = this.#used.get(invitationId);
    if (used !== undefined) return used;
    const leaf = this.#state.get(this.#keys.invitation(invitationId));
    if (leaf === undefined) return undefined;
    const record = new RecordReader(decode(leaf, { maxBytes: LEAF_BYTES_MAX }), 'invitation', [
      'admission',
    ]);
    return hex(record.bytes('admission', { length: 32 }));
  }

  use(invitationId: string, admission: string): void {
    this.#used.set(invitationId, admission);
  }

  /** What the block changes in them. */
  changes(before: Roster, changed: readonly RosterMember[]): StateChange[] {
    if (changed.length === 0) return [];
    const replaced = new Map(changed.map((member) => [member.nodeId, member]));
    const all = before.all().filter(({ nodeId }) => !replaced.has(nodeId));
    const leaves = leavesOf(this.#keys, changed).filter(({ key }) => key !== this.#keys.count);
    leaves.push({ key: this.#keys.count, value: countLeaf(countOf([...all, ...changed])) });
    for (const [id, admission] of this.#used) {
      const value = encode({ v: 1, type: 'invitation', admission: fromHex(admission) });
      leaves.push({ key: this.#keys.invitation(id), value });
    }
    return leaves.filter(({ key, value }) => !isSame(this.#state.get(key), value));
  }
}

const isSame = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a !== undefined && b !== undefined && Buffer.compare(a, b) === 0;
