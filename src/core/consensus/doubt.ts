/**
 * Whether this node may have signed what it does not remember. A replica in doubt neither proposes,
 * votes nor times out (D4): it is one of the f faulty ones until it is not in doubt any more. Doubt
 * is about keys: another key has signed nothing that was forgotten (K1).
 */
import type { KeptDoubt } from './journal.ts';

/** K1: what the home held when the doubt began may have signed anything; other keys have not. */
export const isOfOtherKeys = ({ held }: KeptDoubt, ownKey: string | undefined): boolean =>
  ownKey !== undefined && held.length > 0 && !held.includes(ownKey);

/** K2: whether the key in force, or one that is not there, may be one that a backup has brought. */
export const isBrought = (
  { brought }: Pick<KeptDoubt, 'brought'>,
  ownKey: string | undefined,
): boolean => brought.length > 0 && (ownKey === undefined || brought.includes(ownKey));

export class Doubt {
  readonly reason: string;
  /** Tells answers from those to an earlier life's question. */
  readonly question: number;
  readonly #needed: number;
  readonly #heights = new Map<number, number>();
  /** The keys that it is about, in hex. */
  readonly #held: readonly string[];
  readonly #brought: readonly string[];
  readonly #members: string;
  #until: number | undefined;
  #floor: number;

  /**
   * @param options.members a digest of the custodians that are asked.
   * @param options.needed answers of others: n - f - 1.
   * @param options.question a number above 0 that no earlier doubt of this node has used.
   */
  constructor(
    kept: KeptDoubt,
    options: { readonly members: string; readonly needed: number; readonly question: number },
  ) {
    this.reason = kept.reason;
    this.#members = options.members;
    // E5: what other custodians have answered says nothing of votes among these.
    this.#until = kept.members === options.members ? kept.until : undefined;
    this.#floor = kept.floor;
    this.#held = kept.held;
    this.#brought = kept.brought;
    this.#needed = options.needed;
    this.question = options.question;
  }

  get kept(): KeptDoubt {
    const [until, floor, held, brought] = [this.#until, this.#floor, this.#held, this.#brought];
    return { reason: this.reason, until, members: this.#members, floor, held, brought };
  }

  /** Whether it still has to ask. */
  get isAsking(): boolean {
    return this.#until === undefined;
  }

  /**
   * One custodian's answer. The height is proven by a certificate, so that a liar cannot make the
   * doubt last.
   * @param height the first that is not final there.
   * @param ownHeight the first that is not final here.
   * @returns whether all are there now.
   */
  answer(custodian: number, height: number, ownHeight: number): boolean {
    if (!this.isAsking) return false;
    this.#heights.set(custodian, Math.max(height, this.#heights.get(custodian) ?? 0));
    return this.settle(ownHeight);
  }

  /**
   * D4: to vote at a height takes the commit certificate of the one before; among the answers is
   * one of a rule-abiding custodian that made it. So the votes in doubt are at most one height
   * above the highest working height of the answers.
   */
  settle(ownHeight: number): boolean {
    if (!this.isAsking || this.#heights.size < this.#needed) return false;
    this.#until = Math.max(ownHeight, ...this.#heights.values()) + 1;
    return true;
  }

  /** D5: something of this node has turned up that it has signed at `height`. */
  learn(height: number): void {
    this.#floor = Math.max(this.#floor, height);
  }

  /** Whether it is known that something was signed at `height` or above. */
  covers(height: number): boolean {
    return height <= this.#floor;
  }

  /**
   * Whether it ends with `finalised`: all that may have been signed lies below.
   * @param ownKey the one in force at the height after, if its secret is at hand.
   */
  isOver(finalised: number, ownKey: string | undefined): boolean {
    if (isOfOtherKeys(this.kept, ownKey)) return true;
    if (isBrought(this.kept, ownKey)) return false;
    return this.#until !== undefined && finalised >= Math.max(this.#until, this.#floor);
  }
}
