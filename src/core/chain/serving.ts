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

interface Want {
  readonly to: string;
  readonly from: number;
  readonly upTo: number;
}

export class Serving {
  /** Windows that wait or are being read, by peer; first asked, first served. */
  readonly #under = new Map<string, number>();
  #waiting: Want[] = [];
  /** Until then the allowance is used up. */
  #busyUntil = 0;
  /** When a peer was sent an undecided block. */
  readonly #candidates = new Map<string, number>();

  /** @returns whether the window will be read. */
  serve(turn: Turn, to: string, from: number, upTo: number): boolean {
    const under = this.#under.get(to) ?? 0;
    if (under >= LIMITS.servingPerPeer) return false;
    this.#under.set(to, under + 1);
    this.#waiting.push({ to, from, upTo });
    this.next(turn);
    return true;
  }

  /** Reads what waits, as far as the allowance goes. */
  next(turn: Turn): void {
    while (this.#waiting.length > 0) {
      if (this.#busyUntil > turn.now) {
        turn.alarmIn(SERVE_ALARM, Math.ceil(this.#busyUntil - turn.now));
        return;
      }
      const { to, from, upTo } = this.#waiting.shift()!;
      this.spend(turn, QUESTION_BYTES);
      turn.tell({ type: 'serve', to, from, upTo });
    }
  }

  /** Takes bytes from the allowance. */
  spend(turn: Turn, bytes: number): void {
    const ms = (bytes * SECOND) / LIMITS.servedBytesPerSecond;
    this.#busyUntil = Math.max(this.#busyUntil, turn.now - SAVED_MS) + ms;
  }

  /** Whether something that is at hand may be sent now. */
  isFree(turn: Turn): boolean {
    return this.#busyUntil <= turn.now;
  }

  /** An undecided block, not more often than somebody who follows the rules asks for it. */
  candidate(turn: Turn, to: string, block: Uint8Array): void {
    const last = this.#candidates.get(to) ?? -CANDIDATE_MS;
    if (turn.now >= last && turn.now - last < CANDIDATE_MS) return;
    this.#candidates.set(to, turn.now);
    turn.send([to], { type: 'candidate', block });
  }

  /** What the store had from a height on. */
  rows(turn: Turn, to: string, from: number, window: BlockWindow | undefined): void {
    const under = (this.#under.get(to) ?? 1) - 1;
    if (under > 0) this.#under.set(to, under);
    else this.#under.delete(to);
    const bytes = window?.blocks.reduce((sum, block) => sum + block.length, 0) ?? 0;
    this.spend(turn, bytes);
    turn.send([to], { type: 'blocks', from, window });
    this.next(turn);
  }
}
