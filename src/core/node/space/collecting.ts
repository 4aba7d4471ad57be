/**
 * W29, W31: one collection. Goes over all paths, a few at a time, and says which roots this node is
 * to keep; what nothing keeps is let go by the replication machine, durably, before its first
 * object is deleted. So a collection may end anywhere: what it leaves is garbage for the next one.
 *
 * Each step of the store is a few milliseconds, and for each there is some rest, so that puts and
 * reads go on. When it begins, and how much room there is, is not decided here.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { CID } from 'multiformats/cid';
import { AegisError, hasCode } from '../../errors.ts';
import type { Replication, ReplicationInput } from '../../kb/replication.ts';
import { type Retention, retained } from '../../kb/retention.ts';
import type { Collection } from '../../storage/collection.ts';
import type { ContentStore } from '../../storage/content-store.ts';

/** Paths of one question, and versions after which others have a turn. */
const PATHS_PAGE = 64;
const VERSIONS_TURN = 128;
const PINS_PAGE = 256;
/** Measured: with these, puts go on at their pace while gigabytes are given back. */
const STEP_PAGES = 16;
const REST = 3;
const REST_MS_MAX = 100;

export interface CollectOptions {
  /** Says what would go, and deletes nothing. */
  readonly isDry: boolean;
  /** Goes on although a kept root lacks objects that nobody else has. */
  readonly isForced: boolean;
  readonly signal: AbortSignal;
}

export interface Collected {
  /** Versions whose content retention keeps no more. */
  readonly versions: number;
  /** Roots that are not here any more. */
  readonly roots: number;
  readonly objects: number;
  /** Of objects. */
  readonly bytes: number;
}

export interface CollectingDeps {
  readonly content: Pick<ContentStore, 'collect' | 'pins' | 'areComplete'>;
  readonly machine: Pick<Replication, 'graph' | 'hasRoot' | 'isToHold'>;
  readonly retention: Retention;
  submit(input: ReplicationInput): void;
  /** What the machine lets go of these. */
  letGo(roots: readonly CID[], isDry: boolean): Promise<readonly CID[]>;
  /** Fetches what a root lacks. */
  mend(root: CID, signal: AbortSignal): Promise<void>;
  now(): number;
}

export class Collecting {
  readonly #options: CollectOptions;
  readonly #deps: CollectingDeps;
  readonly #collection: Collection;
  #versions = 0;
  #roots = 0;
  #seen = 0;

  private constructor(options: CollectOptions, deps: CollectingDeps, collection: Collection) {
    this.#options = options;
    this.#deps = deps;
    this.#collection = collection;
  }

  /**
   * @throws {AegisError} `BUSY` when another is under way; `STORE_DAMAGED` for a kept root that
   * lacks objects which nobody can give; the reason of the signal.
   */
  static async run(options: CollectOptions, deps: CollectingDeps): Promise<Collected> {
    const collection = await deps.content.collect();
    try {
      return await new Collecting(options, deps, collection).#run();
    } finally {
      await collection.end();
    }
  }

  async #run(): Promise<Collected> {
    await this.#keepPins();
    await this.#keepPaths();
    await this.#letGo();
    const swept = await this.#sweep();
    if (!this.#options.isDry) await this.#giveBack();
    return { versions: this.#versions, roots: this.#roots, ...swept };
  }

  async #keepPins(): Promise<void> {
    for (let after: CID | undefined; ; ) {
      const pins = await this.#deps.content.pins(after, PINS_PAGE);
      await this.#keep(pins.map(({ cid }) => cid));
      after = pins.at(-1)?.cid;
      if (pins.length < PINS_PAGE) return;
    }
  }

  async #keepPaths(): Promise<void> {
    const { graph } = this.#deps.machine;
    for (let after: string | undefined; ; ) {
      this.#options.signal.throwIfAborted();
      const paths = graph.pathsAfter(after, PATHS_PAGE);
      for (const path of paths) await this.#keepPath(path);
      after = paths.at(-1);
      if (paths.length < PATHS_PAGE) return;
    }
  }

  async #keepPath(path: string): Promise<void> {
    const { machine, retention, now } = this.#deps;
    const kept: CID[] = [];
    const released: string[] = [];
    for (const { version, rule } of retained(machine.graph.history(path), retention, now())) {
      const { deleted, root } = version.version;
      if (deleted !== true && rule === undefined) released.push(version.cidText);
      else if (deleted !== true && machine.isToHold(root)) kept.push(root);
      this.#seen += 1;
      if (this.#seen % VERSIONS_TURN === 0) await nextTurn();
    }
    this.#versions += released.length;
    if (released.length > 0 && !this.#options.isDry) {
      this.#deps.submit({ type: 'release', versions: released });
    }
    await this.#keep(kept);
  }

  /** What is not all here yet is kept as far as it is here. */
  async #keep(roots: readonly CID[]): Promise<void> {
    if (roots.length === 0) return;
    const isHere = (root: CID): boolean => this.#deps.machine.hasRoot(root);
    await this.#collection.keep(roots.filter(isHere), true);
    await this.#collection.keep(
      roots.filter((root) => !isHere(root)),
      false,
    );
    for (const root of await this.#follow()) await this.#mend(root);
  }

  /** @returns roots that lack objects. */
  async #follow(): Promise<CID[]> {
    const broken = new Map<string, CID>();
    for (let left = 1; left > 0; ) {
      left = await this.#paced(async () => {
        const followed = await this.#collection.follow();
        for (const root of followed.broken) broken.set(root.toString(), root);
        return followed.left;
      });
    }
    return [...broken.values()];
  }

  /** Below what is missing may hang objects that are here: they would be taken for garbage. */
  async #mend(root: CID): Promise<void> {
    const { isForced, isDry, signal } = this.#options;
    if (isForced || isDry) return;
    try {
      await this.#deps.mend(root, signal);
    } catch (cause) {
      signal.throwIfAborted();
      const name = root.toString();
      throw new AegisError('STORE_DAMAGED', `objects of the kept root ${name} are missing`, {
        hint: 'No other holder could give them now. Try again, or: aegis kb gc --force',
        cause,
        details: { root: name },
      });
    }
    await this.#collection.keep([root], true);
    await this.#follow();
  }

  async #letGo(): Promise<void> {
    const { isDry } = this.#options;
    for (let at: number | undefined = 0; at !== undefined; ) {
      const { roots, next } = await this.#collection.unkept(at);
      const gone = roots.length === 0 ? [] : await this.#deps.letGo(roots, isDry);
      const names = new Set(gone.map(String));
      await this.#keep(roots.filter((root) => !names.has(root.toString())));
      if (!isDry) await this.#forget(gone);
      this.#roots += gone.length;
      at = next;
    }
  }

  /** Somebody may have come to keep one meanwhile, and then it has been here all the time. */
  async #forget(roots: readonly CID[]): Promise<void> {
    await this.#collection.forget(roots);
    const areComplete = await this.#deps.content.areComplete(roots);
    for (const [n, root] of roots.entries()) {
      if (areComplete[n] === true) this.#deps.submit({ type: 'stored', root });
    }
  }

  async #sweep(): Promise<{ objects: number; bytes: number }> {
    let [objects, bytes] = [0, 0];
    for (let isDone = false; !isDone; ) {
      const swept = await this.#paced(() => this.#collection.sweep(this.#options.isDry));
      objects += swept.objects;
      bytes += swept.bytes;
      isDone = swept.isDone;
    }
    return { objects, bytes };
  }

  async #giveBack(): Promise<void> {
    for (let left = 1; left > 0; ) {
      left = await this.#paced(() => this.#collection.giveBack(STEP_PAGES));
    }
  }

  async #paced<T>(step: () => Promise<T>): Promise<T> {
    const { signal } = this.#options;
    signal.throwIfAborted();
    const begin = performance.now();
    const result = await step();
    const restMs = Math.min((performance.now() - begin) * REST, REST_MS_MAX);
    if (restMs > 1) await sleep(restMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    return result;
  }
}

/** A collection that another one keeps from beginning is no failure of its own. */
export const isBusy = (error: unknown): boolean => hasCode(error, 'BUSY');
