import { describe, expect, test } from 'vitest';
import type { ApiEvent } from '../../src/tui/data.ts';
import { plain } from '../../src/tui/line.ts';
import { Store } from '../../src/tui/store.ts';
import { isoBefore, NOW_MS, nodeStatus, peer, snapshot } from './fixtures.ts';

function open(): { store: Store; drawn: () => number; tick: (ms: number) => void } {
  const size = { columns: 100, rows: 30 };
  const store = new Store({ size, nowMs: NOW_MS, ascii: false, readonly: false });
  let drawn = 0;
  store.subscribe(() => {
    drawn += 1;
  });
  const tick = (ms: number): void => store.dispatch({ type: 'tick', nowMs: NOW_MS + ms });
  store.dispatch({ type: 'connected', nowMs: NOW_MS });
  store.collect(snapshot(), NOW_MS);
  tick(0);
  return { store, drawn: () => drawn, tick };
}

const heartbeat: ApiEvent = { type: 'heartbeat', time: isoBefore(0) };

describe('the screen changes', () => {
  test('once a tick, however many events came', () => {
    const { store, drawn, tick } = open();
    const before = drawn();
    for (let pid = 1; pid <= 5000; pid += 1) {
      store.collect({ type: 'node', node: nodeStatus({ pid }) }, NOW_MS);
    }
    expect(drawn()).toBe(before);
    tick(500);
    expect(drawn()).toBe(before + 1);
    expect(store.frame().some((row) => plain(row).includes('pid 5000'))).toBe(true);
  });

  test('not at all when nothing that is shown has changed', () => {
    const { store, drawn, tick } = open();
    const before = drawn();
    const frame = store.frame();
    store.collect(heartbeat, NOW_MS);
    tick(100);
    store.collect({ type: 'peer', peer: peer() }, NOW_MS + 200);
    tick(300);
    expect(drawn()).toBe(before);
    expect(store.frame()).toBe(frame);
  });

  test('only in the rows that differ: the others stay the same objects', () => {
    const { store, tick } = open();
    const before = store.frame();
    store.collect({ type: 'node', node: nodeStatus({ pid: 7 }) }, NOW_MS);
    tick(100);
    const changed = store.frame().filter((row, i) => row !== before[i]);
    expect(changed.map(plain)).toEqual([expect.stringContaining('pid 7')]);
  });

  test('at once for a key and a new size', () => {
    const { store, drawn } = open();
    const before = drawn();
    store.dispatch({ type: 'key', key: '2', nowMs: NOW_MS });
    store.dispatch({ type: 'resize', size: { columns: 50, rows: 11 } });
    expect(drawn()).toBe(before + 2);
    expect(store.frame().length).toBe(11);
  });
});

test('a heartbeat keeps the data young', () => {
  const { store, tick } = open();
  tick(20_000);
  expect(plain(store.frame()[0] ?? [])).toContain('not answering');
  store.collect(heartbeat, NOW_MS + 20_500);
  tick(21_000);
  expect(plain(store.frame()[0] ?? [])).toContain('ready');
});

test('a reader that has left is not called', () => {
  const { store } = open();
  let calls = 0;
  const leave = store.subscribe(() => {
    calls += 1;
  });
  leave();
  store.dispatch({ type: 'key', key: '2', nowMs: NOW_MS });
  expect(calls).toBe(0);
});
