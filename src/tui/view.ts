/**
 * The shape of the monitor's state, and of the pages that show it. Types and their first values
 * only; `state.ts` changes the state, `frame.ts` draws it.
 */
import { type Data, NO_DATA } from './data.ts';
import { type History, NO_HISTORY } from './history.ts';
import type { Line } from './line.ts';

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** Pages in the order of their number keys. Later capabilities add theirs at the end. */
export type PageId = 'overview' | 'peers' | 'kb' | 'consensus' | 'tor';

/** How one list is filtered, sorted and looked at. */
export interface ListView {
  readonly filter: string;
  /** Id of the column that sorts. */
  readonly sort: string;
  readonly descending: boolean;
  /** Keys of the rows that pass the filter, in the order shown. */
  readonly order: readonly string[];
  /** Always one of `order`; `undefined` if and only if `order` is empty. */
  readonly selected: string | undefined;
  /** Index in `order` of the first row on the screen. */
  readonly top: number;
  /** Until then rows keep their places, so that none moves away under the cursor. */
  readonly holdUntilMs: number;
  /** What `order` was computed from. */
  readonly arrangedFrom: unknown;
}

/** The connection to the daemon. */
export interface Link {
  readonly live: boolean;
  /** When the last line of the stream came, of whatever kind. 0: none yet. */
  readonly heardAtMs: number;
  /** Attempts since the connection was lost, and when the next one is due. */
  readonly attempts: number;
  readonly nextAtMs: number;
  readonly reason: string;
}

/** Where keys go. */
export type Mode = 'browse' | 'filter' | 'help';

export interface State {
  /** The newest that the daemon told. */
  readonly data: Data;
  /** What the screen shows: `data` as of the last tick, or of the pause. */
  readonly shown: Data;
  readonly history: History;
  readonly shownHistory: History;
  readonly link: Link;
  readonly page: PageId;
  readonly lists: Readonly<Partial<Record<PageId, ListView>>>;
  readonly mode: Mode;
  /** First row shown of the help, when it is longer than the screen. */
  readonly helpTop: number;
  /** Whether the selected row is shown alone, with all that is known of it. */
  readonly detail: boolean;
  readonly paused: boolean;
  readonly size: Size;
  readonly nowMs: number;
  readonly ascii: boolean;
  readonly readonly: boolean;
  /** One line in the footer until a time, e.g. after a copy. */
  readonly notice: { readonly text: string; readonly untilMs: number } | undefined;
  /** What `y` copied last. A new object is a new copy. */
  readonly copied: { readonly text: string } | undefined;
  readonly quit: boolean;
}

/** What the frame and the keys need to know of a list. */
export interface List {
  /** In the order in which `s` goes through them. */
  readonly columns: readonly { readonly id: string; readonly title: string }[];
  readonly sort: string;
  readonly descending: boolean;
  /** Changes if and only if the rows may have changed. */
  source(data: Data): unknown;
  /** Keys of the rows that pass the filter, sorted. */
  arrange(data: Data, view: ListView): string[];
}

export interface Page {
  readonly id: PageId;
  readonly title: string;
  /** Absent: the page is no list, and has no filter, sort or selection. */
  readonly list?: List;
  /** What the list has of the body; absent: all of it. */
  listRoom?(state: State, body: Size): Size;
  /** Rows of the page. The frame cuts what does not fit. */
  body(state: State, size: Size): Line[];
  /** All that is known of one row. */
  detail?(state: State, key: string, size: Size): Line[];
}

export interface StateOptions {
  readonly size: Size;
  readonly nowMs: number;
  readonly ascii: boolean;
  readonly readonly: boolean;
}

export const initialState = (options: StateOptions): State => ({
  ...options,
  data: NO_DATA,
  shown: NO_DATA,
  history: NO_HISTORY,
  shownHistory: NO_HISTORY,
  link: { live: false, heardAtMs: 0, attempts: 0, nextAtMs: 0, reason: '' },
  page: 'overview',
  lists: {},
  mode: 'browse',
  helpTop: 0,
  detail: false,
  paused: false,
  notice: undefined,
  copied: undefined,
  quit: false,
});

/** The stream sends a heartbeat each 5 s; after two were missed the data counts as stale. */
const STALE_AFTER_MS = 12_000;

export const isStale = (state: State): boolean =>
  !state.link.live || state.nowMs - state.link.heardAtMs > STALE_AFTER_MS;
