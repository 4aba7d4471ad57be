/** Versions that wait for one they depend on. Bounded: what does not fit is sent again later. */
import { MERGE_AUTHOR } from '../model/merge.ts';
import type { SignedVersion } from '../model/version.ts';
import type { Verified } from '../units.ts';

type Waiting = Verified<SignedVersion>;

export class Orphans {
  readonly #max: number;
  readonly #maxPerAuthor: number;
  /** In the order in which they came. */
  readonly #all = new Map<string, { readonly version: Waiting; readonly needs: string }>();
  readonly #byNeed = new Map<string, Set<string>>();
  readonly #counts = new Map<string, number>();

  constructor(options: { readonly max: number; readonly maxPerAuthor: number }) {
    this.#max = options.max;
    this.#maxPerAuthor = options.maxPerAuthor;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Keeps a version that waits for `needs`. The oldest makes room; an author's share is fixed. */
  add(version: Waiting, needs: string): 'orphan' | 'known' | 'dropped' {
    const { author } = version.version;
    if (this.#all.has(version.cidText)) return 'known';
    // Merges are nobody's, and come only when they are final or somebody has asked for them.
    const isFull = (this.#counts.get(author) ?? 0) >= this.#maxPerAuthor;
    if (isFull && author !== MERGE_AUTHOR) return 'dropped';
    if (this.#all.size >= this.#max) this.#remove(this.#all.keys().next().value!);
    this.#all.set(version.cidText, { version, needs });
    this.#counts.set(author, (this.#counts.get(author) ?? 0) + 1);
    const group = this.#byNeed.get(needs);
    if (group === undefined) this.#byNeed.set(needs, new Set([version.cidText]));
    else group.add(version.cidText);
    return 'orphan';
  }

  /** Takes out the versions that waited for `need`. */
  take(need: string): Waiting[] {
    const group = this.#byNeed.get(need);
    if (group === undefined) return [];
    return [...group].map((cidText) => this.#remove(cidText));
  }

  #remove(cidText: string): Waiting {
    const { version, needs } = this.#all.get(cidText)!;
    this.#all.delete(cidText);
    const group = this.#byNeed.get(needs)!;
    group.delete(cidText);
    if (group.size === 0) this.#byNeed.delete(needs);
    const { author } = version.version;
    const left = this.#counts.get(author)! - 1;
    if (left === 0) this.#counts.delete(author);
    else this.#counts.set(author, left);
    return version;
  }
}
