import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { ERRORS, isAegisError } from '../../../../src/core/errors.ts';
import { type SocksIsolation, socksConnect } from '../../../../src/core/tor/socks/connect.ts';
import { socksError } from '../../../../src/core/tor/socks/refusal.ts';
import type { FakeTor } from '../../../helpers/fake-tor.ts';
import { fakeTor } from '../control/support.ts';

const ONION = `${'a'.repeat(56)}.onion`;

async function serverFor(serve: (socket: Socket) => void): Promise<{ host: string; port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    serve(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

interface Dial {
  readonly host?: string;
  readonly port?: number;
  readonly isolation?: SocksIsolation;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

function dial(
  tor: FakeTor,
  { host = ONION, port = 4001, isolation, timeoutMs = 5000, signal }: Dial = {},
) {
  const target = { proxy: tor.socks, host, port };
  const options = { timeoutMs, ...(signal === undefined ? {} : { signal }) };
  return socksConnect(isolation === undefined ? target : { ...target, isolation }, options);
}

test.each(['none', 'socks-pieces', 'socks-name'])('a connection: %s', async (fault) => {
  const tor = await fakeTor({ fault });
  // It speaks first: what it says comes with the last bytes of the answer of SOCKS.
  const target = await serverFor((socket) => socket.end('hello of the service'));
  tor.targets.set(`${ONION}:4001`, target);
  const socket = await dial(tor, { isolation: { username: 'talk-1', password: 'p' } });
  // Later, as somebody does who has to do something else first.
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  expect(text).toBe('hello of the service');
  expect(tor.requests).toEqual([{ host: ONION, port: 4001, credentials: 'talk-1:p' }]);
});

test.each([
  ['example.org', 'example.org'],
  ['192.0.2.7', '192.0.2.7'],
  ['2001:db8::7', '2001:0db8:0000:0000:0000:0000:0000:0007'],
  ['::', '0000:0000:0000:0000:0000:0000:0000:0000'],
  ['::ffff:192.0.2.7', '0000:0000:0000:0000:0000:ffff:c000:0207'],
  ['1:2:3:4:5:6:7:8', '0001:0002:0003:0004:0005:0006:0007:0008'],
])('%s goes to Tor as it is, and is not resolved (O5)', async (host, sent) => {
  const tor = await fakeTor({ fault: 'socks-04' });
  await expect(dial(tor, { host, port: 80 })).rejects.toMatchObject({ code: 'DIAL_FAILED' });
  expect(tor.requests).toEqual([{ host: sent, port: 80 }]);
});

test.each([`${ONION}.`, `${ONION}..`, ONION.toUpperCase()])(
  '%s is told to no exit (O5)',
  async (host) => {
    const tor = await fakeTor({ fault: 'socks-f0' });
    await expect(dial(tor, { host })).rejects.toMatchObject({ code: 'ONION_NOT_FOUND' });
    expect(tor.requests).toEqual([{ host: ONION, port: 4001 }]);
  },
);

const CODES = {
  '01': ['ONION_UNREACHABLE', 'DIAL_FAILED'],
  '02': ['EXIT_REFUSED', 'EXIT_REFUSED'],
  '03': ['ONION_UNREACHABLE', 'DIAL_FAILED'],
  '04': ['ONION_UNREACHABLE', 'DIAL_FAILED'],
  '05': ['ONION_UNREACHABLE', 'DIAL_FAILED'],
  '06': ['ONION_UNREACHABLE', 'TIMEOUT'],
  '07': ['TOR_FAILED', 'TOR_FAILED'],
  '08': ['TOR_FAILED', 'TOR_FAILED'],
  f0: ['ONION_NOT_FOUND', 'DIAL_FAILED'],
  f1: ['ONION_UNREACHABLE', 'DIAL_FAILED'],
  f2: ['ONION_UNREACHABLE', 'DIAL_FAILED'],
  f3: ['ONION_UNREACHABLE', 'DIAL_FAILED'],
  f4: ['ONION_AUTH', 'DIAL_FAILED'],
  f5: ['ONION_AUTH', 'DIAL_FAILED'],
  f6: ['BAD_ONION_ADDRESS', 'DIAL_FAILED'],
  f7: ['ONION_UNREACHABLE', 'DIAL_FAILED'],
} as const;

test.each(Object.entries(CODES))('SOCKS error %s', async (hex, [onion, exit]) => {
  const tor = await fakeTor({ fault: `socks-${hex}` });
  const details = { socks: Number.parseInt(hex, 16) };
  await expect(dial(tor)).rejects.toMatchObject({ code: onion, details });
  await expect(dial(tor, { host: '192.0.2.7' })).rejects.toMatchObject({ code: exit, details });
});

test('each of these errors has a message of its own, and a hint', () => {
  const errors = Object.keys(CODES).map((hex) => socksError(Number.parseInt(hex, 16), ONION, 1));
  expect(new Set(errors.map(({ message }) => message)).size).toBe(errors.length);
  for (const { code, hint } of errors) expect(hint, code).toBeDefined();
  const exits = ['01', '02', '03', '04', '05', '06'].map(
    (hex) => socksError(Number.parseInt(hex, 16), 'example.org', 1).message,
  );
  expect(new Set(exits).size).toBe(exits.length);
});

test.each([
  ['socks-no-tor', 'it does not speak SOCKS5'],
  ['socks-no-method', 'it does not isolate by credentials'],
  ['socks-no-isolation', 'it does not isolate by credentials'],
  ['socks-cut', 'it ended the connection without an answer'],
  ['socks-half', 'it ended the connection without an answer'],
])('%s: the proxy is none of Tor', async (fault, message) => {
  const tor = await fakeTor({ fault });
  // O11: never a circuit that others use, when one of its own was asked for.
  const isolation = { username: 'user', password: 'geheim' };
  const attempt = dial(tor, { isolation });
  await expect(attempt).rejects.toMatchObject({
    code: 'TOR_UNREACHABLE',
    message: expect.stringContaining(message),
  });
  await expect(attempt).rejects.not.toThrow('geheim');
});

test('silence before the request is that of the proxy, after it that of the target', async () => {
  const [mute, tor] = [await fakeTor({ fault: 'socks-mute' }), await fakeTor({ fault: 'pow' })];
  // Long enough for the request to go out on a busy machine.
  const quick = { timeoutMs: 2000 };
  await Promise.all([
    expect(dial(mute, quick)).rejects.toMatchObject({ code: 'TOR_UNREACHABLE' }),
    expect(dial(tor, quick)).rejects.toMatchObject({
      code: 'ONION_UNREACHABLE',
      hint: expect.stringContaining('proof of work'),
    }),
    expect(dial(tor, { ...quick, host: 'example.org' })).rejects.toMatchObject({ code: 'TIMEOUT' }),
  ]);
});

test('nobody there', async () => {
  const tor = await fakeTor();
  await tor.stop();
  await expect(dial(tor)).rejects.toMatchObject({
    code: 'TOR_UNREACHABLE',
    message: expect.stringContaining('no SOCKS port of Tor at unix:'),
  });
});

test('a signal ends the dial at once, before it and in the middle of it', async () => {
  const tor = await fakeTor({ fault: 'socks-hang' });
  const gone = dial(tor, { signal: AbortSignal.abort(new Error('before')) });
  await expect(gone).rejects.toThrow('before');
  const stop = new AbortController();
  const attempt = dial(tor, { signal: stop.signal, timeoutMs: 60_000 });
  await expect.poll(() => tor.requests.length).toBe(1);
  stop.abort(new Error('meanwhile'));
  await expect(attempt).rejects.toThrow('meanwhile');
});

test('what cannot be asked for is asked of nobody', async () => {
  const tor = await fakeTor();
  const bad = { code: 'BAD_REQUEST' };
  for (const host of ['', 'a b', 'a\0b', 'ü.example', 'x'.repeat(256), 'fe80::1%eth0']) {
    await expect(dial(tor, { host }), host).rejects.toMatchObject(bad);
  }
  for (const port of [0, -1, 1.5, 65_536, Number.NaN]) {
    await expect(dial(tor, { port })).rejects.toMatchObject(bad);
  }
  const isolation = { username: '', password: 'x'.repeat(256) };
  await expect(dial(tor, { isolation })).rejects.toMatchObject(bad);
  expect(tor.requests).toEqual([]);
});

test('whatever a proxy answers, a dial ends with an error of the table or a socket', async () => {
  const piece = fc.oneof(
    fc.constantFrom([5, 0], [5, 2], [1, 0], [5, 0, 0, 1], [5, 0, 0, 3, 255], [5, 0xf4, 0, 1]),
    fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 6 }),
  );
  let answer = Buffer.alloc(0);
  const proxy = await serverFor((socket) => socket.resume().end(answer));
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 6 }),
      fc.boolean(),
      async (pieces, isIsolated) => {
        answer = Buffer.from(pieces.flat());
        const isolation = { username: 'u', password: 'p' };
        const target = { proxy, host: ONION, port: 1, ...(isIsolated ? { isolation } : {}) };
        try {
          (await socksConnect(target, { timeoutMs: 5000 })).destroy();
        } catch (error) {
          expect(isAegisError(error) && error.code in ERRORS && error.code !== 'BUG').toBe(true);
        }
      },
    ),
    { numRuns: 60 },
  );
});
