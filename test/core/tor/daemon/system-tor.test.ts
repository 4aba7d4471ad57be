import { expect, test } from 'vitest';
import { systemTor } from '../../../../src/core/tor/daemon/system-tor.ts';
import { fakeTor } from '../control/support.ts';

test.each([
  ['"127.0.0.1:9050" "unix:/nowhere"', { host: '127.0.0.1', port: 9050 }],
  ['"0.0.0.0:9050"', { host: '127.0.0.1', port: 9050 }],
  ['"[::]:9050"', { host: '::1', port: 9050 }],
  ['"unix:/nowhere" "192.0.2.7:9050" "[::1]:9050"', { host: '::1', port: 9050 }],
])('of the SOCKS ports %s one on this machine is taken', async (listeners, socks) => {
  const tor = await fakeTor();
  tor.listeners = listeners;
  expect(await systemTor({ control: tor.control })).toMatchObject({ socks });
});

test('whatever answers at the control port leads to no other machine', async () => {
  const tor = await fakeTor();
  const { control } = tor;
  tor.listeners = '"192.0.2.7:9050" "tor.example:9050" "[2001:db8::1]:9050"';
  await expect(systemTor({ control })).rejects.toMatchObject({
    code: 'TOR_UNREACHABLE',
    message: expect.stringContaining('may open none of the SOCKS ports'),
  });
  const socks = { host: '192.0.2.7', port: 9050 };
  expect(await systemTor({ control, socks })).toMatchObject({ socks });
  tor.listeners = '';
  await expect(systemTor({ control })).rejects.toThrow('has no SOCKS port');
});
