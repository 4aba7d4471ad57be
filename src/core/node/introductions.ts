/**
 * Judges who says hello (docs/keys.md, H1 to H4): by the roster, by what hello has shown beyond it
 * (which is handed to the custodians and may be final soon), by admissions of those who join, and
 * by the bans of this node's operator. It opens and cuts no connections, and keeps nothing on disk:
 * what it was shown it is shown again.
 */
import { sameBytes } from '../bytes.ts';
import { hasRun, type Roster, type RosterMember } from '../chain/roster.ts';
import { verifyEd25519 } from '../crypto/sign.ts';
import { isAegisError, toAegisError } from '../errors.ts';
import { furthest } from '../model/furthest.ts';
import { readAdmission, type SignedAdmission } from '../model/membership.ts';
import { createDuplicity } from '../model/statement.ts';
import {
  follow,
  followUnproved,
  HELLO_ENTRIES_MAX,
  type KeyState,
  type SignedSuccession,
} from '../model/succession.ts';
import type {
  HelloClaim,
  HelloContext,
  HelloIdentity,
  HelloShown,
  HelloVerdict,
  Introduction,
} from '../network/hello.ts';
import type { Log } from '../ports.ts';
import { MINUTE, SECOND, type Verified } from '../units.ts';

export interface IntroductionsOptions {
  readonly clusterId: string;
  /**
   * Who has invited this node, if it came after the genesis: let in until the blocks, which this
   * node may have to get from it, say who it is.
   */
  readonly sponsor?: KeyState | undefined;
}

export interface IntroductionsDeps {
  /** As of the last final block. */
  readonly roster: Roster;
  readonly log: Log;
  /** What this node shows of itself. */
  own(): Introduction;
  isBanned(nodeId: string): boolean;
  /** M1: whether an invitation has been used. */
  isUsed(invitationId: string): boolean;
  /** Signed bytes of a statement for the custodians. */
  handIn(bytes: Uint8Array): void;
  /** Somebody has shown keys that are not final: those before may count no more. */
  learned(nodeId: string): void;
  /** S8: somebody is frozen here from now on, by this evidence. */
  frozen(nodeId: string, evidence: Uint8Array): void;
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

/** An entry that is not final here, and the keys after it. */
interface Shown {
  readonly entry: Verified<SignedSuccession>;
  readonly state: KeyState;
  readonly seenAt: number;
}

interface Joiner {
  readonly name: string;
  readonly networkKey: Uint8Array;
  readonly digest: string;
  readonly until: number;
}

/** Two entries for one place. */
type Rivals = readonly [SignedSuccession, SignedSuccession];

type KeyStanding = 'latest' | 'grace' | 'retired' | 'none';

/** So long one that joins is let in before its admission is final; it may show it again. */
const JOIN_MS = 2 * MINUTE;
const JOINERS_MAX = 64;
/** So long one that has left may stay connected, to hear from the block that it has. */
const FAREWELL_MS = 5 * SECOND;

export class Introductions implements HelloContext {
  readonly clusterId: string;
  readonly #deps: IntroductionsDeps;
  readonly #sponsor: KeyState | undefined;
  /** By node id, what follows its last final entry, oldest first. */
  readonly #shown = new Map<string, readonly Shown[]>();
  /** H4: of whom two successions were seen here; the chain hears of it and says so later. */
  readonly #frozen = new Map<string, Rivals>();
  readonly #joiners = new Map<string, Joiner>();
  /** By node id of who has left, until when it may stay. */
  readonly #farewells = new Map<string, number>();

  constructor(options: IntroductionsOptions, deps: IntroductionsDeps) {
    this.clusterId = options.clusterId;
    this.#sponsor = options.sponsor;
    this.#deps = deps;
  }

  own(): Introduction {
    return this.#deps.own();
  }

  expects(networkKey: Uint8Array): boolean {
    const member = this.#deps.roster.byNetworkKey(networkKey) ?? this.#shownBy(networkKey);
    if (member === undefined) return this.#isSponsor(this.#sponsor?.nodeId, networkKey);
    return this.#isLetIn(member, networkKey);
  }

  /** Whether what the node shows is worth to be verified. */
  knows(nodeId: string): boolean {
    if (this.#deps.isBanned(nodeId)) return false;
    return this.#deps.roster.isMember(nodeId) || nodeId === this.#sponsor?.nodeId;
  }

  /** Cheap: whoever has the genesis makes this node ask it. */
  leads({ nodeId, succession, networkKey, admission }: HelloShown): boolean {
    if (this.#isSponsor(nodeId, networkKey)) return true;
    const member = this.#deps.roster.get(nodeId);
    if (member?.status !== 'member') {
      return admission !== undefined && this.#isInvited(admission);
    }
    if (this.#numberOf(member, networkKey) !== undefined) return true;
    const shown = this.#shown.get(nodeId) ?? [];
    const states = [...member.history, ...shown.map(({ state }) => state)];
    let state: KeyState | undefined;
    for (const entry of succession) {
      const { number } = entry.succession;
      const known = states[number];
      const before = state ?? states[number - 1];
      state = known?.digest === entry.digest ? known : before && tryFollow(before, entry);
      if (state !== undefined && sameBytes(state.keys.networkKey, networkKey)) return true;
    }
    return false;
  }

  /** By what is final: a member may show the key of another, S6 refuses it later. */
  ownerOf(networkKey: Uint8Array): string | undefined {
    const has = ({ history }: RosterMember): boolean =>
      history.some(({ keys }) => sameBytes(keys.networkKey, networkKey));
    return this.#deps.roster.members().find(has)?.nodeId;
  }

  judge(claim: HelloClaim): HelloVerdict {
    const { nodeId, inception } = claim.inception;
    const { name } = inception;
    // M4
    if (this.#deps.isBanned(nodeId)) return stranger(`an operator has banned ${nodeId} here`);
    if (this.#isSponsor(nodeId, claim.networkKey)) return { type: 'member', nodeId, name };
    const member = this.#deps.roster.get(nodeId);
    if (member?.status !== 'member') return this.#judgeJoiner(claim, member);
    this.#learn(member, claim.succession);
    const standing = this.#standingOf(member, claim.networkKey);
    if (standing === 'none') {
      return stranger(`the network key at the other end was never that of ${nodeId}`);
    }
    // S8, H4
    if (this.isFrozen(nodeId)) return { type: 'refused', refusal: 'FROZEN', nodeId, name };
    // H2
    if (standing === 'retired') return { type: 'refused', refusal: 'RETIRED', nodeId, name };
    return { type: 'member', nodeId, name, keyNumber: this.#numberOf(member, claim.networkKey) };
  }

  /** Whether a connection that passed hello before may stay (H5). */
  accepts({ nodeId, networkKey }: Pick<HelloIdentity, 'nodeId' | 'networkKey'>): boolean {
    if (this.#deps.isBanned(nodeId)) return false;
    if (this.#isSponsor(nodeId, networkKey)) return true;
    const member = this.#deps.roster.get(nodeId);
    if (member?.status === 'member') return this.#isLetIn(member, networkKey);
    if (member !== undefined && this.#farewellOf(nodeId) > this.#deps.now()) return true;
    const joiner = this.#joiners.get(nodeId);
    return (
      joiner !== undefined && sameBytes(joiner.networkKey, networkKey) && !this.#isOver(joiner)
    );
  }

  /** S8: by the chain, or by what was seen here. */
  isFrozen(nodeId: string): boolean {
    return this.#frozen.has(nodeId) || this.#deps.roster.get(nodeId)?.isFrozen === true;
  }

  /** The latest keys of a member that are known here, final or not. */
  latest(nodeId: string): KeyState | undefined {
    return this.#shown.get(nodeId)?.at(-1)?.state ?? this.#deps.roster.get(nodeId)?.keys;
  }

  /** H2: the network keys of a member with which it is let in now, the latest first. */
  networkKeysOf(nodeId: string): readonly { readonly key: Uint8Array; readonly until?: number }[] {
    const member = this.#deps.roster.get(nodeId);
    if (member === undefined) return [];
    const latest = { key: this.#latestOf(member).keys.networkKey };
    const keys = [latest, ...[this.#graceOf(member) ?? []].flat()];
    return keys.filter(({ key }) => this.#isLetIn(member, key));
  }

  /** O18: the onion keys of a member, final or shown, the latest first. */
  onionKeysOf(nodeId: string): readonly Uint8Array[] {
    const { roster } = this.#deps;
    const final = roster
      .onionKeysOf(nodeId)
      .filter(({ until }) => until === undefined || until > this.#deps.now())
      .map(({ key }) => key);
    const latest = this.latest(nodeId)?.keys.onionKey;
    const isNew = latest !== undefined && final.every((key) => !sameBytes(key, latest));
    return isNew && roster.isMember(nodeId) ? [latest, ...final] : final;
  }

  /** Entries from another source than hello: those of an invitation. */
  learn(entries: readonly Verified<SignedSuccession>[]): void {
    for (const entry of entries) {
      const member = this.#deps.roster.get(entry.succession.nodeId);
      if (member !== undefined) this.#learn(member, [entry]);
    }
  }

  /** The custodians have refused an entry: neither it nor what follows it will count. */
  forget(digest: string): void {
    for (const [nodeId, shown] of this.#shown) {
      const at = shown.findIndex(({ entry }) => entry.digest === digest);
      if (at === 0) this.#shown.delete(nodeId);
      else if (at > 0) this.#shown.set(nodeId, shown.slice(0, at));
    }
  }

  /** The roster has changed: what is final now is shown by it. */
  settle(nodeIds: readonly string[]): void {
    // S6: another member may have got a key that this one has shown.
    const outdated = [...this.#shown.keys()].filter((shownId) => this.#isOutdated(shownId));
    for (const nodeId of new Set([...nodeIds, ...outdated])) {
      const member = this.#deps.roster.get(nodeId);
      if (member === undefined) continue;
      // S8: what seemed to be evidence when this node was behind.
      const rivals = this.#frozen.get(nodeId);
      if (rivals?.every((entry) => this.#mayCount(member, entry)) === false) {
        this.#frozen.delete(nodeId);
      }
      if (member.status === 'member') {
        this.#joiners.delete(nodeId);
        this.#farewells.delete(nodeId);
      }
      this.#settle(member);
    }
  }

  /** When something ends that lets somebody in: connections are to be reviewed then. */
  nextEnd(): number | undefined {
    const now = this.#deps.now();
    const ends = [...this.#joiners.values()].map(({ until }) => until);
    ends.push(...this.#farewells.values());
    for (const member of this.#deps.roster.members()) {
      const end = this.#graceOf(member)?.until;
      if (end !== undefined) ends.push(end);
    }
    const ahead = ends.filter((end) => end > now);
    return ahead.length === 0 ? undefined : Math.min(...ahead);
  }

  /** M3: until when one that has left may stay, counted from when that was first seen. */
  #farewellOf(nodeId: string): number {
    const until = this.#farewells.get(nodeId) ?? this.#deps.now() + FAREWELL_MS;
    this.#farewells.set(nodeId, until);
    return until;
  }

  /** H1: whichever reaches further; what is new is handed to the custodians. */
  #learn(member: RosterMember, entries: readonly Verified<SignedSuccession>[]): void {
    const { nodeId } = member;
    const first = member.history[0]!;
    const shown = this.#shown.get(nodeId) ?? [];
    const held = [
      ...member.succession.filter(({ succession }) => succession.number > first.number),
      ...shown.map(({ entry }) => entry),
    ];
    const digests = new Set(held.map(({ digest }) => digest));
    if (entries.every(({ digest }) => digests.has(digest))) return;
    const news = entries.filter((entry) => this.#mayCount(member, entry));
    const { fresh, duplicity } = furthest(first, held, news);
    // S8, H4
    if (duplicity !== undefined) this.#freeze(nodeId, duplicity);
    for (const entry of fresh.slice(0, HELLO_ENTRIES_MAX - shown.length)) {
      this.#append(member, entry);
    }
  }

  #append(member: RosterMember, entry: Verified<SignedSuccession>): void {
    const { nodeId } = member;
    const state = follow(this.#latestOf(member), entry);
    const one = { entry, state, seenAt: this.#deps.now() };
    this.#shown.set(nodeId, [...(this.#shown.get(nodeId) ?? []), one]);
    const { number } = entry.succession;
    const message = 'a member has shown keys that are not final yet';
    this.#deps.log.write('info', message, { nodeId, number });
    this.#deps.handIn(entry.bytes);
    this.#deps.learned(nodeId);
  }

  /**
   * Whether an entry could be final one day, or evidence, by what is final here: not if it names
   * the key of another member (S6), nor if whoever has the running home could have signed it (S8).
   */
  #mayCount(member: RosterMember, { succession, digest }: SignedSuccession): boolean {
    if (member.history[succession.number]?.digest === digest) return true;
    const { owners } = this.#deps.roster;
    return !hasRun(member, succession.revealed) && !owners.isOfOther(succession);
  }

  #isOutdated(nodeId: string): boolean {
    const member = this.#deps.roster.get(nodeId);
    const shown = this.#shown.get(nodeId) ?? [];
    return member !== undefined && !shown.every(({ entry }) => this.#mayCount(member, entry));
  }

  #freeze(nodeId: string, [a, b]: Rivals): void {
    if (this.isFrozen(nodeId)) return;
    this.#frozen.set(nodeId, [a, b]);
    const evidence = createDuplicity(a, b);
    this.#deps.handIn(evidence);
    this.#deps.frozen(nodeId, evidence);
  }

  /** What the chain has decided stands; where it contradicts what was shown, that is evidence. */
  #settle(member: RosterMember): void {
    const { nodeId } = member;
    const shown = this.#shown.get(nodeId);
    if (shown === undefined) return;
    this.#shown.delete(nodeId);
    const final = member.succession.map(({ digest }) => digest);
    const rest = shown.filter(({ entry }) => !final.includes(entry.digest));
    this.#learn(
      member,
      rest.map(({ entry }) => entry),
    );
    const kept = this.#shown.get(nodeId)?.map((one) => {
      const before = rest.find(({ entry }) => entry.digest === one.entry.digest);
      return before === undefined ? one : { ...one, seenAt: before.seenAt };
    });
    if (kept !== undefined) this.#shown.set(nodeId, kept);
  }

  /** As long as no block has said anything of it. */
  #isSponsor(nodeId: string | undefined, networkKey: Uint8Array): boolean {
    const sponsor = this.#sponsor;
    if (sponsor === undefined || sponsor.nodeId !== nodeId) return false;
    if (this.#deps.isBanned(nodeId) || this.#deps.roster.get(nodeId) !== undefined) return false;
    return sameBytes(sponsor.keys.networkKey, networkKey);
  }

  #isLetIn(member: RosterMember, networkKey: Uint8Array): boolean {
    if (member.status !== 'member' || this.#deps.isBanned(member.nodeId)) return false;
    if (this.isFrozen(member.nodeId)) return false;
    const standing = this.#standingOf(member, networkKey);
    return standing === 'latest' || standing === 'grace';
  }

  /** H2 */
  #standingOf(member: RosterMember, networkKey: Uint8Array): KeyStanding {
    if (sameBytes(this.#latestOf(member).keys.networkKey, networkKey)) return 'latest';
    const retired = this.#graceOf(member);
    const isWithin = retired !== undefined && this.#deps.now() < retired.until;
    if (isWithin && sameBytes(retired.key, networkKey)) return 'grace';
    return this.#numberOf(member, networkKey) === undefined ? 'none' : 'retired';
  }

  /** Of the first entry with this network key, of those that follow each other. */
  #numberOf(member: RosterMember, networkKey: Uint8Array): number | undefined {
    const shown = this.#shown.get(member.nodeId) ?? [];
    const states = [...member.history, ...shown.map(({ state }) => state)];
    return states.find(({ keys }) => sameBytes(keys.networkKey, networkKey))?.number;
  }

  /** The network key before the latest one, and until when it is accepted. */
  #graceOf(member: RosterMember): { readonly key: Uint8Array; readonly until: number } | undefined {
    const shown = this.#shown.get(member.nodeId) ?? [];
    const at = shown.findLastIndex(({ entry }) => entry.succession.replaced.includes('network'));
    const change = shown[at];
    if (change === undefined) return member.retiredNetworkKey;
    const before = shown[at - 1]?.state ?? member.keys;
    return {
      key: before.keys.networkKey,
      until: change.seenAt + change.entry.succession.graceMs,
    };
  }

  #latestOf(member: RosterMember): KeyState {
    return this.#shown.get(member.nodeId)?.at(-1)?.state ?? member.keys;
  }

  #shownBy(networkKey: Uint8Array): RosterMember | undefined {
    for (const [nodeId, shown] of this.#shown) {
      if (!shown.some(({ state }) => sameBytes(state.keys.networkKey, networkKey))) continue;
      return this.#deps.roster.get(nodeId);
    }
    return undefined;
  }

  /** M2: whoever is invited is let in to hand its admission in. */
  #judgeJoiner(claim: HelloClaim, member: RosterMember | undefined): HelloVerdict {
    const { nodeId, inception } = claim.inception;
    const { name } = inception;
    // S8: also of who has left, and would return.
    if (this.isFrozen(nodeId)) return stranger(`node ${nodeId} has two successions`);
    if (claim.admission === undefined) {
      return stranger(`node ${nodeId} ${member === undefined ? 'is no member' : 'has left'}`);
    }
    const read = this.#readAdmission(claim);
    if (typeof read === 'string') return stranger(`the admission of ${nodeId}: ${read}`);
    const { digest, invitation } = read;
    const known = this.#joiners.get(nodeId);
    const isKnown = known?.digest === digest && !this.#isOver(known);
    if (!isKnown) {
      for (const [id, joiner] of this.#joiners) if (this.#isOver(joiner)) this.#joiners.delete(id);
      if (this.#joiners.size >= JOINERS_MAX) {
        return { type: 'refused', refusal: 'BUSY', nodeId, name };
      }
      const until = Math.min(this.#deps.now() + JOIN_MS, invitation.invitation.expiresAt);
      this.#joiners.set(nodeId, { name, networkKey: claim.networkKey, digest, until });
      this.#deps.handIn(read.bytes);
    }
    return { type: 'member', nodeId, name };
  }

  /** The cheap questions first: only who was invited makes this node verify much. */
  #readAdmission({ inception, networkKey, admission }: HelloClaim): SignedAdmission | string {
    let read: ReturnType<typeof readAdmission>;
    try {
      read = readAdmission(admission!, this.clusterId);
    } catch (error) {
      return toAegisError(error).message;
    }
    const { signed, checks } = read;
    const { invitation } = signed.invitation;
    const inviter = this.#deps.roster.get(invitation.inviter);
    // M1
    if (inviter?.status !== 'member' || inviter.role !== 'custodian') {
      return 'no custodian has invited it';
    }
    if (this.isFrozen(inviter.nodeId)) return 'who has invited it is frozen';
    if (inviter.keys.keyEpoch !== invitation.keyEpoch) {
      return 'who has invited it has another identity key now';
    }
    if (invitation.expiresAt <= this.#deps.now()) return 'its invitation has ended';
    if (this.#deps.isUsed(invitation.id)) return 'its invitation has been used';
    if (signed.admission.nodeId !== inception.nodeId) return 'it is of another node';
    if (!sameBytes(signed.bundle.keys.keys.networkKey, networkKey))
      return 'it names another network key';
    const isSound = checks.toReversed().every(({ key, author, keyEpoch, message, signature }) => {
      const signer = key ?? this.#deps.roster.identityKey(author, keyEpoch);
      return signer !== undefined && verifyEd25519(signer, message, signature);
    });
    return isSound ? signed : 'a signature in it does not hold';
  }

  /** M1: whether a custodian has signed the invitation in an admission. */
  #isInvited(admission: Uint8Array): boolean {
    try {
      const { checks } = readAdmission(admission, this.clusterId);
      // The last is that of the inviter.
      const { author, keyEpoch, message, signature } = checks.at(-1)!;
      const key = this.#deps.roster.identityKey(author, keyEpoch);
      return key !== undefined && verifyEd25519(key, message, signature);
    } catch (error) {
      if (isAegisError(error)) return false;
      throw error;
    }
  }

  #isOver({ until }: Joiner): boolean {
    return until <= this.#deps.now();
  }
}

function tryFollow(before: KeyState, entry: SignedSuccession): KeyState | undefined {
  try {
    return followUnproved(before, entry);
  } catch {
    return undefined;
  }
}

const stranger = (why: string): HelloVerdict => ({ type: 'stranger', why });
