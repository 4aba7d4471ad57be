/**
 * Holds the state and tells its one reader when the screen has changed. Events are only collected
 * until the next tick; a key or a new size shows at once. So a busy daemon costs one drawing an
 * interval, and a quiet one none.
 */
import type { ApiEvent } from './data.ts';
import { frame } from './frame.ts';
import { type Line, sameLine } from './line.ts';
import { type Action, initialState, reduce, type State } from './state.ts';
import type { StateOptions } from './view.ts';

/** More than this are reduced at once, so that a flood between two ticks stays bounded. */
const PENDING_MAX = 1000;

export class Store {
  #state: State;
  #frame: readonly Line[];
  #pending: ApiEvent[] = [];
  readonly #listeners = new Set<() => void>();

  constructor(options: StateOptions) {
    this.#state = initialState(options);
    this.#frame = frame(this.#state);
  }

  get state(): State {
    return this.#state;
  }

  /** The same object as long as no row has changed. */
  readonly frame = (): readonly Line[] => this.#frame;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Takes an event of the stream; it shows at the next tick. */
  collect(event: ApiEvent, nowMs: number): void {
    this.#pending.push(event);
    // The age of the data is what makes a heartbeat worth a reduction, and a tick does that.
    if (event.type === 'snapshot' || this.#pending.length >= PENDING_MAX) this.#flush(nowMs);
    else this.#heardAtMs = nowMs;
  }

  #heardAtMs = 0;

  dispatch(action: Action): void {
    if (this.#pending.length > 0) this.#flush(this.#heardAtMs);
    this.#state = reduce(this.#state, action);
    if (action.type === 'tick' || action.type === 'key' || action.type === 'resize')
      this.#publish();
  }

  #flush(nowMs: number): void {
    const events = this.#pending;
    this.#pending = [];
    this.#state = reduce(this.#state, { type: 'events', events, nowMs });
  }

  /** Keeps the old row where it says the same, so that the reader can skip it by identity. */
  #publish(): void {
    const old = this.#frame;
    let changed = false;
    const next = frame(this.#state).map((row, i) => {
      const before = old[i];
      if (before !== undefined && sameLine(before, row)) return before;
      changed = true;
      return row;
    });
    if (!changed && next.length === old.length) return;
    this.#frame = next;
    for (const listener of this.#listeners) listener();
  }
}
