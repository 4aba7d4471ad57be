/** Where Tor hands over what comes in. */
import { expect, test } from 'vitest';
import { DEFAULT_SETTINGS } from '../../../src/core/config/settings.ts';
import { targetOf } from '../../../src/core/node/which-tor.ts';

const targetIn = (run: string, target = 'auto') =>
  targetOf(
    { settings: { ...DEFAULT_SETTINGS, 'tor.target': target }, paths: { data: '', logs: '', run } },
    { kind: 'spawn', socks: { path: '/run/tor/socks' } },
  );

test('is a unix socket of this user for a Tor of our own', async () => {
  expect(await targetIn('/home/a/run')).toEqual({ path: '/home/a/run/onion.sock' });
  expect(await targetIn('/home/a/run', 'tcp')).toEqual({ host: '127.0.0.1', port: 0 });
  expect(await targetIn('/home/a/run', 'unix:/b')).toEqual({ path: '/b' });
});

test('is on loopback where the path cannot be said to Tor', async () => {
  const loopback = { host: '127.0.0.1', port: 0 };
  for (const home of ['/home/a b', '/home/jörg', '/home/a\nPort=22,198.51.100.1:22']) {
    expect(await targetIn(`${home}/run`)).toEqual(loopback);
  }
});
