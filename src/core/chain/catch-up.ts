/**
 * Gets final blocks that this node lacks: windows of heights, several at a time from several peers,
 * in any order, and again from another peer when one is silent or lies. It verifies nothing: the
 * owner takes the blocks in the order of their heights and says which were bad.
 */
import { type Instant, instant, MINUTE, SECOND } from '../units.ts';
import { LIMITS } from './limits.ts';
import type { FetchedBlock } from './messages.ts';
import type { Turn } from './turn.ts';

export const CATCH_UP_ALARM = 'catch-up';

/** A peer has so long to answer. */
const ANSWER_MS = 3 * SECOND;
/** How long a peer that was silent, or lied, is asked after others only. */
const SILENT_PENALTY_MS = 10 * SECOND;
const LIE_PENALTY_MS = 5 * MINUTE;
/** What a peer claims to have is believed until it has been silent so often in a row. */
const SILENCES_MAX = 5;
/** When nobody can be asked, or nobody answers. */
const PAUSE_MS = SECOND;
/** Blocks that wait for earlier ones lie within so many heights. */
const AHEAD = LIMITS.windowBlocks * LIMITS.windowsAtOnce;

interface Request {
  readonly from: number;
  readonly to: number;
  readonly peer: string;
  readonly deadline: number;
}

interface Buffered {
  readonly block: FetchedBlock;
  readonly peer: string;
}

export class CatchUp {
  /** Final heights that peers have told. A peer may lie: it costs a question. */
  readonly #heights = new Map<string, number>();
  /** Peers that are asked only when there is no other, until then. */
  readonly #penalties = new Map<string, number>();
  readonly #silences = new Map<string, number>();
  readonly #buffer = new Map<number, Buffered>();
  #requests: Request[] = [];
  /** Digest of the block at a height, where consensus knows it. */
  #hint: { readonly height: number; readonly digest: string } | undefined;
  #isArmed = false;
  /** What follows from here on is asked for when the block before is final. */
  #early: number | undefined;

  /** The greatest height that a peer claims to have final. */
  get target(): number {
    let target = 0;
    for (const height of this.#heights.values()) target = Math.max(target, height);
    return target;
  }

  knownHeight(peer: string): number {
    return this.#heights.get(peer) ?? 0;
  }

  note(peer: string, height: number): void {
    if (height > this.knownHeight(peer)) this.#heights.set(peer, height);
  }

  hint(height: number, digest: string): void {
    this.#hint = { height, digest };
  }

  forget(peer: string): void {
    this.#heights.delete(peer);
    this.#silences.delete(peer);
    this.#requests = this.#requests.filter((request) => request.peer !== peer);
  }

  /**
   * What a peer sent. Only what it was asked for is taken.
   * @param early height of a block that it left out, since that names keys which are not known here
   *   before the block before it is final (A1). That is no lie: it is asked for again then, and
   *   nothing after it until then. Who was not asked must not hold anything up.
   */
  take(peer: string, blocks: readonly FetchedBlock[], early?: number): void {
    this.#silences.delete(peer);
    const asked = this.#requests.filter((request) => request.peer === peer);
    const requestOf = (height: number) =>
      asked.find(({ from, to }) => height >= from && height <= to);
    for (const block of blocks) {
      const { height } = block.opened.block.header;
      const request = requestOf(height);
      if (request === undefined) continue;
      this.#requests = this.#requests.filter((other) => other !== request);
      if (!this.#buffer.has(height)) this.#buffer.set(height, { block, peer });
    }
    if (early === undefined || requestOf(early) === undefined) return;
    this.answered(peer, early);
    this.#early = Math.min(early, this.#early ?? Infinity);
  }

  /** It sent the undecided block of the height: the question is answered. */
  answered(peer: string, height: number): void {
    this.#silences.delete(peer);
    this.#requests = this.#requests.filter(
      ({ from, to, peer: asked }) => asked !== peer || height < from || height > to,
    );
  }

  /** The block of this height, if it is here, and who sent it. */
  next(height: number): Buffered | undefined {
    for (const other of this.#buffer.keys()) if (other < height) this.#buffer.delete(other);
    return this.#buffer.get(height);
  }

  /** The block of this height is not what its certificate says, or there is none. */
  reject(height: number, now: Instant): void {
    const bad = this.#buffer.get(height);
    this.#buffer.delete(height);
    if (bad === undefined) return;
    // What else it sent is not trusted either.
    for (const [other, { peer }] of this.#buffer) {
      if (peer === bad.peer) this.#buffer.delete(other);
    }
    this.#punish(bad.peer, now + LIE_PENALTY_MS);
  }

  /** Asks for what lacks, and arms the alarm while something does. */
  pump(turn: Turn, tip: number, peers: ReadonlySet<string>): void {
    this.#expire(turn.now, tip);
    this.#takeAway(peers, turn.now);
    if (this.#early !== undefined && this.#early <= tip + 1) this.#early = undefined;
    const target = Math.min(this.target, tip + AHEAD, (this.#early ?? Infinity) - 1);
    const isFull = this.#bufferedBytes > LIMITS.fetchedBytes;
    let isStuck = false;
    for (const [from, to] of this.#gaps(tip + 1, target)) {
      if (this.#requests.length >= LIMITS.windowsAtOnce) break;
      if (isFull && from > tip + 1) break;
      const peer = this.#choose(from, peers, turn.now);
      if (peer === undefined) {
        isStuck = true;
        break;
      }
      const last = Math.min(to, this.knownHeight(peer));
      const deadline = turn.now + ANSWER_MS;
      this.#requests.push({ from, to: last, peer, deadline });
      const digest = this.#hint?.height === from ? this.#hint.digest : undefined;
      turn.send([peer], { type: 'want', from, to: last, digest });
    }
    this.#arm(turn, isStuck);
  }

  get #bufferedBytes(): number {
    let bytes = 0;
    for (const { block } of this.#buffer.values()) bytes += block.block.length;
    return bytes;
  }

  #arm(turn: Turn, isStuck: boolean): void {
    const deadlines = this.#requests.map(({ deadline }) => deadline);
    if (isStuck) deadlines.push(turn.now + PAUSE_MS);
    if (deadlines.length === 0) {
      if (this.#isArmed) turn.alarm({ key: CATCH_UP_ALARM, at: undefined });
      this.#isArmed = false;
      return;
    }
    turn.alarm({ key: CATCH_UP_ALARM, at: instant(Math.min(...deadlines)) });
    this.#isArmed = true;
  }

  /** Requests that were not answered in time, and what is not wanted any more. */
  #expire(now: Instant, tip: number): void {
    for (const { peer, deadline, to } of this.#requests) {
      if (deadline > now || to <= tip) continue;
      this.#punish(peer, now + SILENT_PENALTY_MS);
      const silences = (this.#silences.get(peer) ?? 0) + 1;
      this.#silences.set(peer, silences);
      // It may have claimed what it does not have.
      if (silences >= SILENCES_MAX) this.forget(peer);
    }
    this.#requests = this.#requests.filter(({ to, deadline }) => to > tip && deadline > now);
    if (this.#hint !== undefined && this.#hint.height <= tip) this.#hint = undefined;
  }

  /**
   * What was asked of a peer under a penalty, since nobody else claimed to have it, is asked of
   * another as soon as one has it: who claims much and sends nothing must not hold up the rest.
   */
  #takeAway(peers: ReadonlySet<string>, now: Instant): void {
    if (!this.#requests.some(({ peer }) => this.#isPunished(peer, now))) return;
    let known = 0;
    for (const [peer, height] of this.#heights) {
      if (peers.has(peer) && !this.#isPunished(peer, now)) known = Math.max(known, height);
    }
    this.#requests = this.#requests.filter(
      ({ peer, from }) => from > known || !this.#isPunished(peer, now),
    );
  }

  #isPunished(peer: string, now: Instant): boolean {
    return (this.#penalties.get(peer) ?? 0) > now;
  }

  #punish(peer: string, until: number): void {
    this.#penalties.set(peer, Math.max(until, this.#penalties.get(peer) ?? 0));
  }

  /** Ranges of heights that are neither here nor asked for, each at most a window. */
  *#gaps(first: number, last: number): Generator<readonly [number, number]> {
    let start: number | undefined;
    for (let height = first; height <= last; height += 1) {
      const isCovered =
        this.#buffer.has(height) ||
        this.#requests.some(({ from, to }) => height >= from && height <= to);
      if (isCovered) {
        if (start !== undefined) yield [start, height - 1];
        start = undefined;
      } else {
        start ??= height;
        if (height - start + 1 === LIMITS.windowBlocks) {
          yield [start, height];
          start = undefined;
        }
      }
    }
    if (start !== undefined) yield [start, last];
  }

  /** Of those who should have the height: without a penalty first, then who has least to do. */
  #choose(height: number, peers: ReadonlySet<string>, now: Instant): string | undefined {
    let best: { readonly peer: string; readonly rank: number } | undefined;
    for (const [peer, known] of this.#heights) {
      if (known < height || !peers.has(peer)) continue;
      const busy = this.#requests.filter((request) => request.peer === peer).length;
      const penalty = Math.max(0, (this.#penalties.get(peer) ?? 0) - now);
      const rank = penalty * LIMITS.windowsAtOnce * 2 + busy;
      if (best === undefined || rank < best.rank) best = { peer, rank };
    }
    return best?.peer;
  }
}
