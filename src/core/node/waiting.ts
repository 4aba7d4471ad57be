/** Promises for things that outcomes of machines bring about later, by key. */
export class Waiting<T> {
  readonly #waiting = new Map<string, Set<(value: T | Error) => void>>();

  /**
   * Resolves with the first value told under `key` that `accept` takes.
   * Rejects with the reason of `signal`.
   */
  wait(key: string, accept: (value: T) => boolean, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = () => {
        listeners.delete(listener);
        if (listeners.size === 0) this.#waiting.delete(key);
        signal.removeEventListener('abort', onAbort);
      };
      const listener = (value: T | Error) => {
        if (value instanceof Error) {
          end();
          reject(value);
        } else if (accept(value)) {
          end();
          resolve(value);
        }
      };
      const onAbort = () => listener(toError(signal.reason));
      const listeners = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, listeners);
      listeners.add(listener);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  tell(key: string, value: T): void {
    for (const listener of [...(this.#waiting.get(key) ?? [])]) listener(value);
  }

  /** Ends every wait, or those for a key, with an error. */
  fail(error: Error, key?: string): void {
    const waiting =
      key === undefined ? [...this.#waiting.values()] : [this.#waiting.get(key) ?? []];
    for (const listeners of waiting) for (const listener of [...listeners]) listener(error);
  }
}

const toError = (reason: unknown): Error =>
  reason instanceof Error ? reason : new Error(String(reason));
