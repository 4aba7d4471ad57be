import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { fetchThrough } from '../../../src/core/tor/http.ts';
import type { FakeTor } from '../../helpers/fake-tor.ts';
import { fakeTor } from './control/support.ts';

const HOST = `${'a'.repeat(56)}.onion`;
const isolation = { username: 'kb import', password: 'geheim:/?#@' };

type Serve = (request: IncomingMessage, response: ServerResponse) => void;

/** The service is at `HOST` through `tor`. */
async function site(tor: FakeTor, serve: Serve): Promise<void> {
  const server = createServer(serve).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  tor.targets.set(`${HOST}:80`, { host: '127.0.0.1', port });
}

const get = (tor: FakeTor, options: Partial<Parameters<typeof fetchThrough>[1]> = {}, path = '/') =>
  fetchThrough(`http://${HOST}${path}`, {
    proxy: tor.socks,
    maxBytes: 1000,
    isolation,
    ...options,
  });

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  let text = '';
  for await (const chunk of body) text += Buffer.from(chunk).toString();
  return text;
}

test('the name goes to Tor, on a circuit of its own (O5, O11)', async () => {
  const tor = await fakeTor();
  let headers: IncomingMessage['headers'] = {};
  await site(tor, (request, response) => {
    ({ headers } = request);
    response.end('content');
  });
  const { status, body } = await get(tor);
  expect([status, await textOf(body)]).toEqual([200, 'content']);
  const credentials = `${isolation.username}:${isolation.password}`;
  expect(tor.requests).toEqual([{ host: HOST, port: 80, credentials }]);
  expect(headers).toMatchObject({ host: HOST, 'user-agent': 'aegis', connection: 'close' });
});

test('an onion address with a point at its end is told to no exit (O5)', async () => {
  const tor = await fakeTor();
  await site(tor, (_, response) => void response.end('content'));
  const hosts: string[] = [];
  const admits = ({ hostname }: URL) => void hosts.push(hostname);
  const options = { proxy: tor.socks, maxBytes: 1000, admits };
  const { body } = await fetchThrough(`http://${HOST.toUpperCase()}./`, options);
  expect(await textOf(body)).toBe('content');
  expect([hosts, tor.requests]).toEqual([[HOST], [{ host: HOST, port: 80 }]]);
});

test('redirections are followed, few, to http(s) only, and each is asked about', async () => {
  const tor = await fakeTor();
  const to = new Map([
    ['/one', '/two'],
    ['/two', `http://${HOST}/end`],
    ['/round', '/round'],
    ['/file', 'file:///etc/passwd'],
    ['/user', `http://a:b@${HOST}/`],
  ]);
  await site(tor, ({ url }, response) => {
    const location = to.get(url!);
    if (location === undefined) response.end(url);
    else response.writeHead(302, { location }).end();
  });
  const asked: string[] = [];
  const admits = ({ pathname }: URL) => void asked.push(pathname);
  expect(await textOf((await get(tor, { admits }, '/one')).body)).toBe('/end');
  expect(asked).toEqual(['/one', '/two', '/end']);
  await expect(get(tor, {}, '/round')).rejects.toThrow('more than 5 redirections');
  for (const path of ['/file', '/user']) {
    await expect(get(tor, {}, path)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  }
  const refuse = () => {
    throw new Error('not there');
  };
  await expect(get(tor, { admits: refuse })).rejects.toThrow('not there');
});

test('no more is taken than asked for, announced or not', async () => {
  const tor = await fakeTor();
  await site(tor, ({ url }, response) => {
    if (url === '/announced') response.writeHead(200, { 'content-length': 1001 });
    // Without a length it comes in pieces.
    if (url !== '/announced') response.flushHeaders();
    response.end('x'.repeat(1001));
  });
  await expect(get(tor, {}, '/announced')).rejects.toMatchObject({ code: 'TOO_LARGE' });
  const { body } = await get(tor);
  await expect(textOf(body)).rejects.toMatchObject({ code: 'TOO_LARGE' });
});

test.each([
  ['socks-f0', 'ONION_UNREACHABLE'],
  ['socks-02', 'EXIT_REFUSED'],
  ['socks-05', 'ONION_UNREACHABLE'],
  ['socks-07', 'TOR_FAILED'],
  ['socks-cut', 'TOR_UNREACHABLE'],
  ['socks-no-tor', 'TOR_UNREACHABLE'],
  ['socks-hang', 'TIMEOUT'],
])('%s: the error has its code, and no password anywhere in it', async (fault, code) => {
  const tor = await fakeTor({ fault });
  const error = await get(tor, { timeoutMs: fault === 'socks-hang' ? 100 : 5000 }).then(
    () => undefined,
    (thrown: Error) => thrown,
  );
  expect(error).toMatchObject({ code });
  const all = inspect(error, { depth: Infinity, showHidden: true });
  expect(all).not.toContain('geheim');
  expect(all).not.toContain('SocksClient');
});

test('without a proxy there is none, and a port where nobody listens is said so', async () => {
  const tor = await fakeTor();
  await tor.stop();
  await expect(get(tor)).rejects.toMatchObject({ code: 'TOR_UNREACHABLE' });
  const onion = fetchThrough(`http://${HOST}/`, { proxy: undefined, maxBytes: 1 });
  await expect(onion).rejects.toMatchObject({ code: 'ROUTE_FORBIDS' });
  const direct = fetchThrough('http://127.0.0.1:1/', { proxy: undefined, maxBytes: 1 });
  await expect(direct).rejects.toThrow('127.0.0.1:1 cannot be reached: ECONNREFUSED');
});

test('a slow body is no silent one: the limit of the dial does not cut it', async () => {
  const tor = await fakeTor();
  const timeoutMs = 1000;
  await site(tor, (_, response) => {
    response.write('a');
    setTimeout(() => response.end('b'), timeoutMs + 300);
  });
  const { body } = await get(tor, { timeoutMs });
  expect(await textOf(body)).toBe('ab');
});

test('a body that stands still or breaks off is stalled, and a signal ends it', async () => {
  const tor = await fakeTor();
  await site(tor, ({ url }, response) => {
    response.write('a', () => {
      if (url === '/broken') response.destroy();
    });
  });
  const still = await get(tor, { idleMs: 50 });
  await expect(textOf(still.body)).rejects.toThrow('stood still for 50 ms');
  const broken = await get(tor, {}, '/broken');
  await expect(textOf(broken.body)).rejects.toMatchObject({ code: 'STALLED' });
  const stop = new AbortController();
  const stopped = await get(tor, { signal: stop.signal });
  const text = textOf(stopped.body);
  stop.abort(new Error('enough'));
  await expect(text).rejects.toThrow('enough');
  const { signal } = stop;
  await expect(get(tor, { signal })).rejects.toThrow('enough');
});

test.each(['ftp://x', 'x', 'http://user:password@x/', ''])('%j is not asked for', async (url) => {
  const attempt = fetchThrough(url, { proxy: undefined, maxBytes: 1 });
  await expect(attempt).rejects.toMatchObject({ code: 'BAD_REQUEST' });
});
