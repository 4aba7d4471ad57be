/**
 * W31, from the main thread: one collection, step by step. Whoever has begun one says what is kept,
 * asks for what is not, and ends it; each step is a few milliseconds of the worker. Nothing of a
 * collection outlives it but what it has deleted.
 */
import { CID } from 'multiformats/cid';
import type { Link } from './link.ts';
import type { ContentOperations, Swept } from './protocol.ts';

/** Roots of one question. */
const PAGE_LENGTH = 256;

export interface Unkept {
  readonly roots: readonly CID[];
  readonly next: number | undefined;
}

export class Collection {
  readonly #link: Link<ContentOperations>;

  private constructor(link: Link<ContentOperations>) {
    this.#link = link;
  }

  /** @throws {AegisError} `BUSY` when another is under way. */
  static async begin(link: Link<ContentOperations>): Promise<Collection> {
    await link.call('beginCollection', undefined);
    return new Collection(link);
  }

  /** @param areWhole all of them has to be here; `follow` tells which are not. */
  async keep(roots: readonly CID[], areWhole: boolean): Promise<void> {
    if (roots.length === 0) return;
    await this.#link.call('keep', { roots: roots.map(({ bytes }) => bytes), areWhole });
  }

  /** One step of following what is kept. @returns how much is left, and roots that lack objects. */
  async follow(): Promise<{ readonly left: number; readonly broken: readonly CID[] }> {
    const { left, broken } = await this.#link.call('mark', undefined);
    return { left, broken: broken.map((bytes) => CID.decode(bytes)) };
  }

  /** Roots that nobody has kept, from `after` on. */
  async unkept(after: number): Promise<Unkept> {
    const { roots, next } = await this.#link.call('unkept', { after, limit: PAGE_LENGTH });
    return { roots: roots.map((bytes) => CID.decode(bytes)), next };
  }

  /** Forgets roots, unless somebody has come to keep them. Their objects go with `sweep`. */
  async forget(roots: readonly CID[]): Promise<void> {
    const cids = roots.map(({ bytes }) => bytes);
    if (cids.length > 0) await this.#link.call('forget', cids);
  }

  /** One step of deleting what nothing reaches; counts it only, with `isDry`. */
  sweep(isDry: boolean): Promise<Swept> {
    return this.#link.call('sweep', { isDry });
  }

  /** One step of giving room back. @returns free pages that are left. */
  giveBack(pages: number): Promise<number> {
    return this.#link.call('shrink', pages);
  }

  async end(): Promise<void> {
    await this.#link.call('endCollection', undefined);
  }
}
