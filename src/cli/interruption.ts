/**
 * Ctrl-C. A command that holds nothing ends at once with 130. One that asked for the signal gets
 * the chance to clean up; the second Ctrl-C ends it all the same.
 */
import { AegisError, EXIT } from '../core/errors.ts';

const TERMINATED = 143;

export class Interruption {
  #controller: AbortController | undefined;
  readonly #onSigint = (): void => this.#interrupt(EXIT.interrupted);
  readonly #onSigterm = (): void => this.#interrupt(TERMINATED);

  listen(): void {
    process.on('SIGINT', this.#onSigint).on('SIGTERM', this.#onSigterm);
  }

  close(): void {
    process.off('SIGINT', this.#onSigint).off('SIGTERM', this.#onSigterm);
  }

  signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  #interrupt(exit: number): void {
    // oxlint-disable-next-line unicorn/no-process-exit -- the person asked for the end
    if (!this.#controller || this.#controller.signal.aborted) process.exit(exit);
    this.#controller.abort(new AegisError('INTERRUPTED', 'interrupted'));
  }
}
