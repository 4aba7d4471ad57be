/** The page of Tor, in the states in which a person looks at it. */
import { describe, expect, test } from 'vitest';
import type { TorStatus } from '../../src/tui/data.ts';
import { type Line, plain } from '../../src/tui/line.ts';
import { torPage } from '../../src/tui/panes/tor.ts';
import { reduce } from '../../src/tui/state.ts';
import { ONION, TOR_OFF, TOR_READY } from '../core/api/memory-tor.ts';
import { idOf, isoBefore, NOW_MS, peer, press, snapshot, started } from './fixtures.ts';

const SIZE = { columns: 100, rows: 30 };
const PEERS = [
  peer({ route: 'onion', lanes: 2, address: `/onion3/${'b'.repeat(56)}:4001` }),
  peer({ nodeId: idOf('c'), name: 'carol', route: null, state: 'waiting', address: null }),
];
const of = (tor: TorStatus, size = SIZE) =>
  torPage.body(press(started(size, { event: snapshot({ tor, peers: PEERS }) }), '5'), size);
const text = (lines: readonly Line[]): string => lines.map(plain).join('\n');
const toneOf = (lines: readonly Line[], words: string): string | undefined =>
  lines.flat().find((span) => span.text.includes(words))?.tone;

test('off says so, and what connections go over', () => {
  const lines = of(TOR_OFF);
  expect(text(lines)).toMatch(/^route +off: peers see where this node is$/m);
  expect(text(lines)).toMatch(/^connections +0 onion {2}0 through exits {2}1 direct$/m);
  expect(text(lines)).not.toContain('bootstrap');
});

describe('require', () => {
  test('ready: services, guards, and the route of each peer', () => {
    const lines = of(TOR_READY);
    expect(text(lines)).toMatch(/^route +require {2}ready$/m);
    expect(text(lines)).toMatch(/^bootstrap +done$/m);
    expect(text(lines)).toMatch(new RegExp(`^onion +${ONION} {2}published`, 'm'));
    expect(text(lines)).toMatch(/^before +b{56}\.onion .*\n? *.*until 2026-11-27T12:00/m);
    expect(text(lines)).toMatch(/^tor +0\.4\.9\.11 {2}our own, pid 77 {2}socks unix:\/run\/tor/m);
    expect(text(lines)).toMatch(/bob +connected +onion +2 /);
    expect(text(lines)).toMatch(/carol +waiting +- /);
    expect(toneOf(lines, `${ONION}  published`)).toBe('good');
  });

  test('a direct connection in it is red: there must be none', () => {
    const connections = { onion: 1, exit: 0, direct: 1 };
    expect(toneOf(of({ ...TOR_READY, connections }), '1 direct')).toBe('bad');
    expect(toneOf(of({ ...TOR_READY, route: 'prefer', connections }), '1 direct')).toBe('plain');
  });

  test('on the way: how far, since when, how long still, and the cause', () => {
    const bootstrap = {
      ...{ percent: 45, tag: 'requesting_descriptors', summary: 'Asking for relay descriptors' },
      ...{ warning: 'No route to host', reason: 'NOROUTE' },
      ...{ startedAt: isoBefore(12_000), leftMs: 8000 },
    };
    const lines = of({ ...TOR_READY, state: 'bootstrapping', hasCircuits: false, bootstrap });
    expect(text(lines)).toMatch(
      /^bootstrap +45 % \[={9} {11}\] Asking for relay descriptors {2}12 s {2}about 8 s left$/m,
    );
    expect(toneOf(lines, 'No route to host (NOROUTE)')).toBe('bad');
    expect(text(lines)).toMatch(/^circuits +none can be built yet/m);
  });

  test('closed: why comes before everything else, on a low terminal too', () => {
    const down = { ...TOR_READY, state: 'down' as const, why: 'no Tor answers', hint: 'Start Tor' };
    const lines = of(down, { columns: 60, rows: 8 });
    expect(lines.length).toBeLessThanOrEqual(8);
    expect(lines.slice(0, 3).map(plain).join('\n')).toMatch(
      /^route +require {2}down\nwhy +no Tor answers\n +Start Tor$/,
    );
    expect(toneOf(lines, 'require')).toBe('bad');
  });
});

test('events of Tor replace what is shown; other pages keep theirs', () => {
  let state = press(started(SIZE, { event: snapshot() }), '5');
  expect(state.page).toBe('tor');
  state = reduce(state, {
    type: 'events',
    events: [{ type: 'tor', tor: TOR_READY }],
    nowMs: NOW_MS,
  });
  expect(state.shown.tor).toEqual(TOR_OFF);
  state = reduce(state, { type: 'tick', nowMs: NOW_MS });
  expect(state.shown.tor).toBe(TOR_READY);
  expect(state.shown.peers).toBe(state.data.peers);
});
