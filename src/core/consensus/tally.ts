/**
 * Counts the shares of one height. A share is believed to be the sender's, since links are
 * authenticated, but its signature is looked at only when a quorum is there: all are added up and
 * verified at once, and one by one only if that fails.
 */
import { createEvidence } from './evidence.ts';
import { LIMITS } from './limits.ts';
import type { Setting } from './setting.ts';
import { shareMessage } from './signed-bytes.ts';
import type { Trust } from './trust.ts';
import type { Certificate, Evidence, Share, SlotKind, TimeoutGroup } from './types.ts';

/** One value that was signed in a slot, and by whom. */
interface Value {
  readonly digest: string | undefined;
  readonly highView: number | undefined;
  readonly shares: Map<number, Uint8Array>;
  /** Signers whose share has been verified on its own. */
  readonly checked: Set<number>;
}

/** One kind of share in one view. */
interface Slot {
  readonly kind: SlotKind;
  readonly view: number;
  readonly values: Value[];
  /** Signers of at least one value; one that signs two is counted under each, once in all. */
  readonly signers: Set<number>;
  /** Those who sent a share that does not hold: one chance a slot. */
  readonly banned: Set<number>;
  /** Adding up has failed here, so each further share is verified when it comes. */
  isSpoilt: boolean;
  /** A certificate has been made of it. */
  isDone: boolean;
}

/** The shares of a quorum who have given up a view; who counts them adds what they named. */
export interface TimeoutQuorum {
  readonly view: number;
  readonly groups: readonly TimeoutGroup[];
  readonly signature: Uint8Array;
}

export type Quorum =
  | { readonly kind: 'votes'; readonly certificate: Certificate }
  | { readonly kind: 'timeouts'; readonly timeouts: TimeoutQuorum };

/** What a tally finds out about others. */
export interface Findings {
  badShare(custodian: number, what: string): void;
  evidence(evidence: Evidence): void;
  /** Whether evidence of this slot would be kept: else nothing is verified for it. */
  isNews(slot: Omit<Evidence, 'claims'>): boolean;
}

export class Tally {
  readonly #setting: Setting;
  readonly #height: number;
  readonly #trust: Trust;
  readonly #findings: Findings;
  readonly #slots = new Map<string, Slot>();
  /** Slots in which a quorum has come together since they were last looked at. */
  readonly #ripe: Slot[] = [];
  readonly #kept = new Map<number, number>();
  /** The highest view in which each custodian has been heard, and that it has given up. */
  readonly #heard = new Map<number, number>();
  readonly #givenUp = new Map<number, number>();

  constructor(setting: Setting, height: number, trust: Trust, findings: Findings) {
    this.#setting = setting;
    this.#height = height;
    this.#trust = trust;
    this.#findings = findings;
  }

  /** Takes a share of its sender. Never throws, whatever is in it. */
  add(signer: number, share: Share): void {
    const slot = this.#slotOf(share);
    if (slot.banned.has(signer) || this.#trust.isMuted(signer)) return;
    const own = slot.values.filter(({ shares }) => shares.has(signer));
    if (own.some((value) => isValueOf(value, share))) return;
    const kept = this.#kept.get(signer) ?? 0;
    if (own.length >= LIMITS.slotValues || kept >= LIMITS.shares) return;
    raise(this.#heard, signer, share.view);
    if (share.kind === 'timeout') raise(this.#givenUp, signer, share.view);
    const value = valueIn(slot, share);
    value.shares.set(signer, share.signature);
    slot.signers.add(signer);
    this.#kept.set(signer, kept + 1);
    if (signer === this.#setting.self) value.checked.add(signer);
    else if (slot.isSpoilt || this.#trust.isSuspect(signer)) this.#check(slot, value, signer);
    if (own[0] !== undefined) this.#accuse(slot, signer, own[0], value);
    if (!slot.isDone && this.#isQuorum(slot)) this.#ripe.push(slot);
  }

  /** The next certificate that the shares make, or nothing. Each is given once. */
  take(): Quorum | undefined {
    for (let slot = this.#ripe.shift(); slot !== undefined; slot = this.#ripe.shift()) {
      if (slot.isDone) continue;
      const quorum = this.#addUp(slot);
      if (quorum === undefined) continue;
      slot.isDone = true;
      return quorum;
    }
    return undefined;
  }

  /** Who has sent a share of this kind in this view, ascending. */
  signers(kind: SlotKind, view: number): readonly number[] {
    const slot = this.#slots.get(slotKey(kind, view));
    return slot === undefined ? [] : [...slot.signers].toSorted((a, b) => a - b);
  }

  /** Whether a share of this custodian for this digest is here. */
  hasVote(kind: SlotKind, view: number, digest: string, signer: number): boolean {
    const slot = this.#slots.get(slotKey(kind, view));
    return slot?.values.some((v) => v.digest === digest && v.shares.has(signer)) ?? false;
  }

  /** How many others have been heard in `view` or later ones. */
  heardSince(view: number): number {
    let count = 0;
    for (const [signer, heard] of this.#heard) {
      if (heard >= view && signer !== this.#setting.self) count += 1;
    }
    return count;
  }

  /** T3: the highest view that f + 1 of the others have given up, each this one or a later one. */
  givenUpByOthers(): number | undefined {
    const views: number[] = [];
    for (const [signer, view] of this.#givenUp) {
      if (signer !== this.#setting.self) views.push(view);
    }
    return views.sort((a, b) => b - a)[this.#setting.faultyMax];
  }

  /** Forgets the views below `view`. */
  prune(view: number): void {
    for (const [key, slot] of this.#slots) {
      if (slot.view >= view) continue;
      this.#slots.delete(key);
      slot.isDone = true;
      for (const { shares } of slot.values) {
        for (const signer of shares.keys()) this.#kept.set(signer, this.#kept.get(signer)! - 1);
      }
    }
  }

  /** How many shares are kept of a custodian. */
  keptOf(signer: number): number {
    return this.#kept.get(signer) ?? 0;
  }

  #slotOf({ kind, view }: Share): Slot {
    const key = slotKey(kind, view);
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      const [signers, banned] = [new Set<number>(), new Set<number>()];
      slot = { kind, view, values: [], signers, banned, isSpoilt: false, isDone: false };
      this.#slots.set(key, slot);
    }
    return slot;
  }

  #isQuorum(slot: Slot): boolean {
    const { quorum } = this.#setting;
    if (slot.kind === 'timeout') return slot.signers.size >= quorum;
    return slot.values.some(({ shares }) => shares.size >= quorum);
  }

  #addUp(slot: Slot): Quorum | undefined {
    const { scheme } = this.#setting;
    // The second time every share that is left has been verified on its own.
    for (let isChecked = slot.isSpoilt; this.#isQuorum(slot); isChecked = true) {
      const groups = slot.kind === 'timeout' ? slot.values : [this.#fullValue(slot)];
      const shares = disjoint(groups);
      const aggregate = scheme.aggregate(
        shares.flatMap(({ value, signers }) => signers.map((signer) => value.shares.get(signer)!)),
      );
      const messages = shares.map(({ value, signers }) => ({
        signers,
        message: this.#message(slot, value),
      }));
      const holds =
        aggregate !== undefined &&
        (isChecked || scheme.verifyAggregate(this.#height, messages, aggregate));
      if (holds) return this.#quorum(slot, shares, aggregate);
      if (isChecked) return undefined;
      this.#checkAll(slot);
    }
    return undefined;
  }

  #fullValue(slot: Slot): Value {
    return slot.values.find(({ shares }) => shares.size >= this.#setting.quorum)!;
  }

  #quorum(slot: Slot, groups: readonly Group[], signature: Uint8Array): Quorum {
    const { view } = slot;
    const [first] = groups;
    if (slot.kind === 'timeout') {
      const named = groups
        .map(({ value, signers }) => ({ highView: value.highView, signers }))
        .toSorted((a, b) => (a.highView ?? -1) - (b.highView ?? -1));
      return { kind: 'timeouts', timeouts: { view, groups: named, signature } };
    }
    const { value, signers } = first!;
    const place = { phase: slot.kind, height: this.#height, view };
    const certificate = { ...place, digest: value.digest!, signers, signature };
    return { kind: 'votes', certificate };
  }

  #checkAll(slot: Slot): void {
    slot.isSpoilt = true;
    for (const value of slot.values) {
      for (const signer of [...value.shares.keys()]) this.#check(slot, value, signer);
    }
  }

  /** Verifies one share, once; a bad one is dropped and its sender named. */
  #check(slot: Slot, value: Value, signer: number): boolean {
    if (value.checked.has(signer)) return true;
    const signature = value.shares.get(signer);
    if (signature === undefined) return false;
    const message = this.#message(slot, value);
    if (this.#setting.scheme.verify(signer, this.#height, message, signature)) {
      value.checked.add(signer);
      return true;
    }
    value.shares.delete(signer);
    this.#kept.set(signer, this.#kept.get(signer)! - 1);
    if (!slot.values.some(({ shares }) => shares.has(signer))) slot.signers.delete(signer);
    slot.banned.add(signer);
    this.#trust.lied(signer);
    this.#findings.badShare(signer, slot.kind);
    return false;
  }

  /** Two values of one slot are evidence, if both signatures hold. */
  #accuse(slot: Slot, custodian: number, one: Value, other: Value): void {
    const { kind, view } = slot;
    const place = { kind, custodian, height: this.#height, view };
    if (!this.#findings.isNews(place)) return;
    const areSound = [one, other].map((value) => this.#check(slot, value, custodian));
    if (areSound.includes(false)) return;
    const claims = [one, other].map(({ digest, highView, shares }) => {
      return { digest, highView, signature: shares.get(custodian)! };
    });
    this.#findings.evidence(createEvidence(place, claims[0]!, claims[1]!));
  }

  #message({ kind, view }: Slot, { digest, highView }: Value): Uint8Array {
    const place = { kind, height: this.#height, view };
    return shareMessage(this.#setting.clusterId, { ...place, digest, highView });
  }
}

interface Group {
  readonly value: Value;
  readonly signers: readonly number[];
}

/** Signers of each value, ascending; one who signed two is left to the first: nobody twice. */
function disjoint(values: readonly Value[]): Group[] {
  const taken = new Set<number>();
  const groups: Group[] = [];
  for (const value of values) {
    const signers = [...value.shares.keys()].filter((signer) => !taken.has(signer));
    for (const signer of signers) taken.add(signer);
    if (signers.length > 0) groups.push({ value, signers: signers.sort((a, b) => a - b) });
  }
  return groups;
}

const slotKey = (kind: SlotKind, view: number): string => `${kind} ${view}`;

const isValueOf = (value: Value, { digest, highView }: Share): boolean =>
  value.digest === digest && value.highView === highView;

function valueIn(slot: Slot, share: Share): Value {
  const known = slot.values.find((value) => isValueOf(value, share));
  if (known !== undefined) return known;
  const { digest, highView } = share;
  const value = { digest, highView, shares: new Map(), checked: new Set<number>() };
  slot.values.push(value);
  return value;
}

function raise(views: Map<number, number>, signer: number, view: number): void {
  if (view > (views.get(signer) ?? -1)) views.set(signer, view);
}
