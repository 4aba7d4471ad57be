/** Answers peers that want blocks: final ones from the owner's store, in bounded windows. */
import { LIMITS } from './limits.ts';
import type { Turn } from './turn.ts';
import type { FinalBlock } from './types.ts';

/** Half of the time after which a block is asked for again. */
const CANDIDATE_MS = 250;

export class Serving {
  /** Windows that are being read, by peer. */
  readonly #windows = new Map<string, number>();
  /** When a peer was sent an undecided block. */
  readonly #candidates = new Map<string, number>();

  /** @returns whether the window is being read. */
  serve(turn: Turn, to: string, from: number, upTo: number): boolean {
    const under = this.#windows.get(to) ?? 0;
    if (under >= LIMITS.servingPerPeer) return false;
    this.#windows.set(to, under + 1);
    turn.tell({ type: 'serve', to, from, upTo: Math.min(upTo, from + LIMITS.windowBlocks - 1) });
    return true;
  }

  /** An undecided block, not more often than somebody who follows the rules asks for it. */
  candidate(turn: Turn, to: string, block: Uint8Array): void {
    const last = this.#candidates.get(to) ?? -CANDIDATE_MS;
    if (turn.now >= last && turn.now - last < CANDIDATE_MS) return;
    this.#candidates.set(to, turn.now);
    turn.send([to], { type: 'candidate', block });
  }

  /** What the store had: as much of it as fits into a message; the rest will be asked for again. */
  rows(turn: Turn, to: string, blocks: readonly FinalBlock[]): void {
    const under = (this.#windows.get(to) ?? 1) - 1;
    if (under > 0) this.#windows.set(to, under);
    else this.#windows.delete(to);
    let bytes = 0;
    const end = blocks.findIndex(({ block, certificate }, at) => {
      bytes += block.length + certificate.length;
      return at > 0 && bytes > LIMITS.windowBytes;
    });
    const some = blocks.slice(0, end === -1 ? LIMITS.windowBlocks : end);
    if (some.length > 0) turn.send([to], { type: 'blocks', blocks: some });
  }
}
