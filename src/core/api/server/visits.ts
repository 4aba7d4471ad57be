/** Counts the requests at work, gives each its signal, and ends them when the server stops. */
import type { ServerResponse } from 'node:http';
import { AegisError } from '../../errors.ts';

export interface VisitLimits {
  readonly requestsMax: number;
  readonly eventStreamsMax: number;
}

export interface VisitKind {
  readonly events: boolean;
  /** It only waits for something: a server that stops need not wait for it. */
  readonly waits: boolean;
}

interface Visit extends VisitKind {
  readonly controller: AbortController;
}

/** After the deadline: time for the last replies to leave. */
const FLUSH_MS = 200;

export class Visits {
  readonly #limits: VisitLimits;
  readonly #open = new Set<Visit>();
  #stopping = false;
  #onEmpty: (() => void) | undefined;

  constructor(limits: VisitLimits) {
    this.#limits = limits;
  }

  /** @throws {AegisError} `BUSY` when too many are at work, `STOPPING` once the server stops. */
  enter(response: ServerResponse, kind: VisitKind): AbortSignal {
    if (this.#stopping) throw new AegisError('STOPPING', 'the daemon is stopping');
    const events = [...this.#open].filter((visit) => visit.events).length;
    const used = kind.events ? events : this.#open.size - events;
    const most = kind.events ? this.#limits.eventStreamsMax : this.#limits.requestsMax;
    if (used >= most) {
      const what = kind.events ? 'event streams' : 'requests';
      throw new AegisError('BUSY', `the daemon is serving ${most} ${what} already`);
    }
    const controller = new AbortController();
    const visit = { ...kind, controller };
    this.#open.add(visit);
    response.once('close', () => this.#leave(visit, response));
    if (response.destroyed) this.#leave(visit, response);
    return controller.signal;
  }

  async drain(deadlineMs: number): Promise<void> {
    this.#stopping = true;
    const stopping = new AegisError('STOPPING', 'the daemon is stopping');
    for (const visit of this.#open) {
      if (visit.events || visit.waits) visit.controller.abort(stopping);
    }
    await this.#empty(deadlineMs);
    for (const visit of this.#open) visit.controller.abort(stopping);
    await this.#empty(FLUSH_MS);
  }

  #leave(visit: Visit, response: ServerResponse): void {
    this.#open.delete(visit);
    if (!response.writableFinished) {
      visit.controller.abort(new AegisError('INTERRUPTED', 'the caller hung up'));
    }
    if (this.#open.size === 0) this.#onEmpty?.();
  }

  /** Resolves when nobody is left, at the latest after `ms`. */
  #empty(ms: number): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
