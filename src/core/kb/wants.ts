/**
 * The roots that this node has to fetch: a few at a time, those whose holders can be reached, and
 * after a failure again with growing delays, for ever. Authors take turns, and none may have all
 * fetches: roots that never come must not keep those of others waiting.
 */
import type { CID } from 'multiformats/cid';
import { type Instant, instant } from '../units.ts';
import { backoff } from './backoff.ts';
import { keyOf } from './block.ts';

export interface WantsOptions {
  /** Fetches at a time. One author has three quarters of them at most. */
  readonly maxFetches: number;
  readonly firstMs: number;
  readonly maxMs: number;
  /** Makes the jitter differ between nodes. */
  readonly seed: string;
}

export interface Want {
  readonly root: CID;
  /** Who named the root first. */
  readonly author: string;
  /** The most that any version says: a small lie must not keep the root away. */
  sizeBytes: number;
  attempt: number;
  /** Not before this; undefined while it is being fetched. */
  notBefore: Instant | undefined;
}

/** The wants of one author. */
interface Queue {
  /** The next to look at first. */
  readonly wants: Map<string, Want>;
  fetching: number;
}

/** Wants of one author looked at in one go, so that a step stays short. */
const SCAN_MAX = 1024;

export class Wants {
  readonly #options: WantsOptions;
  readonly #all = new Map<string, Want>();
  /** By author; whoever had its turn longest ago first. */
  readonly #queues = new Map<string, Queue>();
  #fetching = 0;
  #isStirred = false;

  constructor(options: WantsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Whether anything has happened since `take` that may let a fetch begin. */
  get isStirred(): boolean {
    return this.#isStirred;
  }

  /** Makes the next look worth while. */
  stir(): void {
    this.#isStirred = true;
  }

  add(root: CID, sizeBytes: number, author: string): void {
    const key = keyOf(root);
    const known = this.#all.get(key);
    if (known !== undefined) {
      known.sizeBytes = Math.max(known.sizeBytes, sizeBytes);
      return;
    }
    const want = { root, author, sizeBytes, attempt: 0, notBefore: instant(0) };
    const queue = this.#queues.get(author) ?? { wants: new Map<string, Want>(), fetching: 0 };
    this.#queues.set(author, queue);
    queue.wants.set(key, want);
    this.#all.set(key, want);
    this.stir();
  }

  /** The root is here, or not wanted any more. */
  delete(root: CID): void {
    const key = keyOf(root);
    const want = this.#all.get(key);
    if (want === undefined) return;
    if (want.notBefore === undefined) this.#count(want, -1);
    this.#all.delete(key);
    const { wants } = this.#queues.get(want.author)!;
    wants.delete(key);
    if (wants.size === 0) this.#queues.delete(want.author);
    this.stir();
  }

  failed(root: CID, now: Instant): void {
    const want = this.#all.get(keyOf(root));
    if (want === undefined || want.notBefore !== undefined) return;
    const name = `${this.#options.seed}/${root.toString()}`;
    want.notBefore = instant(now + backoff(name, want.attempt, this.#options));
    want.attempt += 1;
    this.#count(want, -1);
    this.stir();
  }

  /** A node has come up: what it may have is tried again soon. */
  hasten(isReachable: (root: CID) => boolean): void {
    this.stir();
    for (const want of this.#all.values()) {
      if (want.notBefore !== undefined && isReachable(want.root)) {
        want.attempt = 0;
        want.notBefore = instant(0);
      }
    }
  }

  /** The wants to fetch now; they count as being fetched from here on. */
  take(now: Instant, isReachable: (root: CID) => boolean): Want[] {
    this.#isStirred = false;
    const taken: Want[] = [];
    const looks = new Map<string, number>();
    for (const [author, { wants }] of this.#queues) {
      looks.set(author, Math.min(wants.size, SCAN_MAX));
    }
    while (this.#fetching < this.#options.maxFetches) {
      const want = this.#pick(looks, ({ root, notBefore }) => {
        return notBefore !== undefined && notBefore <= now && isReachable(root);
      });
      if (want === undefined) break;
      want.notBefore = undefined;
      this.#count(want, 1);
      taken.push(want);
    }
    return taken;
  }

  /** When a delay ends next; undefined when none runs. */
  nextAt(now: Instant): Instant | undefined {
    let at: Instant | undefined;
    for (const { notBefore } of this.#all.values()) {
      if (notBefore === undefined || notBefore <= now) continue;
      if (at === undefined || notBefore < at) at = notBefore;
    }
    return at;
  }

  /** Of the author with the fewest fetches that has one ready. */
  #pick(looks: Map<string, number>, isReady: (want: Want) => boolean): Want | undefined {
    const most = Math.max(1, Math.floor(this.#options.maxFetches * 0.75));
    const queues = [...this.#queues].filter(([, { fetching }]) => fetching < most);
    for (const [author, { wants }] of queues.toSorted(([, a], [, b]) => a.fetching - b.fetching)) {
      const want = this.#next(wants, author, looks, isReady);
      if (want === undefined) continue;
      // Behind the others, for those who have as few.
      const queue = this.#queues.get(author)!;
      this.#queues.delete(author);
      this.#queues.set(author, queue);
      return want;
    }
    return undefined;
  }

  #next(
    wants: Map<string, Want>,
    author: string,
    looks: Map<string, number>,
    isReady: (want: Want) => boolean,
  ): Want | undefined {
    let left = looks.get(author)!;
    for (const [key, want] of wants) {
      if (left === 0) break;
      left -= 1;
      looks.set(author, left);
      // Behind the others, so that the next look begins with those.
      wants.delete(key);
      wants.set(key, want);
      if (isReady(want)) return want;
    }
    // What has not been looked at is, in the next step.
    if (left === 0 && wants.size > SCAN_MAX) this.stir();
    return undefined;
  }

  #count(want: Want, by: 1 | -1): void {
    this.#fetching += by;
    this.#queues.get(want.author)!.fetching += by;
  }
}
