/**
 * W27: has everything that is kept hashed again within so many days, steadily, and never faster
 * than a limit. What is damaged has been set aside by the store; here it is fetched again. Where
 * the look ended the last time, the store knows.
 */
import type { CID } from 'multiformats/cid';
import { toAegisError } from '../../errors.ts';
import type { Clock, Log, Metrics } from '../../ports.ts';
import type { ContentStore, Scrubbed } from '../../storage/content-store.ts';
import { DAY, instant, MIB, SECOND } from '../../units.ts';

export interface ScrubberOptions {
  /** Within so many everything is looked at; 0: only when asked. */
  readonly days: number;
}

export interface ScrubberDeps {
  readonly content: Pick<ContentStore, 'scrub' | 'scrubState' | 'restartScrub' | 'stat'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Brings an object back, by its hash. */
  restore(object: CID): Promise<void>;
}

/** W27 */
const BYTES_PER_SECOND_MAX = 4 * MIB;
/** One slice, and so what the worker does before it can do anything else. */
const SLICE_BYTES = MIB;
/** Between two slices at most, also where there is next to nothing. */
const PAUSE_MS_MAX = 600 * SECOND;
/** After a start, since then there is enough to do. */
const FIRST_MS = 60 * SECOND;

export class Scrubber {
  readonly #options: ScrubberOptions;
  readonly #deps: ScrubberDeps;
  #cancel: (() => void) | undefined;
  #slice: Promise<void> | undefined;
  /** An operator waits for the end of the present look: at full pace. */
  #isHurried = false;
  #isStopped = false;

  constructor(options: ScrubberOptions, deps: ScrubberDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  get isHurried(): boolean {
    return this.#isHurried;
  }

  start(): void {
    if (this.#options.days > 0) this.#again(FIRST_MS);
  }

  /** Looks at everything from the first object on, as fast as the limit allows. */
  async hurry(): Promise<void> {
    await this.#slice;
    await this.#deps.content.restartScrub();
    this.#isHurried = true;
    this.#again(0);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel?.();
    await this.#slice;
  }

  #again(afterMs: number): void {
    if (this.#isStopped) return;
    const { clock } = this.#deps;
    this.#cancel?.();
    this.#cancel = clock.wakeAt(instant(clock.now() + afterMs), () => {
      this.#cancel = undefined;
      this.#slice ??= this.#run().finally(() => {
        this.#slice = undefined;
      });
    });
  }

  async #run(): Promise<void> {
    const { content, clock, log } = this.#deps;
    const begunAt = clock.now();
    try {
      const scrubbed = await content.scrub(SLICE_BYTES);
      await this.#restore(scrubbed.damaged);
      if (scrubbed.isDone) {
        this.#isHurried = false;
        log.write('info', 'all objects have been hashed again');
      }
      this.#again(Math.max(0, (await this.#pauseMs(scrubbed)) - (clock.now() - begunAt)));
    } catch (error) {
      const { code, message: reason } = toAegisError(error);
      if (!this.#isStopped)
        log.write('warn', 'objects could not be hashed again', { code, reason });
      this.#again(PAUSE_MS_MAX);
    }
  }

  async #pauseMs({ bytes }: Scrubbed): Promise<number> {
    const shortest = (Math.max(bytes, 1) / BYTES_PER_SECOND_MAX) * SECOND;
    if (this.#isHurried) return shortest;
    if (this.#options.days === 0) return PAUSE_MS_MAX;
    const all = (await this.#deps.content.stat()).bytes;
    const steady = (SLICE_BYTES / Math.max(all, 1)) * this.#options.days * DAY;
    return Math.max(shortest, Math.min(steady, PAUSE_MS_MAX));
  }

  async #restore(damaged: readonly CID[]): Promise<void> {
    const { metrics, log, restore } = this.#deps;
    for (const object of damaged) {
      metrics.count('aegis_content_damaged_objects_total');
      const fields = { object: object.toString() };
      log.write('error', 'an object in the store is damaged', fields);
      try {
        await restore(object);
        log.write('info', 'a damaged object is here again', fields);
      } catch (error) {
        const { code, message: reason } = toAegisError(error);
        log.write('error', 'a damaged object could not be fetched', { ...fields, code, reason });
      }
    }
  }
}
