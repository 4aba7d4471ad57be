import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { frame } from '../../src/tui/frame.ts';
import { lineWidth, plain } from '../../src/tui/line.ts';
import { HOLD_MS } from '../../src/tui/list.ts';
import { reduce, type State, selected } from '../../src/tui/state.ts';
import { initialState } from '../../src/tui/view.ts';
import { anyAction, anyKey } from './arbitrary.ts';
import { idOf, NOW_MS, nodeStatus, peer, press, snapshot, started } from './fixtures.ts';

const SIZE = { columns: 100, rows: 24 };
const empty = initialState({ size: SIZE, nowMs: NOW_MS, ascii: false, readonly: false });
const tick = (state: State, afterMs = 0): State =>
  reduce(state, { type: 'tick', nowMs: state.nowMs + afterMs });
const tell = (state: State, ...events: Parameters<typeof snapshot>[0][]): State =>
  reduce(state, { type: 'events', events: events.map(snapshot), nowMs: state.nowMs });

/** What must hold in every state that can be reached. */
function check(state: State): void {
  for (const view of Object.values(state.lists)) {
    expect(new Set(view.order).size).toBe(view.order.length);
    if (view.order.length === 0) expect(view.selected).toBeUndefined();
    else expect(view.order).toContain(view.selected);
    expect(view.top).toBeGreaterThanOrEqual(0);
    expect(view.top).toBeLessThanOrEqual(Math.max(0, view.order.length - 1));
  }
  const rows = frame(state);
  expect(rows.length).toBe(state.size.rows);
  for (const row of rows) {
    expect(lineWidth(row)).toBeLessThanOrEqual(state.size.columns);
    expect(plain(row)).not.toMatch(/\p{Cc}/u);
  }
}

describe('any order of actions', () => {
  test('throws nothing, keeps a valid selection and draws exactly the screen', () => {
    fc.assert(
      fc.property(fc.array(anyAction, { maxLength: 40 }), (actions) => {
        let state = empty;
        for (const action of actions) {
          state = reduce(state, action);
          check(state);
        }
      }),
      { numRuns: 150 },
    );
  });

  test('of keys alone leaves the data as it was', () => {
    fc.assert(
      fc.property(fc.array(anyKey, { maxLength: 60 }), (keys) => {
        const before = started(SIZE);
        const after = press(before, ...keys);
        check(after);
        expect(after.data).toBe(before.data);
      }),
    );
  });
});

describe('the selection', () => {
  test('follows the id when the rows change places', () => {
    let state = press(started(SIZE), '2', 'j');
    expect(selected(state)).toBe(idOf('c'));
    const renamed = [peer({ nodeId: idOf('c'), name: 'zoe' }), peer(), peer({ nodeId: idOf('d') })];
    state = tick(tell(state, { peers: renamed }), HOLD_MS + 1);
    expect(state.lists.peers?.order.at(-1)).toBe(idOf('c'));
    expect(selected(state)).toBe(idOf('c'));
  });

  test('goes to the next row when its row is gone, and nowhere when all are', () => {
    let state = press(started(SIZE), '2', 'j');
    state = tick(tell(state, { peers: [peer(), peer({ nodeId: idOf('d'), name: 'dave' })] }));
    expect(selected(state)).toBe(idOf('d'));
    expect(selected(tick(tell(state, { peers: [] })))).toBeUndefined();
  });

  test('rows keep their places while the person moves, and sort again afterwards', () => {
    const slow = { peers: [peer({ rttMs: 900 }), peer({ nodeId: idOf('c'), rttMs: 1 })] };
    let state = tick(tell(press(started(SIZE), '2', 's', 's'), { peers: slow.peers.toReversed() }));
    state = tick(
      tell(state, { peers: [peer({ rttMs: 5 }), peer({ nodeId: idOf('c'), rttMs: 9 })] }),
    );
    expect(state.lists.peers?.order).toEqual([idOf('b'), idOf('c')]);
    state = press(state, 'j');
    state = tick(tell(state, slow), 100);
    expect(state.lists.peers?.order).toEqual([idOf('b'), idOf('c')]);
    state = tick(state, HOLD_MS);
    expect(state.lists.peers?.order).toEqual([idOf('c'), idOf('b')]);
  });

  test('stays in sight in a list that is longer than the screen', () => {
    const peers = Array.from({ length: 90 }, (_, i) =>
      peer({ nodeId: `aegis1${i}`, name: `peer ${String(i).padStart(2, '0')}` }),
    );
    let state = press(tick(tell(started(SIZE), { peers })), '2', 'G');
    expect(frame(state).some((row) => plain(row).includes('peer 89'))).toBe(true);
    state = press(state, 'pageup', 'k');
    expect(selected(state)).toBe('aegis168');
    expect(frame(state).some((row) => plain(row).includes('peer 68'))).toBe(true);
    expect(selected(press(state, 'g'))).toBe('aegis10');
  });
});

describe('the filter', () => {
  test('works while it is typed, survives new data, and Esc clears it', () => {
    let state = press(started(SIZE), '2', '/', 'c', 'A', 'r');
    expect(state.lists.peers?.order).toEqual([idOf('c')]);
    state = press(tick(tell(state, {})), 'enter');
    expect(state.lists.peers?.order).toEqual([idOf('c')]);
    expect(press(state, 'escape').lists.peers?.order.length).toBe(3);
  });

  test('takes every key as text, letters of commands too, and backspace takes one back', () => {
    const state = press(started(SIZE), '2', '/', 'q', '?', ' ', '1', '山', 'backspace');
    expect(state.quit).toBe(false);
    expect(state.lists.peers?.filter).toBe('q? 1');
    expect(press(state, 'ctrl-c').quit).toBe(true);
  });

  test('has a limit, and each page its own', () => {
    const state = press(started(SIZE), '2', '/', ...Array<string>(300).fill('x'), 'enter', '3');
    expect(state.lists.peers?.filter.length).toBe(100);
    expect(state.lists.kb?.filter).toBe('');
  });
});

describe('pages and overlays', () => {
  test('number keys, Tab and the arrows go through the pages, and round', () => {
    const state = started(SIZE);
    expect(press(state, '3').page).toBe('kb');
    expect(press(state, '9').page).toBe('overview');
    expect(press(state, 'tab', 'right').page).toBe('kb');
    expect(press(state, 'shift-tab').page).toBe('tor');
    expect(press(state, 'tab', 'tab', 'tab', 'tab', 'tab').page).toBe('overview');
  });

  test('Enter opens the selected row, Esc goes back', () => {
    const state = press(started(SIZE), '2', 'enter');
    expect(state.detail).toBe(true);
    expect(frame(state).some((row) => plain(row).includes(idOf('b')))).toBe(true);
    expect(press(state, 'escape').detail).toBe(false);
    expect(press(started(SIZE), 'enter').detail).toBe(false);
  });

  test('help scrolls with j and k, any other key closes it, q quits', () => {
    const state = press(started(SIZE), '?');
    expect(press(state, 'j', 'j', 'k').helpTop).toBe(1);
    expect(press(state, 'x').mode).toBe('browse');
    expect(press(state, 'q').quit).toBe(true);
  });
});

describe('sorting', () => {
  test('goes through the columns, and reverses', () => {
    const state = press(started(SIZE), '2');
    expect(state.lists.peers?.sort).toBe('name');
    const byRtt = press(state, 's', 's');
    expect(byRtt.lists.peers?.order).toEqual([idOf('b'), idOf('c'), idOf('d')]);
    // A peer without a round trip has no place in the order: it stays last.
    expect(press(byRtt, 'r').lists.peers?.order).toEqual([idOf('c'), idOf('b'), idOf('d')]);
  });
});

describe('pause', () => {
  test('keeps the picture while data is collected, and shows it at once afterwards', () => {
    let state = press(started(SIZE), ' ');
    state = tick(tell(state, { node: nodeStatus({ name: 'renamed' }) }), 2000);
    expect(state.shown.node?.name).toBe('alice');
    expect(state.data.node?.name).toBe('renamed');
    expect(plain(frame(state)[0] ?? [])).toContain('PAUSED');
    expect(press(state, ' ').shown.node?.name).toBe('renamed');
  });
});

describe('the connection', () => {
  const banner = (state: State): string => plain(frame(state)[2] ?? []);

  test('a lost daemon is said, with the reason and the next attempt, and data is kept', () => {
    let state = started(SIZE);
    expect(banner(state)).not.toContain('not answering');
    const nextAtMs = NOW_MS + 4000;
    state = reduce(state, { type: 'lost', reason: 'it went', attempts: 3, nextAtMs });
    expect(banner(state)).toContain('daemon not answering, retrying in 4 s, attempt 3: it went');
    expect(frame(state).some((row) => plain(row).includes('archive'))).toBe(true);
    state = reduce(state, { type: 'connected', nowMs: NOW_MS + 5000 });
    expect(banner(tick(state, 5000))).not.toContain('not answering');
  });

  test('silence makes data stale without a lost connection', () => {
    const state = tick(started(SIZE), 13_000);
    expect(banner(state)).toContain('daemon not answering');
    expect(plain(frame(state)[0] ?? [])).toContain('data 13 s old');
    const heard = reduce(state, {
      type: 'events',
      events: [{ type: 'heartbeat', time: '2026-11-20T12:00:13Z' }],
      nowMs: state.nowMs,
    });
    expect(plain(frame(heard)[0] ?? [])).toContain('data 0 s old');
  });
});

test('copying says what was copied, for a while', () => {
  const state = press(started(SIZE), '2', 'y');
  expect(state.copied).toEqual({ text: idOf('b') });
  expect(plain(frame(state).at(-1) ?? [])).toContain(`copied ${idOf('b')}`);
  expect(plain(frame(tick(state, 4000)).at(-1) ?? [])).not.toContain('copied');
  expect(press(started(SIZE), 'y').copied).toBeUndefined();
});
