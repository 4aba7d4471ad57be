/**
 * The chain of blocks as a machine: it makes, checks, executes and keeps blocks, gathers intents
 * for them, gets what it lacks, and answers who asks. The replica of `consensus/` lies within: its
 * votes, the blocks that they are for and the state are one transaction. It verifies no signatures
 * of intents, which its caller has done, and reads nothing back from the store.
 */
import { unreachable } from '../assert.ts';
import { encodeCertificate } from '../consensus/certificate.ts';
import type { Standing } from '../consensus/replica.ts';
import type { Machine, Ready } from '../machine.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { type Instant, instant } from '../units.ts';
import type { ExecutedBlock } from './block-rules.ts';
import { restoreSets } from './custodian-periods.ts';
import { tellDecided } from './decided-outcomes.ts';
import { CONSENSUS_PREFIX, Decider, SEEK_ALARM } from './decider.ts';
import type { Receipt } from './execution.ts';
import { FinalViews } from './final-views.ts';
import { Intake } from './intake.ts';
import { Ledger } from './ledger.ts';
import type { ChainMessage } from './messages.ts';
import type { OpenedBlock } from './opened-block.ts';
import { type OwnAnswer, READ_ALARM, Reads } from './reads.ts';
import { META, readRuns, runsRow, type SortedRows, sortRows, TABLES } from './rows.ts';
import { FLUSH_ALARM, REPEAT_ALARM, REPEAT_MS } from './spread.ts';
import { StateTree } from './state-tree.ts';
import { Sync } from './sync.ts';
import { Turn } from './turn.ts';
import type {
  ChainDeps,
  ChainInput,
  ChainOptions,
  ChainStatus,
  PendingIntent,
  StoredRow,
} from './types.ts';

export type * from './types.ts';

const FORWARD_ALARM = 'forward';

export class Chain extends FinalViews implements Machine<ChainInput> {
  readonly #options: ChainOptions;
  readonly #ledger: Ledger;
  readonly #intake: Intake;
  readonly #decider: Decider;
  readonly #sync: Sync;
  readonly #reads: Reads;
  readonly #peers = new Set<string>();
  #runs: number;
  #hasToldWork = false;
  /** The leader of this view has been offered what waits, or could not be. */
  #hasForwarded = false;
  #hasToldTooOld = false;
  #turn = new Turn(instant(0));

  private constructor(
    options: ChainOptions,
    deps: ChainDeps,
    rows: SortedRows,
    standing: Standing,
  ) {
    const { clusterId, self } = options;
    const tree = deps.state && StateTree.open(deps.state);
    const { ledger, entries } = Ledger.recover(options, rows, tree);
    super(clusterId, ledger);
    restoreSets(deps.sets, ledger, entries);
    this.#options = options;
    const intake = new Intake(options, ledger, this.#peers);
    intake.restore(rows.pending);
    this.#ledger = ledger;
    this.#intake = intake;
    const stored = { rows, standing };
    this.#decider = new Decider(options, { ...deps, ledger, mempool: intake.mempool }, stored, {
      entered: () => this.#entered(),
      finalised: (executed) => this.#finalised(executed),
      diverged: (stateRoot, ours) => this.#sync.diverged(stateRoot, ours),
      behind: (height, digest, from) => this.#sync.behind(height, digest, from),
    });
    const parts = { ledger, decider: this.#decider, intake, peers: this.#peers };
    const restarted = (): void => this.#reads.moved(this.#turn, this.#ownAnswer());
    this.#sync = new Sync(options, { ...deps, ...parts, restarted }, rows);
    this.#reads = new Reads({ clusterId, ledger, self }, deps.scheme);
    const runs = rows.meta.get(META.runs);
    this.#runs = runs === undefined ? 0 : readRuns(runs);
  }

  /** @throws {AegisError} `STORE_DAMAGED` when the rows do not fit together. */
  static recover(
    options: ChainOptions,
    deps: ChainDeps,
    rows: Iterable<StoredRow>,
    standing: Standing,
  ): Chain {
    return new Chain(options, deps, sortRows(rows), standing);
  }

  step(input: ChainInput, now: Instant): Ready {
    const turn = new Turn(now);
    this.#turn = turn;
    // W41: what the steps before have given can be read.
    this.#ledger.tree.begin();
    this.#take(input);
    this.#settleWork();
    this.#tellTooOld();
    this.#sync.pump(turn);
    return turn.build();
  }

  #take(input: ChainInput): void {
    switch (input.type) {
      case 'start':
        return this.#start();
      case 'alarm':
        return this.#alarm(input.key);
      case 'peer-up':
        return this.#peerUp(input.nodeId);
      case 'peer-down':
        this.#peers.delete(input.nodeId);
        this.#sync.peerDown(input.nodeId);
        return this.#decider.drive(this.#turn, input);
      case 'message':
        return this.#message(input.from, input.message);
      case 'submit':
        return this.#intake.submit(this.#turn, input.intents, input.replaces ?? false);
      case 'read-index':
        return this.#reads.add(this.#turn, input.id, this.#ownAnswer());
      case 'rows':
        return this.#sync.rows(this.#turn, input.to, input.from, input.window);
      case 'patience':
        return this.#sync.takeTime(input.answerMs);
      case 'pruned':
        return this.#sync.pruned(input.base);
      case 'unreadable':
        return this.#sync.unreadable(this.#turn, input.from);
      case 'take-anew':
        return this.#sync.takeAnew();
      default:
        return unreachable(input);
    }
  }

  /** The sequence for the author's next intent. */
  nextSequence(author: string): number {
    return this.#intake.nextSequence(author);
  }

  /** Z2: the lowest height whose block is kept here. */
  get base(): number {
    return this.#sync.base;
  }

  /** Y5: the header of a height at which snapshots are made, or of the last block of an epoch. */
  headerOf(height: number): Uint8Array | undefined {
    return this.#sync.headerOf(height);
  }

  /** Y5: for those who are invited; undefined: the cluster is too young to have one. */
  checkpoint(): Checkpoint | undefined {
    return this.#sync.checkpoint;
  }

  /** Own intents that are not final. */
  pending(): readonly PendingIntent[] {
    return this.#intake.pending;
  }

  /** Whether the signature of the intent with this digest has been verified before. */
  isKnown(digest: string): boolean {
    return this.isWaiting(digest) || this.#intake.isTrusted(digest);
  }

  /** Whether the intent with this digest waits for a block here. */
  isWaiting(digest: string): boolean {
    return this.#intake.mempool.get(digest) !== undefined;
  }

  status(): ChainStatus {
    const status = this.#decider.status;
    const { count, bytes } = this.#intake.mempool;
    return {
      ...status,
      isVoting: status.isVoting && !this.#decider.isStopped,
      mempool: { intents: count, bytes },
      lag: this.#sync.lag,
      undecided: this.#decider.undecided,
      divergence: this.#decider.divergence,
      protocol: this.#ledger.protocol,
      isTooOld: this.#decider.isTooOld,
    };
  }

  /** Of an intent that became final lately. */
  receipt(id: string): Receipt | undefined {
    return this.#ledger.receipt(id)?.receipt;
  }

  #start(): void {
    this.#runs += 1;
    this.#turn.persist(TABLES.meta, META.runs, runsRow(this.#runs));
    this.#reads.start(this.#runs);
    this.#sync.start(this.#turn);
    this.#intake.start(this.#turn);
    this.#decider.drive(this.#turn, { type: 'start' });
  }

  #alarm(key: string): void {
    if (key.startsWith(CONSENSUS_PREFIX)) {
      return this.#decider.drive(this.#turn, {
        type: 'alarm',
        key: key.slice(CONSENSUS_PREFIX.length),
      });
    }
    if (this.#sync.alarm(this.#turn, key)) return;
    switch (key) {
      case FLUSH_ALARM:
        return this.#intake.flush(this.#turn);
      case REPEAT_ALARM:
        return this.#intake.repeat(this.#turn);
      case READ_ALARM:
        return this.#reads.retry(this.#turn, this.#ownAnswer());
      case FORWARD_ALARM:
        return this.#forward();
      case SEEK_ALARM:
        return this.#decider.seek(this.#turn, this.#peers);
      default:
        return;
    }
  }

  #peerUp(nodeId: string): void {
    this.#peers.add(nodeId);
    this.#sync.peerUp(this.#turn, nodeId);
    this.#intake.greet(this.#turn, nodeId);
    this.#decider.drive(this.#turn, { type: 'peer-up', nodeId });
  }

  #message(from: string, message: ChainMessage): void {
    const turn = this.#turn;
    switch (message.type) {
      case 'consensus':
        if (message.block !== undefined) {
          this.#trust(message.block);
          if (this.#isCustodian(from)) this.#decider.keepOpened(message.block);
        }
        return this.#decider.drive(this.#turn, { type: 'message', from, message: message.message });
      case 'intents':
        return this.#intake.take(turn, message.intents);
      case 'announce':
        return this.#sync.announced(turn, from, message);
      case 'want':
        return this.#serve(from, message);
      case 'blocks':
        for (const opened of message.window?.blocks ?? []) this.#trust(opened);
        return this.#sync.blocks(turn, from, message);
      case 'candidate':
        this.#trust(message.block);
        if (this.#decider.takeCandidate(turn, message.block)) {
          this.#sync.answered(from, message.block.block.header.height);
        }
        return;
      case 'index-request':
        return this.#answerIndex(from, message.nonce);
      case 'index-reply':
        return this.#reads.answer(turn, from, message, this.#ownAnswer());
      default:
        return this.#sync.message(turn, from, message);
    }
  }

  /** E1: of the next height. */
  #isCustodian(nodeId: string): boolean {
    return this.custodians().indexOf(nodeId) !== -1;
  }

  #entered(): void {
    if (this.#intake.mempool.hasWork) this.#armForward();
  }

  #finalised(executed: ExecutedBlock): void {
    this.#intake.settle(this.#turn, executed);
    tellDecided(this.#turn, executed, this.#ledger);
    this.#reads.moved(this.#turn, this.#ownAnswer());
    this.#sync.finalised(this.#turn);
  }

  #serve(from: string, want: Extract<ChainMessage, { type: 'want' }>): void {
    if (this.#sync.want(this.#turn, from, want)) return;
    const bytes = want.digest === undefined ? undefined : this.#decider.bytes(want.digest);
    if (bytes !== undefined) this.#sync.candidate(this.#turn, from, bytes);
  }

  /** Index requests are answered by custodians that remember all that they have voted. */
  #ownAnswer(): OwnAnswer {
    if (!this.#isCustodian(this.#options.self) || this.#decider.isStopped) return undefined;
    if (this.#decider.status.doubt !== undefined) return undefined;
    return this.#decider.proof?.height ?? 0;
  }

  #answerIndex(from: string, nonce: number): void {
    const height = this.#ownAnswer();
    if (height === undefined) return;
    const { proof } = this.#decider;
    const certificate = proof === undefined ? undefined : encodeCertificate(proof);
    this.#turn.send([from], { type: 'index-reply', nonce, height, certificate });
  }

  /** V3: once, and again after a restart. */
  #tellTooOld(): void {
    if (this.#hasToldTooOld || !this.#decider.isTooOld) return;
    this.#hasToldTooOld = true;
    const { protocol } = this.#ledger;
    this.#turn.tell({ type: 'too-old', height: this.height + 1, protocol });
  }

  /** Tells the replica when work begins or ends. */
  #settleWork(): void {
    this.#intake.expire(this.#turn);
    const { mempool } = this.#intake;
    while (!this.#decider.isStopped && mempool.hasWork !== this.#hasToldWork) {
      this.#hasToldWork = mempool.hasWork;
      if (this.#hasToldWork) this.#armForward();
      this.#decider.drive(this.#turn, { type: 'work', isWaiting: this.#hasToldWork });
    }
  }

  /** A third of a view: its leader has time to propose what it is sent. */
  get #forwardMs(): number {
    return Math.ceil(this.#decider.status.timeoutMs / 3);
  }

  #armForward(): void {
    this.#hasForwarded = false;
    this.#turn.alarmIn(FORWARD_ALARM, this.#forwardMs);
  }

  /**
   * To the leader; when nothing comes of that, to one after the other. Perhaps nobody else knows of
   * this work: then no timeout of others ever joins that of this node, and the view never ends.
   */
  #forward(): void {
    if (!this.#intake.mempool.hasWork) return;
    this.#turn.alarmIn(FORWARD_ALARM, Math.max(REPEAT_MS, this.#forwardMs));
    if (this.#hasForwarded) return this.#intake.offer(this.#turn);
    this.#hasForwarded = true;
    const { phase, leader } = this.#decider.status;
    if (phase !== 'propose' && phase !== 'idle') return;
    const nodeId = this.custodians().nodeIds[leader];
    if (nodeId === undefined || nodeId === this.#options.self || !this.#peers.has(nodeId)) return;
    this.#intake.forward(this.#turn, nodeId);
  }

  /** The signatures in it have been verified. */
  #trust(opened: OpenedBlock): void {
    for (const digest of opened.digests) this.#intake.trust(digest);
  }
}
