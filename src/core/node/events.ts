/** Spreads changes to whoever watches. A listener that throws is a bug of that listener. */
import type { Change } from '../api/contract/events.ts';

export class EventHub {
  readonly #listeners = new Set<(change: Change) => void>();

  /** Whether making events is worth the work. */
  get isWatched(): boolean {
    return this.#listeners.size > 0;
  }

  subscribe(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The change is only made when somebody watches: most nodes are not watched. */
  emit(make: () => Change): void {
    if (this.#listeners.size === 0) return;
    const change = make();
    for (const listener of this.#listeners) listener(change);
  }
}
