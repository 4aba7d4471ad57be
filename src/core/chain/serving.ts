/**
 * Answers peers that want blocks: final ones from the owner's store, in bounded windows, and no
 * more bytes a second than leave the votes their share of the thread and of the line.
 */
import { SECOND } from '../units.ts';
import { LIMITS } from './limits.ts';
import type { Turn } from './turn.ts';
import type { BlockWindow } from './types.ts';

export const SERVE_ALARM = 'serve';

/** Half of the time after which a block is asked for again. */
const CANDIDATE_MS = 250;
/** What an answer costs at least, in bytes of the allowance. */
const QUESTION_BYTES = 4096;
/** Answers that have been saved up while nobody asked, in time. */
const SAVED_MS = 50;

/** Answers when its turn has come. @returns what that costs, in bytes. */
type Job = (turn: Turn) => number;

export class Serving {
  /** Windows that wait or are being read, by peer; first asked, first served. */
  readonly #under = new Map<string, number>();
  /** The same of what is at hand. */
  readonly #answers = new Map<string, number>();
  readonly #waiting: Job[] = [];
  /** Until then the allowance is used up. */
  #busyUntil = 0;
  /** When a peer was sent an undecided block. */
  readonly #candidates = new Map<string, number>();

  /** @returns whether the window will be read. */
  serve(turn: Turn, to: string, from: number, upTo: number): boolean {
    const under = this.#under.get(to) ?? 0;
    if (under >= LIMITS.servingPerPeer) return false;
    this.#under.set(to, under + 1);
    this.#waiting.push((now) => {
      now.tell({ type: 'serve', to, from, upTo });
      return QUESTION_BYTES;
    });
    this.next(turn);
    return true;
  }

  /**
   * Something that is at hand: made when its turn has come, since making it costs as well. Whoever
   * asks for more at a time than those who follow the rules do is not answered.
   */
  answer(turn: Turn, to: string, job: Job): void {
    const count = this.#answers.get(to) ?? 0;
    if (count >= LIMITS.partsAtOnce) return;
    this.#answers.set(to, count + 1);
    this.#waiting.push((now) => {
      const rest = this.#answers.get(to)! - 1;
      if (rest > 0) this.#answers.set(to, rest);
      else this.#answers.delete(to);
      return Math.max(QUESTION_BYTES, job(now));
    });
    this.next(turn);
  }

  /** Answers what waits, as far as the allowance goes. */
  next(turn: Turn): void {
    while (this.#waiting.length > 0) {
      if (this.#busyUntil > turn.now) {
        turn.alarmIn(SERVE_ALARM, Math.ceil(this.#busyUntil - turn.now));
        return;
      }
      this.#spend(turn, this.#waiting.shift()!(turn));
    }
  }

  /** Takes bytes from the allowance. */
  #spend(turn: Turn, bytes: number): void {
    const ms = (bytes * SECOND) / LIMITS.servedBytesPerSecond;
    this.#busyUntil = Math.max(this.#busyUntil, turn.now - SAVED_MS) + ms;
  }

  /** An undecided block, not more often than somebody who follows the rules asks for it. */
  candidate(turn: Turn, to: string, block: Uint8Array): void {
    const last = this.#candidates.get(to) ?? -CANDIDATE_MS;
    if (turn.now >= last && turn.now - last < CANDIDATE_MS) return;
    this.#candidates.set(to, turn.now);
    turn.send([to], { type: 'candidate', block });
  }

  /**
   * What the store had from a height on. What it could not read, or has pruned since it was asked
   * (Z2), is no answer: it is asked of another.
   */
  rows(turn: Turn, to: string, from: number, window: BlockWindow | undefined): void {
    const under = (this.#under.get(to) ?? 1) - 1;
    if (under > 0) this.#under.set(to, under);
    else this.#under.delete(to);
    const bytes = window?.blocks.reduce((sum, block) => sum + block.length, 0) ?? 0;
    this.#spend(turn, bytes);
    if (window !== undefined) turn.send([to], { type: 'blocks', from, window });
    this.next(turn);
  }
}
