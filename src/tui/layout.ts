/** How the rows of the terminal are shared out. The reducer and the frame must agree on it. */
import { isStale, type Size, type State } from './view.ts';

/** Below this width columns are few and words are short. */
const NARROW_COLUMNS = 60;
/** Below this height the tabs move into the header. */
const LOW_ROWS = 12;
const FOOTER_ROWS_MIN = 4;

export interface Layout {
  readonly narrow: boolean;
  readonly tabs: boolean;
  readonly banner: boolean;
  readonly footer: boolean;
  /** What is left for the page. */
  readonly body: Size;
}

export function layoutOf(state: State): Layout {
  const { columns, rows } = state.size;
  const tabs = rows >= LOW_ROWS;
  const banner = isStale(state) && rows >= FOOTER_ROWS_MIN;
  const footer = rows >= FOOTER_ROWS_MIN;
  const taken = 1 + Number(tabs) + Number(banner) + Number(footer);
  return {
    narrow: columns < NARROW_COLUMNS,
    tabs,
    banner,
    footer,
    body: { columns, rows: Math.max(0, rows - taken) },
  };
}

/** Rows of a list that fit below its heading. */
export const listRows = (body: Size): number => Math.max(1, body.rows - 1);
