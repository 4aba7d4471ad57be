/** What the index of words is asked, and answers. Types only. */
import type { FilterNews, FilterState } from '../kb/find/grown-filter.ts';
import type { Phrase } from '../kb/find/query.ts';

/** What has become of the content of a version here. */
export type IndexedContent =
  /** It is not here: to be looked at again when it comes. */
  | 'missing'
  /** Its words are in the index. */
  | 'held'
  /** It is here, and has no words: not text, or too long. */
  | 'wordless'
  /** It is here, and this node cannot read it. */
  | 'sealed';

/** The shown version of a path, as it goes into the index. */
export interface IndexEntry {
  readonly path: string;
  /** The bytes of a CID; so below. */
  readonly version: Uint8Array;
  readonly root: Uint8Array;
  readonly message: string | undefined;
  /** What `held` content says: names and text, each apart from the next. */
  readonly texts: readonly string[];
  readonly content: IndexedContent;
}

export interface IndexHit {
  readonly version: Uint8Array;
  /** Thousandths of BM25: more is better. */
  readonly score: number;
}

export interface IndexQuestion {
  readonly phrases: readonly Phrase[];
  readonly limit: number;
  /** Only versions whose content is here: what other nodes do not know. */
  readonly isHeldOnly: boolean;
}

export interface IndexOperations {
  /** Durable soon after: what is lost is written again. */
  write: {
    args: { readonly entries: readonly IndexEntry[]; readonly removed: readonly string[] };
    result: FilterState;
  };
  /** What the index has of each path: `new` if not this version. */
  look: {
    args: readonly { readonly path: string; readonly version: Uint8Array }[];
    result: (IndexedContent | 'new')[];
  };
  /** Versions that wait for the content of these roots. */
  waiting: { args: readonly Uint8Array[]; result: Uint8Array[] };
  find: { args: IndexQuestion; result: { hits: IndexHit[]; isMore: boolean } };
  /**
   * W46: what was taken out leaves no trace in the file once `step` has answered true. `note`
   * remembers over a restart that this is to be done; a step does a part of it.
   */
  purge: { args: 'note' | 'step'; result: boolean };
  news: { args: FilterState | undefined; result: FilterNews };
  close: { args: undefined; result: undefined };
}
