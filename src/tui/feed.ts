/**
 * Follows the event stream for as long as the monitor runs, and opens it again when it ends: the
 * daemon may restart under the monitor. Draws nothing and decides nothing about the screen.
 */
import { AegisError, toAegisError } from '../core/errors.ts';
import type { ApiEvent } from './data.ts';

/** Where events come from. A new one for each attempt, as a restarted daemon has a new token. */
export interface EventSource {
  events(options: { signal: AbortSignal }): AsyncIterable<ApiEvent>;
}

export interface FeedOptions {
  open(): Promise<EventSource>;
  /** The stream has answered: data is live again. */
  connected(): void;
  event(event: ApiEvent): void;
  lost(reason: string, attempts: number, delayMs: number): void;
  readonly signal: AbortSignal;
  /** @default BACKOFF */
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number };
  /** @default SILENCE_MS */
  readonly silenceMs?: number;
}

/** A loopback socket is cheap to try; 5 s is as long as a person wants to wait for it. */
const BACKOFF = { firstMs: 250, maxMs: 5000 } as const;
/** Three heartbeats. A stream that says nothing for this long is cut and opened again. */
const SILENCE_MS = 15_000;

/** Resolves when the signal aborts. Never rejects. */
export async function follow(options: FeedOptions): Promise<void> {
  const { signal } = options;
  const { firstMs, maxMs } = options.backoff ?? BACKOFF;
  for (let attempts = 0; !signal.aborted; ) {
    let heard = false;
    const reason = await followOnce(options, () => {
      if (!heard) options.connected();
      heard = true;
    });
    if (signal.aborted) return;
    attempts = heard ? 1 : attempts + 1;
    const delayMs = Math.min(maxMs, firstMs * 2 ** Math.min(attempts - 1, 16));
    options.lost(reason, attempts, delayMs);
    await pause(delayMs, signal);
  }
}

/** Resolves with the reason why the stream ended. */
async function followOnce(options: FeedOptions, heard: () => void): Promise<string> {
  const watch = new Watchdog(options.silenceMs ?? SILENCE_MS);
  try {
    const source = await options.open();
    const signal = AbortSignal.any([options.signal, watch.signal]);
    let reason = 'the daemon closed the stream';
    for await (const event of source.events({ signal })) {
      watch.pat();
      heard();
      options.event(event);
      if (event.type === 'end') reason = event.reason === 'stopping' ? 'the daemon stops' : reason;
    }
    return watch.signal.aborted ? SILENT : reason;
  } catch (error) {
    return watch.signal.aborted ? SILENT : toAegisError(error).message;
  } finally {
    watch.close();
  }
}

const SILENT = 'it was silent for too long';

/** Aborts when it is not patted in time. */
class Watchdog {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(silenceMs: number) {
    this.#timer = setTimeout(
      () => this.#controller.abort(new AegisError('STALLED', SILENT)),
      silenceMs,
    );
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  pat(): void {
    this.#timer.refresh();
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}

function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    signal.addEventListener('abort', done);
    // An abort that came before is not told again.
    if (signal.aborted) done();
  });
}
