/** What each route has of transports and listeners, what `require` refuses (O1, O2, O5, O24). */
import { expect, test } from 'vitest';
import { DEFAULT_SETTINGS, type Settings } from '../../../src/core/config/settings.ts';
import {
  answerMsOf,
  checkRoute,
  routeOf,
  syncMsOf,
  timingOf,
} from '../../../src/core/node/route.ts';

const settings = (more: Partial<Settings> = {}): Settings => ({ ...DEFAULT_SETTINGS, ...more });

test('require has neither TCP nor a listener, prefer has both, off has no Tor', () => {
  const all = settings({ 'node.listen': ['/ip4/0.0.0.0/tcp/4001'] });
  expect(routeOf('off', all)).toMatchObject({ usesTor: false, usesTcp: true, profile: 'network' });
  expect(routeOf('prefer', all)).toMatchObject({ usesTor: true, usesTcp: true, usesExits: true });
  const required = routeOf('require', all);
  expect(required).toMatchObject({ usesTor: true, usesTcp: false, usesExits: false, listen: [] });
  expect(required.profile).toBe('loopback');
});

test.each([
  ['off', 'on', false],
  ['prefer', 'auto', true],
  ['prefer', 'off', false],
  ['require', 'auto', false],
  ['require', 'on', true],
] as const)('exits of %s with tor.exits %s: %s (O5)', (mode, exits, used) => {
  expect(routeOf(mode, settings({ 'tor.exits': exits })).usesExits).toBe(used);
});

test.each([
  { 'node.listen': ['/ip4/127.0.0.1/tcp/0', '/ip4/192.0.2.7/tcp/4001'] },
  { 'node.listen': ['/ip6/::/tcp/4001'] },
  { 'api.listen': '0.0.0.0:7000' },
  { 'api.listen': 'host.example:7000' },
])('require does not begin with %j (O2)', (open) => {
  const [key] = Object.keys(open);
  expect(() => checkRoute('require', settings(open))).toThrow(`the route is require, and ${key}`);
  expect(() => checkRoute('prefer', settings(open))).not.toThrow();
});

test.each([
  { 'api.listen': '127.0.0.1:7000' },
  { 'api.listen': '[::1]:7000' },
  { 'node.listen': ['/ip6/::1/tcp/4001', '/ip4/127.0.0.2/tcp/0'] },
])('require begins with %j', (local) => {
  expect(() => checkRoute('require', settings(local))).not.toThrow();
});

test('consensus begins with ten times its usual time where Tor carries it (O24)', () => {
  expect(timingOf('off')).toEqual({});
  expect(syncMsOf('off')).toBe(3000);
  for (const mode of ['prefer', 'require'] as const) {
    expect(syncMsOf(mode)).toBe(30_000);
    expect(timingOf(mode)).toMatchObject({ timing: { firstMs: 10_000, minMs: 3000 } });
  }
});

test('a peer behind Tor has longer to answer than a direct one', () => {
  expect(answerMsOf(undefined, 3000)).toBe(3000);
  expect(answerMsOf({ class: 'direct' }, 3000)).toBe(3000);
  expect(answerMsOf({ class: 'onion' }, 3000)).toBe(15_000);
  expect(answerMsOf({ class: 'exit' }, 3000)).toBe(15_000);
});
