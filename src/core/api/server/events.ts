/** Serves the event stream to one reader: the snapshot, then what its queue holds, for ever. */
import type { ServerResponse } from 'node:http';
import { AegisError } from '../../errors.ts';
import type { Backend } from '../backend.ts';
import type { ApiEvent } from '../contract/events.ts';
import { MEDIA } from '../contract/routes.ts';
import { EventQueue } from './event-queue.ts';
import type { ServerLimits } from './limits.ts';
import { beginStream, writeChunk } from './reply.ts';

export interface EventStreamDeps {
  readonly backend: Backend;
  readonly limits: ServerLimits;
  /** Aborts when the reader hangs up or the server stops. */
  readonly signal: AbortSignal;
}

/** Ends when the reader hangs up, is too slow, or the server stops. */
export async function streamEvents(response: ServerResponse, deps: EventStreamDeps): Promise<void> {
  const { backend, limits, signal } = deps;
  const queue = new EventQueue(limits);
  const bell = new Bell(signal);
  // Subscribed before the snapshot is taken: a change in between is told twice, never missed.
  const unsubscribe = backend.subscribe((change) => {
    queue.push(change);
    bell.ring();
  });
  try {
    const state = await backend.snapshot();
    beginStream(response, { 'content-type': MEDIA.ndjson });
    const write = (event: ApiEvent): Promise<void> =>
      writeChunk(response, `${JSON.stringify(event)}\n`, limits.eventStallMs);
    await write({ type: 'snapshot', schema: 'aegis.events/1', ...state });
    while (!signal.aborted && !queue.overflowed) {
      for (let event = queue.take(); event !== undefined; event = queue.take()) await write(event);
      if (queue.overflowed) break;
      const rang = await bell.wait(limits.heartbeatMs);
      if (!rang) await write({ type: 'heartbeat', time: new Date().toISOString() });
    }
    if (!response.destroyed) {
      const reason = queue.overflowed ? 'slow-reader' : 'stopping';
      response.end(`${JSON.stringify({ type: 'end', reason } satisfies ApiEvent)}\n`);
    }
  } catch (error) {
    if (!response.headersSent) throw error;
    cut(response, error);
  } finally {
    unsubscribe();
    bell.close();
  }
}

/** A reader that takes nothing gets its last line if the socket has room for it, and is cut. */
function cut(response: ServerResponse, error: unknown): void {
  if (error instanceof AegisError && error.code === 'STALLED') {
    response.end(`${JSON.stringify({ type: 'end', reason: 'slow-reader' } satisfies ApiEvent)}\n`);
  }
  response.destroy();
}

/** Wakes the writer when there is something to write. A ring before the wait is not lost. */
class Bell {
  readonly #signal: AbortSignal;
  readonly #onAbort = (): void => this.ring();
  #rung = false;
  #wake: (() => void) | undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort);
  }

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** `true` when rung, `false` after `timeoutMs`. */
  async wait(timeoutMs: number): Promise<boolean> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    const rung = this.#rung;
    this.#rung = false;
    this.#wake = undefined;
    return rung;
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#wake?.();
  }
}
