/**
 * The reducer: everything that happens to the monitor is an action, and the next state depends on
 * nothing else. No clock, no terminal, no network; any order of actions leaves a valid state.
 */
import { type ApiEvent, reduceEvents } from './data.ts';
import { sample } from './history.ts';
import { type Command, commandOf, helpOf, type Key } from './keys.ts';
import { layoutOf, listRows } from './layout.ts';
import { FILTER_LENGTH_MAX, initialView, move, nextSort, rearrange, settle } from './list.ts';
import { PAGES, pageOf } from './pages.ts';
import type { ListView, PageId, Size, State } from './view.ts';

export { initialState, type State } from './view.ts';

export type Action =
  /** Lines of the event stream, in order. */
  | { readonly type: 'events'; readonly events: readonly ApiEvent[]; readonly nowMs: number }
  | { readonly type: 'connected'; readonly nowMs: number }
  | {
      readonly type: 'lost';
      readonly reason: string;
      readonly attempts: number;
      readonly nextAtMs: number;
    }
  | { readonly type: 'key'; readonly key: Key; readonly nowMs: number }
  | { readonly type: 'resize'; readonly size: Size }
  | { readonly type: 'tick'; readonly nowMs: number };

const NOTICE_MS = 3000;

export function reduce(state: State, action: Action): State {
  switch (action.type) {
    case 'resize':
      return settled({ ...state, size: action.size });
    case 'tick':
      return settled(tick(state, action.nowMs));
    case 'key':
      return settled(press({ ...state, nowMs: action.nowMs }, action.key));
    default:
      return hear(state, action);
  }
}

/** What comes from the daemon shows at the next tick, so it settles nothing here. */
function hear(
  state: State,
  action: Extract<Action, { type: 'events' | 'connected' | 'lost' }>,
): State {
  const { heardAtMs } = state.link;
  if (action.type === 'events') {
    const data = reduceEvents(state.data, action.events);
    return { ...state, data, link: { ...state.link, heardAtMs: action.nowMs } };
  }
  if (action.type === 'connected') {
    const link = { live: true, heardAtMs: action.nowMs, attempts: 0, nextAtMs: 0, reason: '' };
    return { ...state, link };
  }
  const { reason, attempts, nextAtMs } = action;
  return { ...state, link: { live: false, heardAtMs, reason, attempts, nextAtMs } };
}

/** Shows the newest data, unless the person paused the screen. Data is collected all the same. */
function tick(state: State, nowMs: number): State {
  const history = sample(state.history, state.data, nowMs);
  const notice = state.notice && nowMs < state.notice.untilMs ? state.notice : undefined;
  const next = { ...state, nowMs, history, notice };
  return state.paused ? next : { ...next, shown: state.data, shownHistory: history };
}

/** Brings the list of the current page up to date. Other lists wait until they are shown. */
function settled(state: State): State {
  const { list } = pageOf(state.page);
  if (list === undefined) return state;
  const view = state.lists[state.page] ?? initialView(list);
  const rows = screenful(state);
  return withView(state, settle(list, view, state.shown, { nowMs: state.nowMs, rows }));
}

const withView = (state: State, view: ListView): State =>
  state.lists[state.page] === view
    ? state
    : { ...state, lists: { ...state.lists, [state.page]: view } };

function press(state: State, key: Key): State {
  if (key === 'ctrl-c') return { ...state, quit: true };
  if (state.mode === 'filter') return pressInFilter(state, key);
  if (state.mode === 'help') return pressInHelp(state, key);
  const command = commandOf(key, pageOf(state.page));
  return command === undefined ? state : run(state, command);
}

function pressInFilter(state: State, key: Key): State {
  const edit = (change: (filter: string) => string): State =>
    changeView(state, (view) => rearrange(view, { filter: change(view.filter) }));
  if (key === 'enter') return { ...state, mode: 'browse' };
  if (key === 'escape') return { ...edit(() => ''), mode: 'browse' };
  if (key === 'backspace') return edit((filter) => filter.replace(/.$/u, ''));
  if (key === 'up' || key === 'down') return run({ ...state, mode: 'browse' }, { do: key });
  const typed = isTyped(key);
  return typed ? edit((filter) => (filter + key).slice(0, FILTER_LENGTH_MAX)) : state;
}

/** Names of keys are words; what is typed is one character, which may be several code units. */
const isTyped = (key: Key): boolean => !/^[a-z-]{2,}$|^\p{Cc}/u.test(key) && key !== '';

function pressInHelp(state: State, key: Key): State {
  const command = commandOf(key, pageOf(state.page));
  if (command?.do === 'quit') return { ...state, quit: true };
  const by = key === 'down' || key === 'j' ? 1 : key === 'up' || key === 'k' ? -1 : 0;
  if (by === 0) return { ...state, mode: 'browse' };
  const last = helpOf(pageOf(state.page), PAGES.length).length - 1;
  return { ...state, helpTop: Math.min(last, Math.max(0, state.helpTop + by)) };
}

function changeView(state: State, change: (view: ListView) => ListView): State {
  const { list } = pageOf(state.page);
  if (list === undefined) return state;
  return withView(state, change(state.lists[state.page] ?? initialView(list)));
}

const turn = (state: State, page: PageId | undefined): State =>
  page === undefined || page === state.page ? state : { ...state, page, detail: false };

const beside = (state: State, by: number): PageId | undefined => {
  const at = PAGES.findIndex((page) => page.id === state.page);
  return PAGES[(at + by + PAGES.length) % PAGES.length]?.id;
};

const go = (state: State, by: number): State =>
  changeView(state, (view) => move(view, by, state.nowMs));

/** Rows of the list that are on the screen. */
function screenful(state: State): number {
  const { body } = layoutOf(state);
  return listRows(pageOf(state.page).listRoom?.(state, body) ?? body);
}

/** What each command does to the state. */
const COMMANDS: Readonly<Record<Command['do'], (state: State, number: number) => State>> = {
  page: (state, number) => turn(state, PAGES[number - 1]?.id),
  'next-page': (state) => turn(state, beside(state, 1)),
  'previous-page': (state) => turn(state, beside(state, -1)),
  up: (state) => go(state, -1),
  down: (state) => go(state, 1),
  'page-up': (state) => go(state, -screenful(state)),
  'page-down': (state) => go(state, screenful(state)),
  first: (state) => go(state, -Infinity),
  last: (state) => go(state, Infinity),
  open: (state) => (selected(state) === undefined ? state : { ...state, detail: !state.detail }),
  back,
  filter: (state) => ({ ...state, mode: 'filter', detail: false }),
  sort(state) {
    const { list } = pageOf(state.page);
    return list === undefined ? state : changeView(state, (view) => nextSort(list, view));
  },
  reverse: (state) =>
    changeView(state, (view) => rearrange(view, { descending: !view.descending })),
  pause,
  copy,
  help: (state) => ({ ...state, mode: 'help', helpTop: 0 }),
  quit: (state) => ({ ...state, quit: true }),
};

const run = (state: State, command: Command): State =>
  COMMANDS[command.do](state, command.number ?? 0);

/** The key of the selected row of the current page. */
export function selected(state: State): string | undefined {
  return state.lists[state.page]?.selected;
}

function back(state: State): State {
  if (state.detail) return { ...state, detail: false };
  const filter = state.lists[state.page]?.filter ?? '';
  return filter === '' ? state : changeView(state, (view) => rearrange(view, { filter: '' }));
}

function pause(state: State): State {
  if (!state.paused) return { ...state, paused: true };
  return { ...state, paused: false, shown: state.data, shownHistory: state.history };
}

function copy(state: State): State {
  const text = selected(state);
  if (text === undefined) return state;
  const notice = { text: `copied ${text}`, untilMs: state.nowMs + NOTICE_MS };
  return { ...state, copied: { text }, notice };
}
