/** Which key does what. The help overlay and the footer are made from this table. Pure. */
import type { Page } from './view.ts';

type Verb =
  | 'page'
  | 'next-page'
  | 'previous-page'
  | 'up'
  | 'down'
  | 'page-up'
  | 'page-down'
  | 'first'
  | 'last'
  | 'open'
  | 'back'
  | 'filter'
  | 'sort'
  | 'reverse'
  | 'pause'
  | 'copy'
  | 'help'
  | 'quit';

export interface Command {
  readonly do: Verb;
  /** Which page, for `page`; from 1. */
  readonly number?: number;
}

/** A key: one character as typed, or the name of a key that types none. */
export type Key = string;
interface Binding {
  readonly keys: readonly Key[];
  readonly does: Verb;
  /** The keys in words. */
  readonly label: string;
  readonly help: string;
  /** A word for the footer; absent: the footer does not mention it. */
  readonly short?: string;
  /** Only on a page that has a list, or details. */
  readonly needs?: 'list' | 'detail';
}

const BINDINGS: readonly Binding[] = [
  { keys: ['tab', 'right'], does: 'next-page', label: 'Tab, right', help: 'next page' },
  { keys: ['shift-tab', 'left'], does: 'previous-page', label: 'S-Tab, left', help: 'page before' },
  { keys: ['down', 'j'], does: 'down', label: 'j, down', help: 'next row', needs: 'list' },
  { keys: ['up', 'k'], does: 'up', label: 'k, up', help: 'row before', needs: 'list' },
  { keys: ['pagedown'], does: 'page-down', label: 'PgDn', help: 'a screen down', needs: 'list' },
  { keys: ['pageup'], does: 'page-up', label: 'PgUp', help: 'a screen up', needs: 'list' },
  { keys: ['g', 'home'], does: 'first', label: 'g, Home', help: 'first row', needs: 'list' },
  { keys: ['G', 'end'], does: 'last', label: 'G, End', help: 'last row', needs: 'list' },
  {
    keys: ['enter'],
    does: 'open',
    label: 'Enter',
    help: 'all about the selected row',
    short: 'details',
    needs: 'detail',
  },
  {
    keys: ['/'],
    does: 'filter',
    label: '/',
    help: 'show only rows with these words; Enter keeps the filter, Esc clears it',
    short: 'filter',
    needs: 'list',
  },
  {
    keys: ['s'],
    does: 'sort',
    label: 's',
    help: 'sort by the next column',
    short: 'sort',
    needs: 'list',
  },
  {
    keys: ['r'],
    does: 'reverse',
    label: 'r',
    help: 'reverse the order',
    short: 'reverse',
    needs: 'list',
  },
  {
    keys: ['y'],
    does: 'copy',
    label: 'y',
    help: 'copy the id of the row, if the terminal allows it (OSC 52)',
    needs: 'list',
  },
  {
    keys: [' '],
    does: 'pause',
    label: 'Space',
    help: 'pause the screen; data is still collected',
    short: 'pause',
  },
  { keys: ['escape'], does: 'back', label: 'Esc', help: 'back; clear the filter' },
  { keys: ['?'], does: 'help', label: '?', help: 'these keys', short: 'help' },
  { keys: ['q', 'ctrl-c'], does: 'quit', label: 'q, Ctrl-C', help: 'quit', short: 'quit' },
];

const applies = (binding: Binding, page: Page): boolean =>
  binding.needs === undefined ||
  (binding.needs === 'list' ? page.list !== undefined : page.detail !== undefined);

/** What a key does on a page while browsing. */
export function commandOf(key: Key, page: Page): Command | undefined {
  if (/^[1-9]$/.test(key)) return { do: 'page', number: Number(key) };
  const binding = BINDINGS.find((one) => one.keys.includes(key) && applies(one, page));
  return binding && { do: binding.does };
}

/** Every key of a page and what it does, for the help. */
export function helpOf(page: Page, pages: number): { label: string; help: string }[] {
  const numbers = { label: `1 - ${pages}`, help: 'go to a page' };
  return [numbers, ...BINDINGS.filter((binding) => applies(binding, page))];
}

/** The most useful keys, for the footer, the most important first. */
export function footerOf(page: Page): { key: string; word: string }[] {
  const rank: Verb[] = ['help', 'quit', 'filter', 'open', 'sort', 'pause', 'reverse'];
  return BINDINGS.filter((binding) => binding.short !== undefined && applies(binding, page))
    .toSorted((a, b) => rank.indexOf(a.does) - rank.indexOf(b.does))
    .map(({ label, short }) => ({ key: label.split(',')[0] ?? label, word: short ?? '' }));
}
