/**
 * The ways in which a command ends early: Ctrl-C, SIGTERM, or a reader of standard output that has
 * gone (`aegis kb ls | head -1`). A command that holds nothing ends at once. One that asked for the
 * signal gets the chance to clean up; the second Ctrl-C ends it all the same.
 */
import { AegisError, EXIT } from '../core/errors.ts';

/**
 * npm, npx and the guard for old Nodes pass a signal on that the terminal has sent as well. What
 * comes this soon after the first is the same Ctrl-C.
 */
const ECHO_MS = 300;

/** Exit statuses by cause; a reader that has read enough is no failure. */
const EXITS = { SIGINT: EXIT.interrupted, SIGTERM: 143, SIGPIPE: EXIT.ok } as const;

type Cause = keyof typeof EXITS;

export class Interruption {
  #controller: AbortController | undefined;
  #abortedAtMs = 0;
  readonly #onSigint = (): void => this.#interrupt('SIGINT');
  readonly #onSigterm = (): void => this.#interrupt('SIGTERM');
  readonly #onOutputError = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE') throw error;
    this.#interrupt('SIGPIPE');
  };

  listen(): void {
    process.on('SIGINT', this.#onSigint).on('SIGTERM', this.#onSigterm);
    process.stdout.on('error', this.#onOutputError);
  }

  close(): void {
    process.off('SIGINT', this.#onSigint).off('SIGTERM', this.#onSigterm);
    process.stdout.off('error', this.#onOutputError);
  }

  signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  #interrupt(cause: Cause): void {
    const controller = this.#controller;
    if (controller?.signal.aborted === true) {
      const isEcho = performance.now() - this.#abortedAtMs < ECHO_MS;
      if (isEcho || cause === 'SIGPIPE') return;
    }
    // oxlint-disable-next-line unicorn/no-process-exit -- the person asked for the end
    if (!controller || controller.signal.aborted) process.exit(EXITS[cause]);
    this.#abortedAtMs = performance.now();
    controller.abort(new AegisError('INTERRUPTED', 'interrupted', { details: { cause } }));
  }
}

/** The exit status for an error: a code's own, unless a signal other than Ctrl-C caused it. */
export function exitOf(error: AegisError): number {
  const { cause } = error.details;
  return error.code === 'INTERRUPTED' && typeof cause === 'string' && cause in EXITS
    ? EXITS[cause as Cause]
    : error.exit;
}
