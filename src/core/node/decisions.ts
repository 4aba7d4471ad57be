/**
 * Statements that this node hands in, and what the custodians decide about each: by its digest.
 * It signs nothing and keeps nothing: what is handed in is durable in the chain machine.
 */
import type { ChainOutcome } from '../chain/chain.ts';
import { AegisError } from '../errors.ts';
import { timeout } from './timeout.ts';
import { Waiting } from './waiting.ts';

/** Of a statement in a final block; or, without a height, that this very node has refused it. */
export interface Decision {
  readonly height: number | undefined;
  /** Why it was refused. */
  readonly reason: string | undefined;
}

export interface HandIn {
  readonly bytes: Uint8Array;
  readonly digest: string;
  /** How it is called in errors, e.g. `the departure`. */
  readonly what: string;
}

export interface Patience {
  readonly wait: 'local' | 'final';
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export class Decisions {
  readonly #submit: (bytes: Uint8Array) => void;
  readonly #decided = new Waiting<Decision>();

  constructor(submit: (bytes: Uint8Array) => void) {
    this.#submit = submit;
  }

  /**
   * @returns the height of the block; undefined if nobody waits for it.
   * @throws {AegisError} `NOT_FINAL` when the time is over: it stays handed in. `CHECK_FAILED`.
   */
  async handIn(
    { bytes, digest, what }: HandIn,
    { wait, timeoutMs, signal }: Patience,
  ): Promise<number | undefined> {
    const until = AbortSignal.any([signal, timeout(timeoutMs)]);
    const decided = this.#decided.wait(digest, () => true, until);
    decided.catch(() => {});
    this.#submit(bytes);
    if (wait === 'local') return undefined;
    const { height, reason } = await decided.catch((error: unknown) => {
      if (!until.aborted) throw error;
      throw new AegisError('NOT_FINAL', `the custodians have not decided ${what} yet`);
    });
    if (reason === undefined) return height;
    throw new AegisError('CHECK_FAILED', `${what} is refused: ${reason}`, { details: { reason } });
  }

  tell(outcome: ChainOutcome): void {
    if (outcome.type === 'refused') {
      const { message, details } = outcome.error;
      const found = details['reason'];
      const reason = typeof found === 'string' ? found : message;
      this.#decided.tell(outcome.digest, { height: undefined, reason });
    }
    if (outcome.type !== 'finalised') return;
    const { height } = outcome;
    for (const { id, statement, result, reason } of outcome.receipts) {
      if (statement === undefined) continue;
      const why = result === 'refused' ? (reason ?? 'refused') : undefined;
      this.#decided.tell(id, { height, reason: why });
    }
  }

  /** Ends all waits. */
  fail(error: AegisError): void {
    this.#decided.fail(error);
  }
}
