/** Filter, order, selection and scrolling of a list. The selection follows the key, not the row. */
import type { Data } from './data.ts';
import type { List, ListView } from './view.ts';

/** How long rows keep their places after the person moved. */
export const HOLD_MS = 3000;
export const FILTER_LENGTH_MAX = 100;

export const initialView = (list: List): ListView => ({
  filter: '',
  sort: list.sort,
  descending: list.descending,
  order: [],
  selected: undefined,
  top: 0,
  holdUntilMs: 0,
  arrangedFrom: undefined,
});

/** Brings order, selection and scroll position up to date with the data. */
export function settle(
  list: List,
  view: ListView,
  data: Data,
  options: { readonly nowMs: number; readonly rows: number },
): ListView {
  const source = list.source(data);
  const held = options.nowMs < view.holdUntilMs;
  // An order that was held keeps its old source, so it is made anew when the hold is over.
  if (source === view.arrangedFrom) return scroll(view, options.rows);
  const wanted = list.arrange(data, view);
  const order = held ? keepPlaces(view.order, wanted) : wanted;
  const arrangedFrom = held ? undefined : source;
  const selected = reselect(view, order);
  return scroll({ ...view, order, selected, arrangedFrom }, options.rows);
}

/** The old order without what is gone, then what is new. */
function keepPlaces(order: readonly string[], wanted: readonly string[]): string[] {
  const left = new Set(wanted);
  const kept = order.filter((key) => left.delete(key));
  return [...kept, ...left];
}

/** The same key; if it is gone, the nearest row after it that is left, then before it. */
function reselect(view: ListView, order: readonly string[]): string | undefined {
  const { selected } = view;
  if (selected === undefined) return order[0];
  const present = new Set(order);
  if (present.has(selected)) return selected;
  const was = view.order.indexOf(selected);
  const after = view.order.slice(was + 1).find((key) => present.has(key));
  return (
    after ?? view.order.slice(0, Math.max(0, was)).findLast((key) => present.has(key)) ?? order[0]
  );
}

/** Moves the window no further than needed to show the selection. */
function scroll(view: ListView, rows: number): ListView {
  const at = view.selected === undefined ? 0 : Math.max(0, view.order.indexOf(view.selected));
  const last = Math.max(0, view.order.length - rows);
  const top = Math.min(last, Math.max(at - rows + 1, Math.min(view.top, at)));
  return top === view.top ? view : { ...view, top };
}

/** Moves the selection by a number of rows; the ends hold it. */
export function move(view: ListView, by: number, nowMs: number): ListView {
  if (view.selected === undefined) return view;
  const at = view.order.indexOf(view.selected);
  const to = Math.min(view.order.length - 1, Math.max(0, at + by));
  return { ...view, selected: view.order[to], holdUntilMs: nowMs + HOLD_MS };
}

/** A changed filter or sort shows its effect at once. */
export const rearrange = (view: ListView, change: Partial<ListView>): ListView => ({
  ...view,
  ...change,
  holdUntilMs: 0,
  arrangedFrom: undefined,
});

export function nextSort(list: List, view: ListView): ListView {
  const at = list.columns.findIndex((column) => column.id === view.sort);
  const next = list.columns[(at + 1) % list.columns.length];
  return rearrange(view, { sort: next?.id ?? view.sort });
}

/** All words of the filter occur in the text, whatever their case. */
export function matcher(filter: string): (text: string) => boolean {
  const words = filter.toLowerCase().split(/\s+/u).filter(Boolean);
  return (text) => {
    const lower = text.toLowerCase();
    return words.every((word) => lower.includes(word));
  };
}
