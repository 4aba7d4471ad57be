/**
 * The roots that this node has to fetch: a few at a time, those whose holders can be reached, and
 * after a failure again with growing delays, for ever.
 */
import type { CID } from 'multiformats/cid';
import { type Instant, instant } from '../units.ts';
import { backoff } from './backoff.ts';
import { keyOf } from './block.ts';

export interface WantsOptions {
  /** Fetches at a time. */
  readonly maxFetches: number;
  readonly firstMs: number;
  readonly maxMs: number;
  /** Makes the jitter differ between nodes. */
  readonly seed: string;
}

export interface Want {
  readonly root: CID;
  readonly sizeBytes: number;
  attempt: number;
  /** Not before this; undefined while it is being fetched. */
  notBefore: Instant | undefined;
}

/** Wants looked at in one go, so that a step stays short. */
const SCAN_MAX = 1024;

export class Wants {
  readonly #options: WantsOptions;
  /** The next to look at first. */
  readonly #all = new Map<string, Want>();
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

  add(root: CID, sizeBytes: number): void {
    const key = keyOf(root);
    if (this.#all.has(key)) return;
    this.#all.set(key, { root, sizeBytes, attempt: 0, notBefore: instant(0) });
    this.stir();
  }

  /** The root is here, or not wanted any more. */
  delete(root: CID): void {
    const key = keyOf(root);
    const want = this.#all.get(key);
    if (want === undefined) return;
    if (want.notBefore === undefined) this.#fetching -= 1;
    this.#all.delete(key);
    this.stir();
  }

  failed(root: CID, now: Instant): void {
    const want = this.#all.get(keyOf(root));
    if (want === undefined || want.notBefore !== undefined) return;
    const name = `${this.#options.seed}/${root.toString()}`;
    want.notBefore = instant(now + backoff(name, want.attempt, this.#options));
    want.attempt += 1;
    this.#fetching -= 1;
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
    let looked = 0;
    for (const [key, want] of this.#all) {
      if (this.#fetching >= this.#options.maxFetches) break;
      if (looked === SCAN_MAX) {
        // The rest is looked at in the next step.
        this.stir();
        break;
      }
      if (want.notBefore === undefined) continue;
      looked += 1;
      if (want.notBefore > now || !isReachable(want.root)) {
        // Behind the others, so that the next look begins with those.
        this.#all.delete(key);
        this.#all.set(key, want);
        if (looked >= this.#all.size) break;
        continue;
      }
      want.notBefore = undefined;
      this.#fetching += 1;
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
}
