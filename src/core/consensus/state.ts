/**
 * What a replica knows, and how it changes. Nothing here decides: the intake writes down what
 * others have proven, the rules act upon it.
 */
import { assert } from '../assert.ts';
import type { Instant } from '../units.ts';
import { Ahead } from './ahead.ts';
import type { VerdictInput } from './contract.ts';
import { Doubt } from './doubt.ts';
import { createEvidence } from './evidence.ts';
import { EvidenceBook } from './evidence-book.ts';
import {
  absolvedRow,
  doubtRow,
  entryRow,
  evidenceRow,
  finalRow,
  highRow,
  type Kept,
  type KeptDoubt,
  slotRow,
} from './journal.ts';
import { LIMITS } from './limits.ts';
import { Output } from './output.ts';
import { Pace } from './pace.ts';
import { comparePlaces, Pen } from './pen.ts';
import type { Leaders } from './schedule.ts';
import type { Setting } from './setting.ts';
import { type Findings, Tally } from './tally.ts';
import { type Sender, Trust } from './trust.ts';
import type { Certificate, Evidence, Share, SlotKind, TimeoutCertificate } from './types.ts';

/** The first proposal of the current view that its leader has signed and P2 allows. */
export interface SeenProposal {
  readonly digest: string;
  readonly signature: Uint8Array;
  /** Whether P2 left no other digest. */
  readonly isBound: boolean;
  /** Whether it may be voted on; undefined: the chain has not said yet. */
  isApproved: boolean | undefined;
}

/** What the chain knows of a block that it has executed. */
export type Approval = Pick<VerdictInput, 'view' | 'seed'>;

/** The highest height that is proven to be final elsewhere. */
export interface Target {
  readonly height: number;
  readonly digest: string | undefined;
  readonly from: readonly string[];
}

/** E5: what the replica of the next custodians goes on with as it is. */
export type Lasting = Pick<State, 'ahead' | 'evidenceBook' | 'pace'>;

export class State implements Findings {
  readonly setting: Setting;
  readonly trust = new Trust();
  readonly pace: Pace;
  readonly pen: Pen;
  readonly ahead: Ahead;
  readonly evidenceBook: EvidenceBook;
  /** The last share of each custodian that came from itself (D5). */
  readonly seen = new Map<number, Share>();
  /** Custodians whose connection was lost, and when. */
  readonly lost = new Map<number, Instant>();

  /** Nodes that are no custodians here and were heard in this height. */
  readonly strangers = new Set<string>();
  /** C4: what the holder of the key has refused to sign in this view, until the next repetition. */
  readonly refused = new Set<SlotKind | 'proposal'>();

  /** Of this step. */
  out: Output;
  now: Instant = 0 as Instant;

  /** Commit certificate of the last final height. */
  final: Certificate | undefined;
  /** Of the last height of the custodians before (E5): it brings on those who are there still. */
  readonly handover: Certificate | undefined;
  leaders: Leaders;
  view: number;
  /** By which the view was entered; undefined in view 0, and where another way led into it. */
  entry: TimeoutCertificate | undefined;
  high: Certificate | undefined;
  /** The certificate that the own timeout of this view names; `high` may be above it (T5). */
  named: Certificate | undefined;
  /** Commit certificate of this height, until the chain has the block. */
  commit: Certificate | undefined;
  proposal: SeenProposal | undefined;
  /** The block of the own proposal. */
  payload: Uint8Array | undefined;
  /** What the chain has been asked for in this view. */
  asked: 'build' | 'reproposal' | undefined;
  tally: Tally;
  /** Verified prepare certificates of this height, by view. */
  readonly prepared = new Map<number, Certificate>();
  /** Blocks of this height that the chain has executed. */
  readonly approved = new Map<string, Approval>();

  isWaiting = false;
  /** C2: the keys of this height are known, and what came early for it has been taken in. */
  hasBegun = false;
  /** The own consensus key in force, in hex, if its secret is at hand (K3). */
  ownKey: string | undefined;
  /** Since when there has been work in this view. */
  viewSince: Instant | undefined;
  /** When the own messages of this view were sent last. */
  saidAt: Instant | undefined;
  doubt: Doubt | undefined;
  /** The number of the last question that a doubt has asked. */
  question = 0;
  keyElsewhere: string | undefined;
  target: Target | undefined;

  constructor(
    setting: Setting,
    leaders: Leaders,
    kept: Kept,
    lasting: Lasting = lastingOf(setting, kept),
  ) {
    this.setting = setting;
    this.leaders = leaders;
    this.out = new Output(setting);
    this.ahead = lasting.ahead;
    this.pace = lasting.pace;
    this.evidenceBook = lasting.evidenceBook;
    this.final = kept.final;
    this.handover = kept.handover;
    // D2: a replica goes on from what is durable.
    const { height } = this;
    const slot = kept.slot?.height === height ? kept.slot : undefined;
    this.view = slot?.view ?? 0;
    const empty = { height, view: 0, proposal: undefined, shares: {} };
    this.pen = new Pen(setting, slot ?? empty, kept.last, kept.absolved);
    this.tally = new Tally(setting, height, this.trust, this);
    const isOfView = kept.entry?.height === height && kept.entry.view + 1 === this.view;
    this.entry = isOfView ? kept.entry : undefined;
    this.high = kept.high?.height === height ? kept.high : undefined;
    const names = this.pen.share('timeout')?.highView;
    this.named = names === undefined ? undefined : kept.named;
    for (const known of [this.named, this.high]) {
      if (known !== undefined) this.prepared.set(known.view, known);
    }
    const { self } = setting;
    for (const share of self === undefined ? [] : this.pen.shares) this.tally.add(self!, share);
    this.lookForKey();
  }

  /** The first height that is not final. */
  get height(): number {
    return this.finalised + 1;
  }

  get finalised(): number {
    return this.final?.height ?? 0;
  }

  get leader(): number {
    return this.leaders.leaderOf(this.height, this.view);
  }

  get isLeader(): boolean {
    return this.leader === this.setting.self;
  }

  /** D4: a replica in doubt signs nothing; K3: nor does one without its key; nor ever an agent. */
  get isVoting(): boolean {
    return this.ownKey !== undefined && this.doubt === undefined;
  }

  /** The node id of whoever has sent something. */
  nameOf(sender: Sender): string {
    return typeof sender === 'string' ? sender : this.setting.custodians[sender]!;
  }

  /** C2: the key of a height whose keys may still change is nobody's yet. */
  lookForKey(): void {
    const { self, scheme } = this.setting;
    const isKnown = self !== undefined && scheme.knows(this.height);
    this.ownKey = isKnown ? scheme.ownKey(this.height) : undefined;
  }

  /** D4: an agent asks nobody what it may have voted. */
  get isAsking(): boolean {
    return this.setting.self !== undefined && this.doubt?.isAsking === true;
  }

  nodeIdsOf(custodians: readonly number[]): string[] {
    const { self, custodians: nodeIds } = this.setting;
    return custodians.filter((index) => index !== self).map((index) => nodeIds[index]!);
  }

  /** P4, T5: a verified prepare certificate of this height. */
  learnPrepared(certificate: Certificate): void {
    const { prepared } = this;
    if (prepared.has(certificate.view)) return;
    prepared.set(certificate.view, certificate);
    if (prepared.size > LIMITS.prepared) prepared.delete(Math.min(...prepared.keys()));
    if (this.high === undefined || certificate.view > this.high.view) {
      this.high = certificate;
      this.out.persist(highRow(certificate));
    }
    this.#recogniseVotes(certificate);
  }

  /** P5: a verified commit certificate of this height. */
  learnCommitted(certificate: Certificate): void {
    if (this.commit !== undefined) return;
    this.commit = certificate;
    this.#recogniseVotes(certificate);
  }

  /**
   * T4: with a timeout certificate of view v a replica is in view v + 1, and passes it on to the
   * leader there, who may need it to propose.
   */
  learnTimeouts(certificate: TimeoutCertificate, from?: number): void {
    if (certificate.high !== undefined) this.learnPrepared(certificate.high);
    const { height, view, groups } = certificate;
    const { self } = this.setting;
    for (const { highView, signers } of groups) {
      if (self === undefined || !signers.includes(self)) continue;
      this.recogniseOwn({ kind: 'timeout', height, view, digest: undefined, highView });
    }
    this.enterView(view + 1, certificate);
    const { leader } = this;
    if (self === undefined || leader === self || leader === from) return;
    this.out.send(leader, { type: 'timeout-certificate', certificate });
  }

  /** A height above the own one is final elsewhere. */
  learnTarget(target: Target): void {
    if (target.height <= (this.target?.height ?? 0)) return;
    this.target = target;
    this.askForBlocks();
  }

  askForBlocks(): void {
    if (this.target !== undefined) this.out.tell({ type: 'fetch', ...this.target });
  }

  approve(digest: string, approval: Approval): void {
    if (this.approved.has(digest)) return;
    if (this.approved.size >= LIMITS.approved) {
      const other = this.approved.keys().find((known) => known !== this.high?.digest);
      if (other !== undefined) this.approved.delete(other);
    }
    this.approved.set(digest, approval);
  }

  enterView(view: number, entry: TimeoutCertificate | undefined): void {
    this.pen.turnTo(this.height, view);
    if (entry !== undefined) this.out.persist(entryRow(entry));
    this.tally.prune(view - LIMITS.viewsBehind);
    this.#begin(view, entry);
  }

  /** P5: the block is final; the replica goes to the next height, view 0. */
  enterHeight(certificate: Certificate, { view, seed }: Approval): void {
    const { height, digest } = certificate;
    const leaders = this.leaders.next({ height, view, seed });
    this.out.tell({ type: 'finalised', height, digest, certificate, view });
    this.goOn(certificate, leaders);
  }

  /** The height of the certificate is final, and the replica goes to the one after it. */
  goOn(certificate: Certificate, leaders: Leaders): void {
    const { height } = certificate;
    this.final = certificate;
    this.out.persist(finalRow(certificate));
    this.leaders = leaders;
    this.pen.turnTo(this.height, 0);
    this.trust.forgive();
    this.strangers.clear();
    this.tally = new Tally(this.setting, this.height, this.trust, this);
    this.prepared.clear();
    this.approved.clear();
    this.high = undefined;
    this.commit = undefined;
    if (this.target !== undefined && this.target.height <= height) this.target = undefined;
    this.hasBegun = false;
    this.lookForKey();
    this.#begin(0, undefined);
  }

  /** C4: no signature was given; what else there is to say goes on. */
  refuse(kind: SlotKind | 'proposal'): void {
    this.refused.add(kind);
    this.saidAt ??= this.now;
  }

  /** C4: what was refused may be asked for again. */
  retry(): void {
    // The chain may have had to prove a seed, or has the block at hand.
    if (this.refused.has('proposal')) this.asked = undefined;
    this.refused.clear();
  }

  /** D3, D5: from now on this node signs nothing until `until` is known and final. */
  startDoubt(kept: KeptDoubt): void {
    const { self, quorum, members } = this.setting;
    this.question = Math.max(this.question + 1, Math.trunc(this.now));
    const { question } = this;
    this.doubt = new Doubt(kept, { members, needed: quorum - 1, question });
    assert(kept.held.length <= LIMITS.heldKeys, 'a home holds few consensus keys');
    // An agent asks nobody: where it becomes custodian, the doubt is about votes there (E5).
    if (self !== undefined) this.doubt.settle(this.height);
    this.keepDoubt();
    if (self !== undefined) this.out.tell({ type: 'doubt', reason: kept.reason });
  }

  /** D4: what may have been forgotten lies below what is final. */
  endDoubt(absolved: number = this.finalised): void {
    this.doubt = undefined;
    this.keepDoubt();
    this.pen.absolve(absolved);
    this.out.persist(absolvedRow(Math.min(absolved, this.height)));
  }

  keepDoubt(): void {
    this.out.persist(doubtRow(this.doubt?.kept));
  }

  /** D5, D6: something that bears the own signature, which has been verified. */
  recogniseOwn(share: Omit<Share, 'signature'>, signature?: Uint8Array): void {
    // K1: what a retired key has signed, at a height that is past, raises no doubt about another.
    if (this.#isOfRetiredKey(share.height)) return;
    const verdict = this.pen.recognise(share);
    const what = `a ${share.kind} at height ${share.height}, view ${share.view}`;
    if (verdict === 'forgotten') {
      if (this.doubt === undefined) {
        const reason = `others hold ${what} of this node, which it does not remember`;
        const held = this.#heldWith(share.height);
        const floor = share.height;
        this.startDoubt({ reason, until: undefined, floor, held, brought: [] });
      } else {
        this.doubt.learn(share.height);
        this.keepDoubt();
      }
    }
    if (verdict !== 'forged') return;
    this.#tellKeyElsewhere(what);
    const own = this.pen.share(share.kind);
    if (own === undefined || signature === undefined) return;
    const { kind, height, view } = share;
    const slot = { kind, height, view, custodian: this.setting.scheme.ownIndex(height)! };
    this.evidence(createEvidence(slot, own, { ...share, signature }));
  }

  #isOfRetiredKey(height: number): boolean {
    const { scheme } = this.setting;
    return height < this.height && scheme.keyInForce(height) !== scheme.keyInForce(this.height);
  }

  /** K1: whoever signed with one of the keys of this home may have them all. */
  #heldWith(height: number): readonly string[] {
    const { scheme, held } = this.setting;
    const used = scheme.keyInForce(height);
    return [...new Set([...held, ...scheme.heldKeys(), ...(used === undefined ? [] : [used])])];
  }

  noteSeen(from: number, share: Share): void {
    const last = this.seen.get(from);
    if (last === undefined || comparePlaces(share, last) > 0) this.seen.set(from, share);
  }

  /**
   * Whether a signature for something of `height` holds, and what it says of its sender if not.
   * C3: where the keys are not known, nothing; so it is bounded by itself.
   */
  holds(from: Sender, what: string, height: number, verify: () => boolean): boolean {
    const { trust, setting } = this;
    const isKnown = setting.scheme.knows(height);
    if (trust.isMuted(from) || (!isKnown && trust.isPuzzling(from))) return false;
    if (verify()) return true;
    if (isKnown) this.lied(from, what);
    else trust.puzzled(from);
    return false;
  }

  /** A signature that does not hold, outside of the tally. */
  lied(from: Sender, what: string): void {
    this.trust.lied(from);
    this.badShare(from, what);
  }

  badShare(from: Sender, what: string): void {
    this.out.tell({ type: 'bad-share', from: this.nameOf(from), what });
  }

  isNews(slot: Omit<Evidence, 'claims'>): boolean {
    return this.evidenceBook.isNews(slot);
  }

  /** Verified evidence, found here: everybody is told. */
  evidence(evidence: Evidence): void {
    if (this.keepEvidence(evidence)) this.out.broadcast({ type: 'evidence', evidence });
  }

  /** @returns whether it is news. */
  keepEvidence(evidence: Evidence): boolean {
    if (!this.evidenceBook.isNews(evidence)) return false;
    this.evidenceBook.add(evidence);
    this.out.persist(evidenceRow(evidence));
    const { custodian, height } = evidence;
    const { scheme } = this.setting;
    this.out.tell({ type: 'evidence', evidence, nodeId: scheme.nodeIdOf(custodian, height)! });
    if (custodian === scheme.ownIndex(height)) {
      this.#tellKeyElsewhere(`two ${evidence.kind} messages at height ${height}`);
    }
    return true;
  }

  /** D1: what was signed becomes durable with this step. */
  keepSlot(): void {
    if (this.pen.takeChange()) this.out.persist(slotRow(this.pen.slot, this.pen.last));
  }

  hasShare(kind: SlotKind): boolean {
    return this.pen.share(kind) !== undefined;
  }

  /** T2, C4: it has signed a timeout of this view, or may have. */
  get hasGivenUp(): boolean {
    return this.hasShare('timeout') || this.pen.hasAsked('timeout');
  }

  #begin(view: number, entry: TimeoutCertificate | undefined): void {
    this.view = view;
    this.entry = entry;
    this.named = undefined;
    this.proposal = undefined;
    this.payload = undefined;
    this.asked = undefined;
    this.viewSince = undefined;
    this.saidAt = undefined;
    this.refused.clear();
    if (this.hasBegun) this.tellPlace();
  }

  tellPlace(): void {
    const { height, view, leader } = this;
    this.out.tell({ type: 'entered', height, view, leader });
  }

  #recogniseVotes({ phase, height, view, digest, signers }: Certificate): void {
    const { self } = this.setting;
    if (self === undefined || !signers.includes(self)) return;
    this.recogniseOwn({ kind: phase, height, view, digest, highView: undefined });
  }

  #tellKeyElsewhere(what: string): void {
    const isNew = this.keyElsewhere === undefined;
    this.keyElsewhere = what;
    // D6: once is enough to be acted upon.
    if (isNew) this.out.tell({ type: 'key-elsewhere', what });
  }
}

const lastingOf = ({ timing, faultyMax, scheme }: Setting, { evidence }: Kept): Lasting => ({
  ahead: new Ahead(),
  pace: new Pace(timing, faultyMax),
  evidenceBook: new EvidenceBook(evidence, (custodian, height) =>
    scheme.nodeIdOf(custodian, height),
  ),
});
