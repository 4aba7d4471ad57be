/**
 * The filter of the own index, and what it has grown by. Peers that have an older state of it are
 * told the bits that have come; who has none, or one of another epoch, is told all. An epoch ends
 * when the filter is made anew: something was taken out of the index, or it had become too full.
 */
import { AegisError } from '../../errors.ts';
import { Bloom } from './bloom.ts';
import { FIND_LIMITS } from './limits.ts';

/** Names a state: bits are only ever added within an epoch. */
export interface FilterState {
  /** Random, so that no restart makes an old state look new. */
  readonly epoch: string;
  readonly ones: number;
}

/** What a node tells of its filter. */
export type ToldNews = FilterNews & {
  /** It has not been through all that it holds: more may be there than the filter says. */
  readonly isPartial: boolean;
};

export type FilterNews = FilterState &
  (
    | { readonly type: 'same' }
    | { readonly type: 'added'; readonly positions: readonly number[] }
    | { readonly type: 'whole'; readonly bytes: Uint8Array }
  );

export class GrownFilter {
  readonly epoch: string;
  readonly #bloom: Bloom;
  /** The bits that were set last, in their order. */
  #recent: number[] = [];

  constructor(epoch: string, bits?: number) {
    this.epoch = epoch;
    this.#bloom = Bloom.empty(bits);
  }

  get state(): FilterState {
    return { epoch: this.epoch, ones: this.#bloom.ones };
  }

  get bits(): number {
    return this.#bloom.bits;
  }

  /** Whether it should be made anew, twice as large. */
  get isFull(): boolean {
    return this.#bloom.isFull;
  }

  add(terms: Iterable<string>): void {
    for (const term of terms) this.#recent.push(...this.#bloom.add(term));
    // Twice as many are kept, so that they are not moved at each term.
    if (this.#recent.length > 2 * FIND_LIMITS.additions) {
      this.#recent = this.#recent.slice(-FIND_LIMITS.additions);
    }
  }

  since(known: FilterState | undefined): FilterNews {
    const { state } = this;
    const added = known?.epoch === state.epoch ? state.ones - known.ones : -1;
    if (added === 0) return { ...state, type: 'same' };
    const isKnown = added > 0 && added <= Math.min(this.#recent.length, FIND_LIMITS.additions);
    // Four bytes each: beyond the size of the filter they are no saving.
    if (!isKnown || added * 4 > this.#bloom.bytes.length) {
      return { ...state, type: 'whole', bytes: this.#bloom.bytes.slice() };
    }
    return { ...state, type: 'added', positions: this.#recent.slice(-added) };
  }
}

/**
 * The filter of a peer after its news.
 * @throws {AegisError} `BAD_ENCODING` for news that do not fit what is known.
 */
export function after(known: Bloom | undefined, news: FilterNews): Bloom {
  const bloom = news.type === 'whole' ? Bloom.of(news.bytes) : known;
  if (bloom === undefined) throw unfit();
  for (const position of news.type === 'added' ? news.positions : []) {
    if (position >= bloom.bits) throw unfit();
    bloom.set(position);
  }
  if (bloom.ones !== news.ones) throw unfit();
  return bloom;
}

const unfit = (): AegisError =>
  new AegisError('BAD_ENCODING', 'news of a filter do not fit what is known of it');
