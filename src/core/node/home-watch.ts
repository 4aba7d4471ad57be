/**
 * Sees what other processes do to a home that has several clusters: a rotation that was prepared
 * through another cluster, and clusters that come and go. In a home with one cluster it only looks
 * whether there are more. What follows from what it sees, key-desk.ts says.
 */
import { toAegisError } from '../errors.ts';
import type { Keystore } from '../keys/keystore.ts';
import type { Clock, Log } from '../ports.ts';
import { type Instant, SECOND } from '../units.ts';

/** Far below the time for which versions are held back for a rotation (A3). */
const LOOK_MS = 2 * SECOND;

interface HomeWatchDeps {
  readonly keystore: Pick<Keystore, 'sharing' | 'hasNews'>;
  readonly clock: Clock;
  readonly log: Log;
}

interface Heard {
  /** A rotation waits that this process has not seen. */
  prepared(): void;
  /** Other clusters count than before (J3, J4). */
  changed(): void;
}

export class HomeWatch {
  readonly #deps: HomeWatchDeps;
  readonly #heard: Heard;
  #clusters: string | undefined;
  #cancel: (() => void) | undefined;
  #isStopped = false;

  constructor(deps: HomeWatchDeps, heard: Heard) {
    this.#deps = deps;
    this.#heard = heard;
  }

  start(): void {
    if (this.#isStopped || this.#deps.keystore.sharing === undefined) return;
    const { clock } = this.#deps;
    const at = (clock.now() + LOOK_MS) as Instant;
    this.#cancel = clock.wakeAt(at, () => {
      void this.#look().finally(() => this.start());
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  async #look(): Promise<void> {
    const { keystore, log } = this.#deps;
    try {
      const clusters = await keystore.sharing!.clusters();
      const before = this.#clusters;
      this.#clusters = clusters.join();
      if (this.#isStopped) return;
      if (before !== undefined && before !== this.#clusters) this.#heard.changed();
      if (clusters.length > 1 && (await keystore.hasNews()) && !this.#isStopped) {
        this.#heard.prepared();
      }
    } catch (error) {
      const { code, message: reason } = toAegisError(error);
      log.write('warn', 'the clusters of this home cannot be looked at', { code, reason });
    }
  }
}
