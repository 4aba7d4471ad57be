/**
 * How a node comes to the history that the others have (docs/history.md, "Catching up"), and helps
 * others to it: windows of blocks, snapshots, and the walk to where its state differs. It executes
 * nothing: the decider does.
 */
import { sameBytes } from '../bytes.ts';
import { encodeCertificate, verifyCertificate } from '../consensus/certificate.ts';
import { sha256Hex } from '../crypto/hash.ts';
import { isAegisError } from '../errors.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { MINUTE } from '../units.ts';
import { ANNOUNCE_ALARM, Announcer, QUIET_ALARM, tellTip } from './announcer.ts';
import { type Buffered, CATCH_UP_ALARM, CatchUp, firstPatience } from './catch-up.ts';
import { trailOptionsOf } from './custodian-periods.ts';
import type { Decider } from './decider.ts';
import { DivergenceWalk, LastStates, WALK_ALARM } from './divergence-walk.ts';
import type { Intake } from './intake.ts';
import type { Ledger } from './ledger.ts';
import { LIMITS } from './limits.ts';
import type { Announcement, ChainMessage } from './messages.ts';
import { decodeName } from './ref.ts';
import { heightKey, META, readBase, type SortedRows, TABLES } from './rows.ts';
import { recoverLeaders } from './seat.ts';
import { SERVE_ALARM, Serving } from './serving.ts';
import type { Manifest } from './snapshot.ts';
import {
  type FetchedSnapshot,
  SNAPSHOT_ALARM,
  type SnapshotAnswer,
  SnapshotFetch,
} from './snapshot-fetch.ts';
import { installSnapshot } from './snapshot-install.ts';
import { SnapshotOffers } from './snapshot-offers.ts';
import type { StateTree } from './state-tree.ts';
import type { Turn } from './turn.ts';
import type { BlockWindow, ChainDeps, ChainOptions } from './types.ts';
import { firstOf, lastOf } from './window.ts';

const APPLY_ALARM = 'apply';

/** A node without blocks takes a snapshot when it would have to execute so many. */
const FIRST_LAG = 256;
/** So does one that lags so far behind when it starts. */
const LARGE_LAG = 10_000;
/** When no snapshot could be had, blocks are taken for so long. */
const RETRY_MS = MINUTE / 2;
/** Windows that one step takes, so that steps stay short. */
const APPLY_WINDOWS = 1;

export type SyncMessageOf<T extends ChainMessage['type']> = Extract<ChainMessage, { type: T }>;

export interface SyncDeps extends Pick<ChainDeps, 'scheme' | 'sets' | 'schemeOf'> {
  readonly ledger: Ledger;
  readonly decider: Decider;
  readonly intake: Intake;
  readonly peers: ReadonlySet<string>;
  /** Y4: the ledger has another state. */
  restarted(): void;
}

export class Sync {
  readonly #options: ChainOptions;
  readonly #deps: SyncDeps;
  readonly #patience = firstPatience();
  readonly #catchUp = new CatchUp(this.#patience);
  readonly #serving = new Serving();
  readonly #announcer: Announcer;
  readonly #offers: SnapshotOffers;
  readonly #fetch: SnapshotFetch;
  readonly #states = new LastStates();
  /** Y5: headers of the heights at which snapshots are made. */
  readonly #headers = new Map<number, Uint8Array>();
  readonly #conflicts = new Set<number>();
  /** The last height whose certificate is here: what others can get. */
  #shown: Announcement;
  #base: number;
  #walk: DivergenceWalk | undefined;
  /** The operator wants the state to be taken anew. */
  #isForced = false;
  #isAtStart = true;
  /** Blocks are taken until then. */
  #noSnapshotUntil = 0;
  #turn!: Turn;

  constructor(options: ChainOptions, deps: SyncDeps, rows: SortedRows) {
    const { ledger } = deps;
    this.#options = options;
    this.#deps = deps;
    this.#announcer = new Announcer(ledger);
    this.#base = readBase(rows.meta.get(META.base));
    for (const { key, value } of rows.headers) this.#headers.set(Number(key), value);
    this.#offers = new SnapshotOffers((height) => this.#headerOf(height));
    const trail = { ...trailOptionsOf(options, deps), patience: this.#patience };
    this.#fetch = new SnapshotFetch(trail, {
      lied: (peer, what, height) => this.#lied(peer, what, height),
      begun: (height, from) => this.#turn.tell({ type: 'snapshot', state: 'begun', height, from }),
    });
    const { height, digest } = ledger.tip;
    this.#shown = { type: 'announce', height, digest, base: this.#base, snapshot: 0 };
    if (ledger.certificate?.height !== height) this.#shown = { ...this.#shown, height: 0 };
    this.#states.add(height, ledger.tree);
  }

  get #height(): number {
    return this.#deps.ledger.tip.height;
  }

  /** Heights that others have said to be final and this node lacks. */
  get lag(): number {
    return Math.max(0, this.#catchUp.target - this.#height);
  }

  /** Z2: the lowest height whose block is kept. */
  get base(): number {
    return this.#base;
  }

  /** Y5: the latest header that every node keeps; undefined: the cluster is too young. */
  get checkpoint(): Checkpoint | undefined {
    const last = [...this.#headers].at(-1);
    return last === undefined ? undefined : { height: last[0], digest: sha256Hex(last[1]) };
  }

  headerOf(height: number): Uint8Array | undefined {
    return this.#headerOf(height);
  }

  start(turn: Turn): void {
    this.#turn = turn;
    this.#offer();
  }

  peerUp(turn: Turn, nodeId: string): void {
    if (this.#shown.height > 0) tellTip(turn, [nodeId], this.#announcement);
  }

  peerDown(nodeId: string): void {
    this.#catchUp.forget(nodeId);
    this.#fetch.forget(nodeId);
  }

  /** @returns whether the alarm is one of these. */
  alarm(turn: Turn, key: string): boolean {
    this.#turn = turn;
    switch (key) {
      case ANNOUNCE_ALARM:
        this.#announcer.announce(turn, this.#announcement, this.#listeners);
        return true;
      case QUIET_ALARM:
        this.#announcer.quiet(turn, this.#announcement, this.#listeners);
        return true;
      case APPLY_ALARM:
        this.#apply();
        return true;
      case SERVE_ALARM:
        this.#serving.next(turn);
        return true;
      // Each step looks after what is wanted.
      case CATCH_UP_ALARM:
      case SNAPSHOT_ALARM:
      case WALK_ALARM:
        return true;
      default:
        return false;
    }
  }

  /** Blocks up to `height` are final elsewhere. */
  behind(height: number, digest: string | undefined, from: readonly string[]): void {
    for (const nodeId of from) this.#catchUp.note(nodeId, height);
    if (digest !== undefined) this.#catchUp.hint(height, digest);
  }

  /** A block has become final, and its state is that of the ledger. */
  finalised(turn: Turn): void {
    this.#turn = turn;
    const { tip, tree, certificate, registers } = this.#deps.ledger;
    const { height, digest, headerBytes } = tip;
    this.#states.add(height, tree);
    const { snapshotHeights } = registers.parameters;
    const isDue = snapshotHeights > 0 && height % snapshotHeights === 0;
    const isMark = isDue || height === this.#options.checkpoint?.height;
    if (isMark && headerBytes !== undefined) {
      this.#headers.set(height, headerBytes);
      turn.persist(TABLES.headers, heightKey(height), headerBytes);
    }
    if (certificate?.height !== height) return;
    this.#shown = { ...this.#shown, height, digest };
    this.#offers.moved();
    if (isDue || this.#leavesGap || this.#offers.isCostly) this.#offer();
    this.#announcer.moved(turn, this.#announcement, this.#listeners);
  }

  /** Y7: a final block with this state root has led to another state here. */
  diverged(stateRoot: Uint8Array, ours: StateTree): void {
    this.#walk = new DivergenceWalk(this.#height + 1, ours, stateRoot, this.#patience);
  }

  /** O24: from the next question on. */
  takeTime(answerMs: number): void {
    this.#patience.answerMs = answerMs;
  }

  /** Z2. */
  pruned(base: number): void {
    this.#base = Math.max(base, this.#base);
    if (this.#leavesGap) this.#offer();
  }

  /** Whether a new node would find neither the blocks after the latest snapshot nor a later one. */
  get #leavesGap(): boolean {
    return this.#base > this.#offers.latest + 1;
  }

  /** Y7: the operator wants the state of the others in the place of the own one. */
  takeAnew(): void {
    this.#isForced = true;
    this.#noSnapshotUntil = 0;
  }

  /** Y2: what a peer has sent cannot be read, or is not signed by whom it says. */
  unreadable(turn: Turn, from: string): void {
    this.#turn = turn;
    if (!this.#catchUp.unreadable(from, turn.now)) return;
    this.#lied(from, 'what it sends cannot be read, or has a false signature', this.#height + 1);
  }

  rows(turn: Turn, to: string, from: number, window: BlockWindow | undefined): void {
    this.#serving.rows(turn, to, from, window);
  }

  announced(turn: Turn, from: string, { height, base, snapshot }: Announcement): void {
    this.#catchUp.note(from, height, base);
    if (snapshot !== undefined) this.#fetch.note(from, snapshot);
    if (height < this.#shown.height) tellTip(turn, [from], this.#announcement);
  }

  /** An undecided block that a peer looks for. */
  candidate(turn: Turn, to: string, block: Uint8Array): void {
    this.#serving.candidate(turn, to, block);
  }

  /** It sent the undecided block of the height. */
  answered(from: string, height: number): void {
    this.#catchUp.answered(from, height);
  }

  /** @returns whether a final block was wanted. */
  want(turn: Turn, from: string, want: SyncMessageOf<'want'>): boolean {
    if (want.from > this.#height) return false;
    if (want.from < this.#base || want.from > this.#shown.height) {
      // Z2: it has heard of an earlier time.
      tellTip(turn, [from], this.#announcement);
      return true;
    }
    // E1: windows end with each epoch.
    const end = this.#deps.ledger.handovers.find(({ height }) => height >= want.from)?.height;
    const last = want.from + LIMITS.windowBlocks - 1;
    const upTo = Math.min(want.to, this.#shown.height, last, end ?? last);
    this.#serving.serve(turn, from, want.from, upTo);
    return true;
  }

  blocks(turn: Turn, from: string, { from: first, window }: SyncMessageOf<'blocks'>): void {
    this.#turn = turn;
    const fault = this.#catchUp.take(from, first, window, turn.now);
    if (fault !== undefined) this.#lied(from, fault, first);
    this.#apply();
  }

  /** Questions and answers about snapshots and states. */
  message(turn: Turn, from: string, message: Extract<ChainMessage, { readonly height: number }>) {
    this.#turn = turn;
    switch (message.type) {
      case 'snapshot-want':
      case 'page-want':
      case 'part-want':
        return this.#offers.answer(turn, this.#serving, from, message);
      case 'snapshot':
      case 'page':
      case 'part':
        return this.#takeSnapshot(from, message);
      case 'node-want': {
        const { height, prefix } = message;
        return this.#serving.answer(turn, from, (now) => {
          const node = this.#states.node(height, prefix);
          now.send([from], { type: 'node', height, prefix, node });
          return node?.type === 'leaf' ? node.value.length : 0;
        });
      }
      case 'node':
        return this.#takeNode(from, message);
      default:
    }
  }

  /** Asks for what lacks. */
  pump(turn: Turn): void {
    this.#turn = turn;
    const { decider, peers } = this.#deps;
    if (this.#walk !== undefined) this.#walk.pump(turn, peers);
    if (this.#shouldTakeSnapshot()) this.#fetch.start();
    if (this.#fetch.isOn) {
      if (this.#isPastSnapshot) this.#fetch.stop(turn);
      else if (!this.#fetch.pump(turn, peers)) this.#giveUpSnapshot();
    }
    if (this.#takesSnapshot) return this.#catchUp.pause(turn);
    if (decider.isStopped) return;
    if (this.lag === 0 && this.#catchUp.target > 0) this.#isAtStart = false;
    for (const nodeId of this.#catchUp.pump(turn, this.#height, peers)) {
      turn.tell({ type: 'slow', nodeId, height: this.#height + 1 });
    }
  }

  /** Y4, Y6. */
  #shouldTakeSnapshot(): boolean {
    const { decider, peers } = this.#deps;
    if (this.#fetch.isOn || this.#turn.now < this.#noSnapshotUntil) return false;
    const best = this.#fetch.best(peers, this.#turn.now);
    if (best === 0) return false;
    if (this.#isForced) return true;
    const lag = best - this.#height;
    if (lag <= 0 || decider.isStopped) return false;
    const next = this.#height + 1;
    if (!this.#catchUp.isServed(next, peers)) return true;
    if (this.#options.snapshots === 'never') return false;
    return (this.#height === 0 && lag >= FIRST_LAG) || (this.#isAtStart && lag >= LARGE_LAG);
  }

  /** Blocks have led as far meanwhile. */
  get #isPastSnapshot(): boolean {
    const { trustedHeight } = this.#fetch;
    return trustedHeight > 0 && trustedHeight <= this.#height && !this.#isForced;
  }

  /**
   * Whether a snapshot takes the place of blocks. Until it is shown to lead here from what this
   * node trusts, blocks are taken as ever: anybody can offer one, and answer slowly.
   */
  get #takesSnapshot(): boolean {
    const { trustedHeight } = this.#fetch;
    if (!this.#fetch.isOn || trustedHeight === 0) return false;
    const isFar = trustedHeight - this.#height >= FIRST_LAG;
    return this.#isForced || isFar || !this.#catchUp.isServed(this.#height + 1, this.#deps.peers);
  }

  /** Y6: when no snapshot can be had, the blocks are asked for. */
  #giveUpSnapshot(): void {
    const turn = this.#turn;
    this.#fetch.stop(turn);
    this.#noSnapshotUntil = turn.now + RETRY_MS;
    turn.alarmIn(SNAPSHOT_ALARM, RETRY_MS);
    turn.tell({ type: 'snapshot', state: 'failed', height: this.#height });
  }

  #takeSnapshot(from: string, message: SnapshotAnswer): void {
    const fetched = this.#fetch.take(from, message, this.#turn.now);
    if (fetched !== undefined) this.#install(fetched);
  }

  #install(fetched: FetchedSnapshot): void {
    const turn = this.#turn;
    const { ledger, decider, intake } = this.#deps;
    const { height } = fetched.manifest;
    // Y7: a node that has stopped since then waits for its operator.
    const isWanted = height > this.#height && !decider.isStopped;
    if (!isWanted && !this.#isForced) return this.#fetch.stop(turn);
    try {
      const certificate = installSnapshot(turn, this.#options, ledger, fetched);
      const rows = new Map([[META.leaders, fetched.manifest.leaders]]);
      const leaders = recoverLeaders(this.#options, ledger.custodians, rows);
      this.#walk = undefined;
      this.#isForced = false;
      // What is decided waits no more before the next height begins, which may ask for a block.
      intake.rebase(turn, height);
      decider.restart(turn, leaders, certificate);
    } catch (error) {
      if (!isAegisError(error)) throw error;
      return this.#fetch.reject(error.message, turn.now);
    }
    this.#fetch.stop(turn);
    this.#keepCheckpoint(fetched.manifest);
    this.#base = height + 1;
    this.#offers.clear();
    this.#deps.restarted();
    this.finalised(turn);
    this.#offer();
    turn.tell({ type: 'snapshot', state: 'installed', height, from: fetched.source });
    turn.alarmIn(APPLY_ALARM, 0);
  }

  /** Y5: so that others can be shown it, too. */
  #keepCheckpoint({ height: tip, checkpoint: header }: Manifest): void {
    const height = this.#options.checkpoint?.height;
    if (header === undefined || height === undefined || height >= tip) return;
    this.#headers.set(height, header);
    this.#turn.persist(TABLES.headers, heightKey(height), header);
  }

  /** Takes fetched windows in the order of their heights. */
  #apply(): void {
    const { decider } = this.#deps;
    for (let count = 0; count < APPLY_WINDOWS; ) {
      const next = this.#height + 1;
      const isOff = decider.isStopped || this.#takesSnapshot;
      const found = isOff ? undefined : this.#catchUp.next(next);
      if (found === undefined) return;
      const fault = this.#faultOf(found);
      if (fault !== undefined) {
        this.#catchUp.punish(found.peer, this.#turn.now);
        this.#lied(found.peer, fault, next);
        continue;
      }
      decider.takeWindow(this.#turn, found.window);
      if (this.#height < next) return;
      count += 1;
    }
    this.#turn.alarmIn(APPLY_ALARM, 0);
  }

  /** Y1: what is wrong with a window that has the next height; undefined: it is final. */
  #faultOf({ window, peer }: Buffered): string | undefined {
    const { tip, custodians } = this.#deps.ledger;
    const at = tip.height + 1 - firstOf(window);
    const next = window.blocks[at]!.block.header;
    const isLast = lastOf(window) === tip.height + 1;
    if (!isLast && !sameBytes(next.custodians, custodians.digest)) {
      return 'it goes on after the end of an epoch';
    }
    const { clusterId, checkpoint } = this.#options;
    const marked = checkpoint && window.blocks[checkpoint.height - firstOf(window)]?.block;
    if (marked !== undefined && marked.digest !== checkpoint?.digest) {
      return 'its history does not go through the checkpoint';
    }
    const { certificate } = window;
    const holds = verifyCertificate(certificate, this.#deps.scheme, clusterId);
    const previous = Buffer.from(next.previous).toString('hex');
    if (previous === tip.digest) return holds ? undefined : 'its certificate does not hold';
    if (holds) this.#conflict(peer, previous, encodeCertificate(certificate));
    return 'it has forked from the final blocks';
  }

  /** Y3: evidence, and never a rollback. */
  #conflict(from: string, theirs: string, certificate: Uint8Array): void {
    const { height, digest: ours } = this.#deps.ledger.tip;
    if (this.#conflicts.has(height) || this.#conflicts.size >= LIMITS.conflicts) return;
    this.#conflicts.add(height);
    this.#turn.persist(TABLES.conflicts, heightKey(height), certificate);
    this.#turn.tell({ type: 'conflict', height, ours, theirs, from });
  }

  #takeNode(from: string, { height, prefix, node }: SyncMessageOf<'node'>): void {
    const walk = this.#walk;
    const { decider } = this.#deps;
    const { divergence } = decider;
    if (walk?.height !== height || divergence === undefined) return;
    const step = walk.take(from, prefix, node);
    if (step.type === 'lie') this.#lied(from, 'it sends a false node of the state', height);
    if (step.type !== 'found') return;
    this.#walk = undefined;
    const { key, ours, theirs } = step.difference;
    const path =
      decodeName(this.#options.genesis.names, theirs) ??
      decodeName(this.#options.genesis.names, ours);
    decider.learnDivergence(this.#turn, { ...divergence, key, path });
  }

  #offer(): void {
    const { ledger, decider } = this.#deps;
    if (decider.isStopped) return;
    this.#offers.add(ledger, decider.leaders);
  }

  #lied(nodeId: string, what: string, height: number): void {
    this.#turn.tell({ type: 'liar', nodeId, what, height });
  }

  #headerOf(height: number): Uint8Array | undefined {
    const handover = this.#deps.ledger.handovers.find((one) => one.height === height);
    return this.#headers.get(height) ?? handover?.header;
  }

  get #announcement(): Announcement {
    return { ...this.#shown, base: this.#base, snapshot: this.#offers.latest };
  }

  get #listeners() {
    const knownHeight = (peer: string): number => this.#catchUp.knownHeight(peer);
    return { peers: this.#deps.peers, knownHeight };
  }
}
