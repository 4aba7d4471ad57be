/**
 * Y2: gets final blocks that this node lacks: windows of heights, several at a time from several
 * peers, in any order, and again from another peer when one is silent or lies. It looks at whether
 * a window hangs together; whether it is final, and what its blocks do, is for its owner, who takes
 * windows in the order of their heights and says which were bad.
 */
import { type Instant, instant, MINUTE, SECOND } from '../units.ts';
import { LIMITS } from './limits.ts';
import type { Turn } from './turn.ts';
import { bytesOf, type FetchedWindow, firstOf, lastOf, windowFault } from './window.ts';

export const CATCH_UP_ALARM = 'catch-up';

/** A peer has so long to answer. */
const ANSWER_MS = 3 * SECOND;

/** So long a peer may take to answer; whoever has made it may change it. */
export interface Patience {
  answerMs: number;
}

export const firstPatience = (): Patience => ({ answerMs: ANSWER_MS });
/** How long a peer that was silent, or lied, is asked after others only. */
const SILENT_PENALTY_MS = 10 * SECOND;
const LIE_PENALTY_MS = 5 * MINUTE;
/** Whoever has lied is not asked at all for so long: what it sends costs more than the question. */
const LIE_PAUSE_MS = 2 * SECOND;
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

export interface Buffered {
  readonly window: FetchedWindow;
  readonly peer: string;
}

/** What a peer says that it has. It may lie: that costs a question. */
interface Claim {
  readonly height: number;
  /** Z2. */
  readonly base: number;
}

export class CatchUp {
  readonly #claims = new Map<string, Claim>();
  /** Peers that are asked only when there is no other, until then. */
  readonly #penalties = new Map<string, number>();
  readonly #silences = new Map<string, number>();
  /** By their first height. */
  readonly #buffer = new Map<number, Buffered>();
  #requests: Request[] = [];
  /** Digest of the block at a height, where consensus knows it. */
  #hint: { readonly height: number; readonly digest: string } | undefined;
  #isArmed = false;
  readonly #patience: Readonly<Patience>;

  constructor(patience: Readonly<Patience> = firstPatience()) {
    this.#patience = patience;
  }

  /** The greatest height that a peer claims to have final. */
  get target(): number {
    let target = 0;
    for (const { height } of this.#claims.values()) target = Math.max(target, height);
    return target;
  }

  knownHeight(peer: string): number {
    return this.#claims.get(peer)?.height ?? 0;
  }

  /** Whether one of the peers says that it keeps the block of the height. */
  isServed(height: number, peers: ReadonlySet<string>): boolean {
    return [...peers].some((peer) => this.#has(peer, height));
  }

  /** @param base undefined: it has not said. */
  note(peer: string, height: number, base?: number): void {
    const known = this.#claims.get(peer);
    const from = base ?? known?.base ?? 1;
    this.#claims.set(peer, { height: Math.max(height, known?.height ?? 0), base: from });
    // Z2: what it has pruned since it was asked, it cannot send.
    this.#requests = this.#requests.filter((one) => one.peer !== peer || one.from >= from);
  }

  hint(height: number, digest: string): void {
    this.#hint = { height, digest };
  }

  forget(peer: string): void {
    this.#claims.delete(peer);
    this.#silences.delete(peer);
    this.#requests = this.#requests.filter((request) => request.peer !== peer);
  }

  /**
   * The answer of a peer to what it was asked for; nothing else is taken.
   * @returns what is wrong with it; undefined: nothing.
   */
  take(
    peer: string,
    from: number,
    window: FetchedWindow | undefined,
    now: Instant,
  ): string | undefined {
    const request = this.#requests.find((one) => one.peer === peer && one.from === from);
    if (request === undefined) return undefined;
    this.#silences.delete(peer);
    this.#requests = this.#requests.filter((other) => other !== request);
    if (window === undefined) {
      this.#claims.delete(peer);
      this.punish(peer, now);
      return 'it claims blocks that it does not have';
    }
    const isAsked = firstOf(window) === from;
    const fault = isAsked ? windowFault(window) : 'it sends other blocks than those asked for';
    if (fault === undefined) this.#buffer.set(from, { window, peer });
    else this.punish(peer, now);
    return fault;
  }

  /** It sent the undecided block of the height: the question is answered. */
  answered(peer: string, height: number): void {
    this.#silences.delete(peer);
    this.#requests = this.#requests.filter(
      ({ from, to, peer: asked }) => asked !== peer || height < from || height > to,
    );
  }

  /** What a peer has sent cannot be read. @returns whether it was asked for something. */
  unreadable(peer: string, now: Instant): boolean {
    if (!this.#requests.some((request) => request.peer === peer)) return false;
    this.punish(peer, now);
    return true;
  }

  /** A window with the block of this height, if one is here, and who sent it. */
  next(height: number): Buffered | undefined {
    let found: Buffered | undefined;
    for (const [from, buffered] of this.#buffer) {
      if (lastOf(buffered.window) < height) this.#buffer.delete(from);
      else if (from <= height) found ??= buffered;
    }
    return found;
  }

  /** Y2: a liar is asked last, and nothing else that it sent is trusted either. */
  punish(peer: string, now: Instant): void {
    for (const [from, buffered] of this.#buffer) {
      if (buffered.peer === peer) this.#buffer.delete(from);
    }
    this.#requests = this.#requests.filter((request) => request.peer !== peer);
    this.#delay(peer, now + LIE_PENALTY_MS);
  }

  /** Nothing is fetched as long as something else takes its place. */
  pause(turn: Turn): void {
    this.#requests = [];
    this.#buffer.clear();
    this.#arm(turn, false);
  }

  /**
   * Asks for what lacks, and arms the alarm while something does.
   * @returns peers that have been silent for so long that what they claim is not believed.
   */
  pump(turn: Turn, tip: number, peers: ReadonlySet<string>): string[] {
    const slow = this.#expire(turn.now, tip);
    this.#takeAway(peers, turn.now);
    const target = Math.min(this.target, tip + AHEAD);
    const isFull = this.#bufferedBytes > LIMITS.fetchedBytes;
    let isStuck = false;
    for (const [from, to] of this.#gaps(tip + 1, target)) {
      if (this.#requests.length >= LIMITS.windowsAtOnce) break;
      if (isFull && from > tip + 1) break;
      const peer = this.#choose(from, peers, turn.now);
      if (peer === undefined) {
        isStuck = this.#requests.length === 0;
        break;
      }
      const last = Math.min(to, this.knownHeight(peer));
      const deadline = turn.now + this.#patience.answerMs;
      this.#requests.push({ from, to: last, peer, deadline });
      const digest = this.#hint?.height === from ? this.#hint.digest : undefined;
      turn.send([peer], { type: 'want', from, to: last, digest });
    }
    this.#arm(turn, isStuck);
    return slow;
  }

  get #bufferedBytes(): number {
    let bytes = 0;
    for (const { window } of this.#buffer.values()) bytes += bytesOf(window);
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
  #expire(now: Instant, tip: number): string[] {
    const slow: string[] = [];
    const late = this.#requests.filter(({ deadline, to }) => deadline <= now && to > tip);
    for (const peer of new Set(late.map((request) => request.peer))) {
      this.#delay(peer, now + SILENT_PENALTY_MS);
      const silences = (this.#silences.get(peer) ?? 0) + 1;
      this.#silences.set(peer, silences);
      // It may have claimed what it does not have.
      if (silences < SILENCES_MAX) continue;
      this.forget(peer);
      slow.push(peer);
    }
    this.#requests = this.#requests.filter(({ to, deadline }) => to > tip && deadline > now);
    if (this.#hint !== undefined && this.#hint.height <= tip) this.#hint = undefined;
    return slow;
  }

  /**
   * What was asked of a peer under a penalty, since nobody else claimed to have it, is asked of
   * another as soon as one has it: who claims much and sends nothing must not hold up the rest.
   */
  #takeAway(peers: ReadonlySet<string>, now: Instant): void {
    if (!this.#requests.some(({ peer }) => this.#isPunished(peer, now))) return;
    const others = [...peers].filter((peer) => !this.#isPunished(peer, now));
    this.#requests = this.#requests.filter(
      ({ peer, from }) =>
        !this.#isPunished(peer, now) || !others.some((other) => this.#has(other, from)),
    );
  }

  #has(peer: string, height: number): boolean {
    const claim = this.#claims.get(peer);
    return claim !== undefined && claim.base <= height && height <= claim.height;
  }

  #isPunished(peer: string, now: Instant): boolean {
    return (this.#penalties.get(peer) ?? 0) > now;
  }

  #delay(peer: string, until: number): void {
    this.#penalties.set(peer, Math.max(until, this.#penalties.get(peer) ?? 0));
  }

  /** Ranges of heights that are neither here nor asked for, each at most a window. */
  *#gaps(first: number, last: number): Generator<readonly [number, number]> {
    const spans = [
      ...this.#requests.map(({ from, to }) => [from, to] as const),
      ...[...this.#buffer].map(([from, { window }]) => [from, lastOf(window)] as const),
    ].toSorted(([a], [b]) => a - b);
    let height = first;
    for (const [from, to] of [...spans, [last + 1, last] as const]) {
      while (height < from && height <= last) {
        const end = Math.min(height + LIMITS.windowBlocks - 1, from - 1, last);
        yield [height, end];
        height = end + 1;
      }
      height = Math.max(height, to + 1);
    }
  }

  /**
   * Of those who should have the height: without a penalty first, then who has least to do. Nobody
   * is asked for more at a time than it serves.
   */
  #choose(height: number, peers: ReadonlySet<string>, now: Instant): string | undefined {
    let best: { readonly peer: string; readonly rank: number } | undefined;
    for (const peer of this.#claims.keys()) {
      if (!peers.has(peer) || !this.#has(peer, height)) continue;
      const busy = this.#requests.filter((request) => request.peer === peer).length;
      if (busy >= LIMITS.servingPerPeer) continue;
      const penalty = Math.max(0, (this.#penalties.get(peer) ?? 0) - now);
      if (penalty > LIE_PENALTY_MS - LIE_PAUSE_MS) continue;
      const rank = penalty * LIMITS.windowsAtOnce * 2 + busy;
      if (best === undefined || rank < best.rank) best = { peer, rank };
    }
    return best?.peer;
  }
}
