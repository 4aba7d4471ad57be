/**
 * Who is a member and with which keys, as of the last final block. Members who have left stay: what
 * they signed still counts, and nobody else may have a key of theirs. It executes nothing: whoever
 * does says which records have changed.
 */
import { sameBytes } from '../bytes.ts';
import type { Role } from '../model/bundle.ts';
import { followUnproved, type KeyState, type SignedSuccession } from '../model/succession.ts';
import type { Verified } from '../units.ts';
import { KeyOwners } from './key-owners.ts';

export interface RosterMember {
  readonly nodeId: string;
  readonly name: string;
  readonly zone: string;
  readonly region: string;
  readonly role: Role;
  /** After its last final entry. */
  readonly keys: KeyState;
  /** The keys after each entry, the inception first. */
  readonly history: readonly KeyState[];
  /** Signed. */
  readonly inception: Uint8Array;
  readonly succession: readonly Verified<SignedSuccession>[];
  /** How many of them the genesis, or the bundle with which it came first, has brought. */
  readonly firstEntries: number;
  readonly addresses: readonly string[];
  readonly storageWeight: number;
  /** Height from which it is a member; 0: by the genesis. */
  readonly since: number;
  /** S8. */
  readonly isFrozen: boolean;
  readonly status: 'member' | 'left';
  /** Digest (hex) of the admission by which it came; undefined: by the genesis. */
  readonly admission?: string | undefined;
  /** Node id of the custodian that invited it. */
  readonly inviter?: string | undefined;
  /** Signed bundle bytes with which it came first; undefined: by the genesis. */
  readonly bundle?: Uint8Array | undefined;
  /** V2: what it has stated last, by which of its clock's times. */
  readonly readiness?: { readonly protocol: number; readonly time: number } | undefined;
  /** Its membership has a leaf of its own in the state: it is not that of the genesis. */
  readonly hasLeaf?: boolean;
  /** H2: the network key before, and until when it is accepted (ms since the Unix epoch). */
  readonly retiredNetworkKey?: RetiredKey | undefined;
  /** O18: the onion key before, and until when its service stays (ms since the Unix epoch). */
  readonly retiredOnionKey?: RetiredKey | undefined;
}

export interface RetiredKey {
  readonly key: Uint8Array;
  readonly until: number;
}

/** O18: where a member may be reached. */
export interface MemberOnionKey {
  readonly key: Uint8Array;
  /** Milliseconds since the Unix epoch; undefined for the latest one. */
  readonly until?: number;
}

/** What a genesis says of a member. */
export type FirstMember = Pick<
  RosterMember,
  'nodeId' | 'name' | 'zone' | 'region' | 'role' | 'keys' | 'addresses' | 'storageWeight'
> & {
  readonly inceptionBytes: Uint8Array;
  readonly succession: readonly Verified<SignedSuccession>[];
  /** The keys before its first entry. @default keys */
  readonly origin?: KeyState;
};

/**
 * Whether a key is, or has been, an identity key of the node by what is final. It has been in use
 * then, so that whoever has a copy of the running home may sign with it, too: what it signs as a
 * successor says nothing of the owner any more (S8).
 */
export const hasRun = ({ history }: Pick<RosterMember, 'history'>, key: Uint8Array): boolean =>
  history.some(({ keys }) => sameBytes(keys.identityKey, key));

/** As the genesis begins with them. */
export const firstMembers = (members: readonly FirstMember[]): RosterMember[] =>
  members.map(({ inceptionBytes, origin, ...rest }) => ({
    nodeId: rest.nodeId,
    name: rest.name,
    zone: rest.zone,
    region: rest.region,
    role: rest.role,
    addresses: rest.addresses,
    storageWeight: rest.storageWeight,
    keys: rest.keys,
    history: historyOf(origin ?? rest.keys, rest.succession),
    inception: inceptionBytes,
    succession: rest.succession,
    firstEntries: rest.succession.length,
    since: 0,
    isFrozen: false,
    status: 'member',
  }));

/** The keys after the inception and after each entry. The entries have been verified. */
export function historyOf(origin: KeyState, entries: readonly SignedSuccession[]): KeyState[] {
  const history = [origin];
  for (const entry of entries) history.push(followUnproved(history.at(-1)!, entry));
  return history;
}

/** E1: the custodians among these, in the order of their node ids. */
export const custodiansIn = (members: Iterable<RosterMember>): RosterMember[] =>
  [...members]
    .filter(({ role, status }) => role === 'custodian' && status === 'member')
    .toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1));

export class Roster {
  readonly #members = new Map<string, RosterMember>();
  /** R2: whoever was a member of the old cluster and is none here. */
  readonly #former = new Map<string, RosterMember>();
  /** S6: whose keys are whose, also of those who have left. */
  readonly owners = new KeyOwners();
  #count = 0;

  constructor(members: Iterable<RosterMember>, former: Iterable<RosterMember> = []) {
    this.apply(members);
    for (const member of former) this.#former.set(member.nodeId, member);
  }

  /** Whoever is a member, and whoever has left. */
  all(): readonly RosterMember[] {
    return [...this.#members.values()];
  }

  members(): readonly RosterMember[] {
    return this.all().filter(({ status }) => status === 'member');
  }

  /** How many are members. */
  get count(): number {
    return this.#count;
  }

  /** Also of whoever has left. */
  get(nodeId: string): RosterMember | undefined {
    return this.#members.get(nodeId);
  }

  /** Of whoever may have signed a version: also a former member of the cluster before (R2). */
  author(nodeId: string): RosterMember | undefined {
    return this.#members.get(nodeId) ?? this.#former.get(nodeId);
  }

  isMember(nodeId: string): boolean {
    return this.#members.get(nodeId)?.status === 'member';
  }

  /** The key epoch in force; 0 of whoever is unknown. */
  keyEpochOf(nodeId: string): number {
    return this.#members.get(nodeId)?.keys.keyEpoch ?? 0;
  }

  /**
   * The identity key of a key epoch, past ones too. With the sequence of a version: only if the
   * version counts, that is, if it was signed before the epoch was sealed (A3).
   */
  identityKey(nodeId: string, keyEpoch: number, versionSequence?: number): Uint8Array | undefined {
    const history = this.author(nodeId)?.history ?? [];
    const state = history.find((one) => one.keyEpoch === keyEpoch);
    if (state === undefined || versionSequence === undefined) return state?.keys.identityKey;
    const sealed = history.find((one) => one.keyEpoch > keyEpoch)?.last?.sealed;
    const counts = sealed === undefined || versionSequence <= sealed;
    return counts ? state.keys.identityKey : undefined;
  }

  /** E1: who decides the next block, in the order of their node ids. */
  custodians(): readonly RosterMember[] {
    return custodiansIn(this.#members.values());
  }

  /** Whose network key it is, the present one or the one before; whether that counts is H2. */
  byNetworkKey(key: Uint8Array): RosterMember | undefined {
    for (const owner of this.owners.named(key)) {
      const member = this.#members.get(owner);
      if (member === undefined) continue;
      if (sameBytes(member.keys.keys.networkKey, key)) return member;
      const { retiredNetworkKey } = member;
      if (retiredNetworkKey !== undefined && sameBytes(retiredNetworkKey.key, key)) return member;
    }
    return undefined;
  }

  /**
   * O18: the onion keys of a member, the latest first; then the one before, which counts until the
   * time beside it. Of whoever is no member: none.
   */
  onionKeysOf(nodeId: string): readonly MemberOnionKey[] {
    const member = this.#members.get(nodeId);
    if (member?.status !== 'member') return [];
    const { keys, retiredOnionKey: before } = member;
    return [{ key: keys.keys.onionKey }, ...(before === undefined ? [] : [before])];
  }

  /** Whoever was a member of a cluster before and is none here (R2). */
  formerMembers(): readonly RosterMember[] {
    return [...this.#former.values()];
  }

  /** Y4: the members of a later state; this stays the one object that others hold. */
  replaceBy(other: Roster): void {
    this.#members.clear();
    this.#former.clear();
    this.#count = 0;
    this.owners.clear();
    this.apply(other.all());
    for (const member of other.formerMembers()) this.#former.set(member.nodeId, member);
  }

  /** These records are in the place of those before. */
  apply(changed: Iterable<RosterMember>): void {
    for (const member of changed) {
      const before = this.#members.get(member.nodeId);
      if (before?.status === 'member') this.#count -= 1;
      if (member.status === 'member') this.#count += 1;
      this.#members.set(member.nodeId, member);
      this.owners.add(member.nodeId, member.history.slice(before?.history.length ?? 0));
    }
  }
}
