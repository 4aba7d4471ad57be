/**
 * Reads objects for people: every byte is checked against its name, and what is damaged or missing
 * is fetched from another holder before anybody sees it.
 */
import type { CID } from 'multiformats/cid';
import { AegisError, hasCode } from '../errors.ts';
import type { Log, Metrics } from '../ports.ts';
import type { ContentStore } from '../storage/content-store.ts';
import type { ReadObjects } from './export.ts';

export interface ObjectReaderDeps {
  readonly content: ContentStore;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Makes a root complete in the own store again. */
  mend(root: CID, signal: AbortSignal | undefined): Promise<void>;
}

/** Each try fetches all that is missing, so a second failure means that the holders are damaged. */
const TRIES = 3;

export class ObjectReader {
  readonly #deps: ObjectReaderDeps;

  constructor(deps: ObjectReaderDeps) {
    this.#deps = deps;
  }

  /** A reader for the objects below `root`. */
  below(root: CID, signal?: AbortSignal): ReadObjects {
    return (cids) => this.#read(root, cids, signal);
  }

  /**
   * Every object that is sound, undefined for the rest; what is damaged is set aside by the store.
   */
  async sound(cids: readonly CID[]): Promise<(Uint8Array | undefined)[]> {
    const { content } = this.#deps;
    // Each damaged object costs one more round, and is gone after it.
    for (let damaged = 0; damaged <= cids.length; damaged += 1) {
      try {
        return await content.getMany(cids, { verify: true });
      } catch (error) {
        if (!hasCode(error, 'BAD_HASH')) throw error;
        this.#report(error);
      }
    }
    return cids.map(() => undefined);
  }

  async #read(root: CID, cids: readonly CID[], signal?: AbortSignal): Promise<Uint8Array[]> {
    let lost: CID | undefined;
    for (let tries = 0; tries < TRIES; tries += 1) {
      const found = await this.sound(cids);
      const missing = found.findIndex((bytes) => bytes === undefined);
      if (missing < 0) return found as Uint8Array[];
      lost = cids[missing];
      await this.#mend(root, lost!, signal);
    }
    throw damagedEverywhere(lost!);
  }

  async #mend(root: CID, lost: CID, signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#deps.mend(root, signal);
    } catch (error) {
      if (hasCode(error, 'NOT_REACHABLE')) throw damagedEverywhere(lost, error);
      throw error;
    }
  }

  #report(error: AegisError): void {
    this.#deps.metrics.count('aegis_content_damaged_objects_total');
    this.#deps.log.write('error', 'an object in the store is damaged', error.details);
  }
}

const damagedEverywhere = (lost: CID, cause?: unknown): AegisError =>
  new AegisError('BAD_HASH', `the object ${lost.toString()} is damaged or missing here`, {
    hint: 'No other holder could give it now. It is tried again at the next read.',
    cause,
  });
