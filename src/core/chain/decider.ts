/**
 * The replica of `consensus/` and what it needs of the chain: blocks made, checked, executed and
 * kept. Votes, the block that they are for and the state after it are in one transaction. It sends
 * no intents and asks nobody for final blocks; what it tells, its owner acts on at once.
 */
import { assert } from '../assert.ts';
import { faultyMax } from '../consensus/quorum.ts';
import type { Replica, ReplicaInput, ReplicaOutcome, Standing } from '../consensus/replica.ts';
import type { LeaderSchedule } from '../consensus/schedule.ts';
import type { Certificate, ReplicaStatus } from '../consensus/types.ts';
import { verifyEd25519 } from '../crypto/sign.ts';
import { PROTOCOL } from '../model/protocol.ts';
import type { SignatureCheck } from '../model/signed.ts';
import { type ExecutedBlock, type Judgement, voterFault } from './block-rules.ts';
import { Candidates } from './candidates.ts';
import { divergenceOf, finalisedBy } from './finalised.ts';
import type { Ledger } from './ledger.ts';
import type { Mempool } from './mempool.ts';
import type { OpenedBlock } from './opened-block.ts';
import { blockKey, divergenceRow, META, readDivergence, type SortedRows, TABLES } from './rows.ts';
import { type Jump, Seat } from './seat.ts';
import type { StateTree } from './state-tree.ts';
import type { Turn } from './turn.ts';
import type { ChainDeps, ChainOptions, Divergence } from './types.ts';
import type { FetchedWindow } from './window.ts';

export const CONSENSUS_PREFIX = 'consensus/';
export const SEEK_ALARM = 'seek';

/** Blocks of proposals that came before the replica asked about them. */
const OPENED_BLOCKS = 8;
/** After this other custodians are asked for a block that this node must propose. */
const SEEK_MS = 500;

export interface DeciderDeps extends ChainDeps {
  readonly ledger: Ledger;
  readonly mempool: Mempool;
}

/** What the owner hears of, within the step. */
export interface DeciderOwner {
  /** The replica has come to another height or view. */
  entered(): void;
  finalised(executed: ExecutedBlock): void;
  /** Y7: `ours` is the state to which a final block with this state root has led here. */
  diverged(stateRoot: Uint8Array, ours: StateTree): void;
  /** Blocks up to `height` are final elsewhere; `digest` is that of the last. */
  behind(height: number, digest: string | undefined, from: readonly string[]): void;
}

interface Sought {
  readonly height: number;
  readonly digest: string;
  /** A quorum has made it final; or this node must propose it. */
  readonly isFinal: boolean;
  tries: number;
}

export class Decider {
  readonly #options: ChainOptions;
  readonly #ledger: Ledger;
  readonly #seat: Seat;
  readonly #candidates: Candidates;
  readonly #owner: DeciderOwner;
  readonly #opened = new Map<string, OpenedBlock>();
  /** What the replica has told; the first is being carried out. */
  readonly #told: ReplicaOutcome[] = [];
  /** An undecided block that other custodians are asked for. */
  #sought: Sought | undefined;
  #divergence: Divergence | undefined;
  readonly #verify: NonNullable<ChainDeps['verify']>;
  /** What it has not been told while it stood still (Y1): who came, and whether there is work. */
  readonly #missed = new Map<string, ReplicaInput>();

  constructor(
    options: ChainOptions,
    deps: DeciderDeps,
    stored: { readonly rows: SortedRows; readonly standing: Standing },
    owner: DeciderOwner,
  ) {
    const { seeds, ledger, mempool } = deps;
    const { rows } = stored;
    this.#options = options;
    this.#ledger = ledger;
    this.#owner = owner;
    this.#verify = deps.verify ?? verifyEd25519;
    const divergence = rows.meta.get(META.divergence);
    this.#divergence = divergence === undefined ? undefined : readDivergence(divergence);
    const seat = new Seat(options, deps, stored);
    this.#seat = seat;
    const { clusterId, checkpoint } = options;
    const context = {
      clusterId,
      checkpoint,
      ledger,
      seeds,
      get leaders() {
        return seat.leaders;
      },
    };
    this.#candidates = new Candidates(context, mempool);
    for (const { key, value } of rows.blocks) {
      const [height = '', digest = ''] = key.split('/');
      if (Number(height) > this.#height) {
        this.#candidates.restore(Number(height), digest, value);
      }
    }
  }

  get divergence(): Divergence | undefined {
    return this.#divergence;
  }

  /** V3: the next block is executed by a version that this node does not take part in. */
  get isTooOld(): boolean {
    return this.#ledger.protocol > (this.#options.protocolMax ?? PROTOCOL.max);
  }

  /** It signs, judges and executes nothing more. */
  get isStopped(): boolean {
    return this.#divergence !== undefined || this.isTooOld;
  }

  /** What proves the leaders after the last final block. */
  get leaders(): Uint8Array {
    return this.#seat.leaders.snapshot();
  }

  get undecided(): number {
    return this.#candidates.size;
  }

  get status(): ReplicaStatus {
    return this.#replica.status();
  }

  /** What proves the highest height for which this node may have voted `commit`. */
  get proof(): Certificate | undefined {
    return this.#replica.high ?? this.#ledger.certificate;
  }

  get #replica(): Replica {
    return this.#seat.replica;
  }

  get #height(): number {
    return this.#ledger.tip.height;
  }

  /** Bytes of an undecided block. */
  bytes(digest: string): Uint8Array | undefined {
    return this.#candidates.bytes(digest);
  }

  /** The block of a proposal, until the replica asks about it. */
  keepOpened(opened: OpenedBlock): void {
    this.#opened.set(opened.block.digest, opened);
    if (this.#opened.size <= OPENED_BLOCKS) return;
    for (const oldest of this.#opened.keys()) {
      this.#opened.delete(oldest);
      return;
    }
  }

  /** Steps the replica and carries out what it tells, in order. */
  drive(turn: Turn, input: ReplicaInput): void {
    // A node that comes to another state than the others has nothing more to say, and neither has
    // one that cannot tell which state is next.
    if (this.isStopped) return;
    if (this.#seat.isAtTip) return this.#step(turn, input);
    if (input.type === 'work') this.#missed.set(input.type, input);
    if (input.type === 'peer-up') this.#missed.set(input.nodeId, input);
    if (input.type === 'peer-down') this.#missed.delete(input.nodeId);
  }

  #step(turn: Turn, input: ReplicaInput): void {
    const ready = this.#replica.step(input, turn.now);
    turn.merge(ready, CONSENSUS_PREFIX);
    const isOuter = this.#told.length === 0;
    this.#told.push(...(ready.outcomes as readonly ReplicaOutcome[]));
    if (!isOuter) return;
    // What is being carried out stays at the head, so that inner calls only add to the list.
    for (let next = this.#told[0]; next !== undefined; next = this.#told[0]) {
      this.#carryOut(turn, next);
      this.#told.shift();
    }
  }

  #carryOut(turn: Turn, outcome: ReplicaOutcome): void {
    if (isQuestion(outcome) && (this.isStopped || outcome.height < this.#replica.height)) {
      // The same step has decided the height: its leaders, by which blocks are judged, are over.
      return;
    }
    switch (outcome.type) {
      case 'build':
        return this.#build(turn, outcome.height, outcome.view);
      case 'reproposal-wanted':
        return this.#repropose(turn, outcome.height, outcome.digest);
      case 'check':
        return this.#check(turn, outcome);
      case 'finalised':
        return this.#finalise(turn, outcome.digest, outcome.certificate);
      case 'fetch':
        return this.#fetch(turn, outcome);
      case 'entered':
        this.#owner.entered();
        return turn.tell(outcome);
      default:
        return turn.tell(outcome);
    }
  }

  /** P1. */
  #build(turn: Turn, height: number, view: number): void {
    assert(height === this.#height + 1, 'a block is made upon the last final one');
    const high = this.#replica.high?.digest;
    const built = this.#candidates.build(view, this.#options.self, turn.now, high);
    this.#forget(turn);
    if (typeof built !== 'string') return this.#propose(turn, height, built.digest);
    // C4: what was refused is asked for again; without work there is nothing to ask for.
    const isRefused = built === 'refused';
    return this.drive(turn, { type: 'no-proposal', height, view, isRefused });
  }

  /** P5: the replica must not make a block final that has been dropped. */
  #forget(turn: Turn): void {
    const height = this.#height + 1;
    for (const digest of this.#candidates.takeForgotten()) {
      this.drive(turn, { type: 'forgotten', height, digest });
    }
  }

  /** Answers `build` and `reproposal-wanted` with a block that is here. */
  #propose(turn: Turn, height: number, digest: string): void {
    const judgement = this.#candidates.judge(digest);
    // A quorum has prepared it; if it is not valid here, this node is the one that is wrong.
    if (!judgement.isValid) return;
    const { block, seed } = judgement.executed;
    // D1: the block is durable with the proposal.
    this.#candidates.persist(turn, digest);
    const { view } = block.header;
    const payload = block.bytes;
    this.drive(turn, { type: 'proposal', height, view, digest, payload, ...withSeed(seed) });
  }

  /** P2. */
  #repropose(turn: Turn, height: number, digest: string): void {
    if (height !== this.#height + 1) return;
    if (this.#candidates.has(digest)) return this.#propose(turn, height, digest);
    this.#sought = { height, digest, isFinal: false, tries: 0 };
    turn.alarmIn(SEEK_ALARM, 0);
  }

  /** Asks f + 1 custodians for the undecided block that is sought, and others the next time. */
  seek(turn: Turn, peers: ReadonlySet<string>): void {
    const sought = this.#sought;
    if (sought === undefined) return;
    const connected = this.#seat.custodians.nodeIds.filter((nodeId) => peers.has(nodeId));
    const count = Math.min(faultyMax(this.#seat.custodians.size) + 1, connected.length);
    const asked = Array.from(
      { length: count },
      (_, at) => connected[(sought.tries * count + at) % connected.length]!,
    );
    const { height, digest } = sought;
    turn.send(asked, { type: 'want', from: height, to: height, digest });
    sought.tries += 1;
    turn.alarmIn(SEEK_ALARM, SEEK_MS);
  }

  /** @returns whether it was sought. */
  takeCandidate(turn: Turn, opened: OpenedBlock): boolean {
    const { digest, header } = opened.block;
    const sought = this.#sought;
    if (sought?.digest !== digest || header.height !== this.#height + 1) return false;
    if (this.isStopped) return false;
    this.#candidates.add(opened, digest);
    this.#forget(turn);
    this.#sought = undefined;
    if (sought.isFinal) this.#takeFinal(turn, digest);
    else this.#propose(turn, header.height, digest);
    return true;
  }

  /** P3: execute before vote. */
  #check(turn: Turn, wanted: Extract<ReplicaOutcome, { type: 'check' }>): void {
    const { height, view, digest, payload } = wanted;
    if (height === this.#height + 1) {
      const high = this.#replica.high?.digest;
      const opened = this.#opened.get(digest);
      if (opened === undefined) this.#candidates.addBytes(payload, digest, high);
      else this.#candidates.add(opened, high);
      this.#forget(turn);
    }
    this.#opened.delete(digest);
    const header = this.#candidates.block(digest)?.header;
    assert(header !== undefined, 'a proposal is for the block that it carries');
    const late = voterFault(header, view, turn.now);
    const judgement = late === undefined ? this.#candidates.judge(digest) : undefined;
    const verdict = { type: 'verdict', height, digest, view: header.view } as const;
    if (judgement?.isValid === true) {
      this.#candidates.persist(turn, digest);
      const seed = withSeed(judgement.executed.seed);
      return this.drive(turn, { ...verdict, isValid: true, ...seed });
    }
    turn.tell({
      type: 'proposal-refused',
      height,
      view,
      proposer: this.#seat.custodians.nodeIds[wanted.proposer]!,
      ...reasonOf(late, judgement),
    });
    return this.drive(turn, { ...verdict, isValid: false });
  }

  /** P5: everything that finality changes is in the transaction of this step. */
  #finalise(turn: Turn, digest: string, certificate: Certificate): void {
    const judgement = this.#candidates.judge(digest);
    assert(judgement.isValid, 'only an executed block becomes final');
    const { executed } = judgement;
    this.#candidates.persist(turn, digest);
    this.#conclude(turn, executed, certificate, certificate);
    this.#seat.pass(turn, executed.leaders);
    this.#begin(turn);
    this.#owner.finalised(executed);
  }

  /** @param own certificate of the very block; `shown` is what makes it final (Y1). */
  #conclude(
    turn: Turn,
    executed: ExecutedBlock,
    own: Certificate | undefined,
    shown: Certificate,
  ): void {
    const { header, digest } = executed.block;
    this.#ledger.advance(turn, executed, own);
    this.#candidates.decide(turn, header.height, digest);
    if (this.#sought !== undefined) {
      this.#sought = undefined;
      turn.alarm({ key: SEEK_ALARM, at: undefined });
    }
    turn.tell(finalisedBy(executed, shown));
  }

  /** The height after the last final one begins: A1, E1 with the custodians of the state, E5. */
  #begin(turn: Turn, jump?: Jump): void {
    const input = this.#seat.begin(jump);
    if (input !== undefined) this.#step(turn, input);
    this.#seat.advance();
    // C2: before anything else of the height that has begun.
    this.drive(turn, { type: 'keys-known' });
    const missed = [...this.#missed.values()];
    this.#missed.clear();
    for (const one of missed) this.drive(turn, one);
  }

  #fetch(turn: Turn, { height, digest, from }: Extract<ReplicaOutcome, { type: 'fetch' }>): void {
    if (digest !== undefined && height === this.#height + 1) {
      if (this.#candidates.has(digest)) return this.#takeFinal(turn, digest);
      this.#sought = { height, digest, isFinal: true, tries: 0 };
    }
    this.#owner.behind(height, digest, from);
  }

  /**
   * Y1: a window with the block of the next height, whose certificate holds: what it makes final is
   * executed, and comes to its state root, or this node is the one that is wrong.
   */
  takeWindow(turn: Turn, { blocks, late, certificate }: FetchedWindow): void {
    const first = blocks[0]!.block.header.height;
    for (let at = this.#height + 1 - first; at < blocks.length; at += 1) {
      // V3
      if (this.isStopped) return;
      const opened = blocks[at]!;
      const judgement = this.#judgeFinal(opened, late[at]!);
      if (!judgement.isValid) return this.#diverge(turn, opened, judgement);
      const { executed } = judgement;
      const isLast = at === blocks.length - 1;
      const { header, bytes, digest } = executed.block;
      turn.persist(TABLES.blocks, blockKey(header.height, digest), bytes);
      this.#conclude(turn, executed, isLast ? certificate : undefined, certificate);
      // Within a window the replica hears of its last block only.
      this.#seat.pass(turn, executed.leaders);
      if (!isLast) this.#seat.advance();
      // What is final waits no more before the next height begins, which may ask for a block.
      this.#owner.finalised(executed);
      if (isLast) this.#begin(turn, { certificate, isRestart: false });
    }
  }

  /** What authors have signed with keys of this very window could not be verified before. */
  #judgeFinal(opened: OpenedBlock, late: readonly SignatureCheck[]): Judgement {
    const { roster } = this.#ledger;
    const holds = ({ key, author, keyEpoch, message, signature }: SignatureCheck): boolean => {
      const known = key ?? roster.identityKey(author, keyEpoch);
      return known !== undefined && this.#verify(known, message, signature);
    };
    if (late.every(holds)) return this.#candidates.judgeFinal(opened);
    return { isValid: false, why: 'a signature in it does not hold' };
  }

  /** Y4: the ledger has another state, with the certificate of its last block. */
  restart(turn: Turn, leaders: LeaderSchedule, certificate: Certificate): void {
    const { height, digest } = this.#ledger.tip;
    this.#divergence = undefined;
    turn.persist(TABLES.meta, META.divergence, undefined);
    this.#candidates.decide(turn, height, digest);
    this.#seat.forget();
    this.#seat.pass(turn, leaders);
    this.#begin(turn, { certificate, isRestart: true });
  }

  /** Y7: durable, until the state is taken anew. */
  #diverge(
    turn: Turn,
    opened: Pick<OpenedBlock, 'block'>,
    judgement: Extract<Judgement, { isValid: false }>,
  ): void {
    this.learnDivergence(turn, divergenceOf(opened, judgement));
    const { stateRoot } = opened.block.header;
    if (judgement.tree !== undefined) this.#owner.diverged(stateRoot, judgement.tree);
  }

  learnDivergence(turn: Turn, divergence: Divergence): void {
    this.#divergence = divergence;
    turn.persist(TABLES.meta, META.divergence, divergenceRow(divergence));
    turn.tell(divergence);
  }

  /** A quorum has made this block final: it is what this node must come to as well. */
  #takeFinal(turn: Turn, digest: string): void {
    const judgement = this.#candidates.judge(digest);
    const block = this.#candidates.block(digest)!;
    if (!judgement.isValid) return this.#diverge(turn, { block }, judgement);
    const { height, view } = block.header;
    this.#candidates.persist(turn, digest);
    const seed = withSeed(judgement.executed.seed);
    this.drive(turn, { type: 'verdict', height, digest, isValid: true, view, ...seed });
  }
}

/** What the replica asks about the height that it is deciding. */
const isQuestion = (outcome: ReplicaOutcome) =>
  outcome.type === 'build' ||
  outcome.type === 'reproposal-wanted' ||
  outcome.type === 'check' ||
  outcome.type === 'fetch';

const withSeed = (seed: Uint8Array | undefined) => (seed === undefined ? {} : { seed });

/** Why this node does not vote for a proposal. */
function reasonOf(late: string | undefined, judgement: Judgement | undefined) {
  if (late !== undefined) return { reason: 'time', detail: late } as const;
  assert(judgement?.isValid === false, 'what is refused has a fault');
  const reason = judgement.ownStateRoot === undefined ? 'invalid' : 'state';
  return { reason, detail: judgement.why } as const;
}
