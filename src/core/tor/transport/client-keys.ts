/**
 * Dials of onion services that are found with client keys only (O13). For each address Tor knows
 * one key; there may be several that could be right (O14), and several dials at once. While it is
 * open which key is right, one dial tries them and the others wait; then all go in parallel. It
 * computes no keys, and keeps none.
 */

import { sha256 } from '../../crypto/hash.ts';
import { AegisError, hasCode } from '../../errors.ts';
import { Turns } from '../../turns.ts';
import { TOR_LIMITS } from '../limits.ts';

interface Known {
  /** One trial at a time. */
  readonly trials: Turns;
  /** Digest of the key with which the last dial went through. */
  right?: string;
}

interface Trial<T> {
  /** With `.onion`. */
  readonly address: string;
  /** The likeliest first. */
  readonly secrets: readonly Uint8Array[];
  readonly signal: AbortSignal;
  dial(): Promise<T>;
  /** Ends what came of a dial that had been given up. */
  drop?(value: T): void;
}

export class KeyTrials {
  readonly #install: (address: string, secret: Uint8Array) => Promise<void>;
  readonly #known = new Map<string, Known>();

  /** @param deps.install makes Tor use that key for that address from now on. */
  constructor(deps: { install(address: string, secret: Uint8Array): Promise<void> }) {
    this.#install = (address, secret) => deps.install(address, secret);
  }

  /**
   * Dials with the first key that is right, without keys as it is, and wipes the keys.
   * @throws {AegisError} `ONION_AUTH` when none is right; whatever `dial` throws beside that.
   */
  dial<T>(trial: Trial<T>): Promise<T> {
    const wipe = (): void => {
      for (const secret of trial.secrets) secret.fill(0);
    };
    return orAbort(this.#dial(trial).finally(wipe), trial);
  }

  async #dial<T>(trial: Trial<T>): Promise<T> {
    if (trial.secrets.length === 0) return trial.dial();
    const known = this.#of(trial.address);
    if (isAmong(known.right, trial.secrets)) {
      const { right } = known;
      try {
        return await trial.dial();
      } catch (error) {
        // A Tor that was started anew has no keys, and need not say that this is the reason.
        if (known.right === right) delete known.right;
        if (!hasCode(error, 'ONION_AUTH')) throw error;
      }
    }
    return this.#turn(known, trial);
  }

  async #turn<T>(known: Known, trial: Trial<T>): Promise<T> {
    const tried = await known.trials.run(async () => {
      trial.signal.throwIfAborted();
      // Who came first has found it: the others need no turns of their own.
      if (isAmong(known.right, trial.secrets)) return undefined;
      return { value: await this.#try(known, trial) };
    });
    return tried === undefined ? trial.dial() : tried.value;
  }

  async #try<T>(known: Known, { address, secrets, dial }: Trial<T>): Promise<T> {
    let refused: AegisError | undefined;
    for (const secret of secrets) {
      await this.#install(address, secret);
      try {
        const value = await dial();
        known.right = digestOf(secret);
        return value;
      } catch (error) {
        if (!hasCode(error, 'ONION_AUTH')) throw error;
        refused = error;
      }
    }
    throw refused ?? new AegisError('ONION_AUTH', 'there is no client key for this service');
  }

  #of(address: string): Known {
    const known = this.#known.get(address) ?? { trials: new Turns() };
    this.#known.delete(address);
    this.#known.set(address, known);
    if (this.#known.size > TOR_LIMITS.knownClientKeys) {
      const oldest = this.#known.keys().next();
      if (oldest.done !== true) this.#known.delete(oldest.value);
    }
    return known;
  }
}

const digestOf = (secret: Uint8Array): string => Buffer.from(sha256(secret)).toString('hex');

const isAmong = (right: string | undefined, secrets: readonly Uint8Array[]): boolean =>
  right !== undefined && secrets.some((secret) => digestOf(secret) === right);

/** A dial that is given up may wait for another one's trial, and need not wait for its end. */
async function orAbort<T>(work: Promise<T>, { signal, drop }: Trial<T>): Promise<T> {
  const { promise: givenUp, reject } = Promise.withResolvers<never>();
  const abort = (): void => {
    reject(signal.reason);
    work.then((value) => drop?.(value)).catch(() => undefined);
  };
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort);
  try {
    return await Promise.race([givenUp, work]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
