/** Counts the requests at work, gives each its signal, and ends them when the server stops. */
import type { ServerResponse } from 'node:http';
import { AegisError } from '../../errors.ts';
import { busyBy, type ServerKnob, type ServerLimits } from './limits.ts';

export type VisitLimits = Pick<
  ServerLimits,
  'requestsMax' | 'eventStreamsMax' | 'bodiesMax' | 'waitsMax'
>;

export interface VisitKind {
  readonly events: boolean;
  /** It only waits for something: a server that stops need not wait for it. */
  readonly waits: boolean;
}

/** What holds a request up: its body is still coming, or it waits for something to be final. */
export type Phase = 'body' | 'wait';

interface Held extends VisitKind {
  readonly controller: AbortController;
  phase: Phase | undefined;
}

export interface Visit {
  readonly signal: AbortSignal;
  /** @throws {AegisError} `BUSY` when too many are held up by the same. */
  begin(phase: Phase): void;
  /** It is held up no more. */
  end(): void;
}

const PHASES = {
  body: { knob: 'bodiesMax', what: 'requests whose body is still coming' },
  wait: { knob: 'waitsMax', what: 'requests that wait' },
} as const satisfies Record<Phase, { knob: ServerKnob; what: string }>;

/** After the deadline: time for the last replies to leave. */
const FLUSH_MS = 200;

export class Visits {
  readonly #limits: VisitLimits;
  readonly #open = new Set<Held>();
  #stopping = false;
  #onEmpty: (() => void) | undefined;

  constructor(limits: VisitLimits) {
    this.#limits = limits;
  }

  /** @throws {AegisError} `BUSY` when too many are at work, `STOPPING` once the server stops. */
  enter(response: ServerResponse, kind: VisitKind): Visit {
    if (this.#stopping) throw new AegisError('STOPPING', 'the daemon is stopping');
    const events = [...this.#open].filter((visit) => visit.events).length;
    const used = kind.events ? events : this.#open.size - events;
    const knob = kind.events ? 'eventStreamsMax' : 'requestsMax';
    const most = this.#limits[knob];
    if (used >= most) {
      const what = kind.events ? 'event streams' : 'requests';
      throw busyBy(knob, `the daemon is serving ${most} ${what} already`);
    }
    const controller = new AbortController();
    const visit: Held = { ...kind, controller, phase: undefined };
    if (kind.waits) this.#begin(visit, 'wait');
    this.#open.add(visit);
    response.once('close', () => this.#leave(visit, response));
    if (response.destroyed) this.#leave(visit, response);
    return {
      signal: controller.signal,
      begin: (phase) => this.#begin(visit, phase),
      end: () => {
        visit.phase = undefined;
      },
    };
  }

  #begin(visit: Held, phase: Phase): void {
    const { knob, what } = PHASES[phase];
    const most = this.#limits[knob];
    const held = [...this.#open].filter((one) => one !== visit && one.phase === phase).length;
    if (held >= most) throw busyBy(knob, `the daemon is serving ${most} ${what} already`);
    visit.phase = phase;
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

  #leave(visit: Held, response: ServerResponse): void {
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
