/** Linearizable reads: waits until the state here holds all that was final when the read began. */
import type { ChainInput, ChainOutcome } from '../chain/types.ts';
import { Waiting } from './waiting.ts';

export interface LinearReadsDeps {
  /** The last height that is final and durable here. */
  height(): number;
  submit(input: Extract<ChainInput, { type: 'read-index' }>): void;
}

export class LinearReads {
  readonly #deps: LinearReadsDeps;
  readonly #index = new Waiting<number>();
  readonly #reached = new Waiting<number>();
  #count = 0;

  constructor(deps: LinearReadsDeps) {
    this.#deps = deps;
  }

  /** @throws {AegisError} what the chain says when no quorum answers; the reason of `signal`. */
  async barrier(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#count += 1;
    const id = `read-${this.#count}`;
    const answer = this.#index.wait(id, () => true, signal);
    this.#deps.submit({ type: 'read-index', id });
    await this.reach(await answer, signal);
  }

  /** Until the block at `height` is final and durable here. Rejects with the reason of `signal`. */
  async reach(height: number, signal: AbortSignal): Promise<void> {
    if (this.#deps.height() >= height) return;
    await this.#reached.wait('', (now) => now >= height, signal);
  }

  tell(outcome: ChainOutcome): void {
    if (outcome.type === 'read-index') this.#index.tell(outcome.id, outcome.height);
    else if (outcome.type === 'read-failed') this.#index.fail(outcome.error, outcome.id);
    else if (outcome.type === 'finalised') this.#reached.tell('', outcome.height);
    else if (outcome.type === 'snapshot' && outcome.state === 'installed') {
      this.#reached.tell('', outcome.height);
    }
  }

  fail(error: Error): void {
    this.#index.fail(error);
    this.#reached.fail(error);
  }
}
