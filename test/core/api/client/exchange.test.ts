/** The client against servers that misbehave. */
import net from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Client } from '../../../../src/core/api/client/client.ts';
import { scratch } from '../harness.ts';

const TOKEN = 'ab'.repeat(32);
let place: Awaited<ReturnType<typeof scratch>>;
const servers: net.Server[] = [];
const sockets = new Set<net.Socket>();
beforeEach(async () => {
  place = await scratch();
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.splice(0).map((each) => new Promise((done) => each.close(done))));
  await place[Symbol.asyncDispose]();
});

async function serve(onConnection: (socket: net.Socket) => void): Promise<string> {
  const path = join(place.directory, 'api.sock');
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(path, done));
  return path;
}

const client = (socket: string, timeoutMs = 5000): Client =>
  new Client({ socket, token: TOKEN, timeoutMs });

it('sends one plain request and closes', async () => {
  let seen = '';
  const path = await serve((socket) =>
    socket.on('data', (data) => {
      seen += data.toString();
      if (!seen.endsWith('{"count":2}')) return;
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"sent"');
      setImmediate(() => socket.write(':123}'));
    }),
  );
  const reply = await client(path).call('peers.ping', {
    params: { id: 'a/b ä' },
    body: { count: 2 },
  });
  expect(reply).toEqual({ sent: 123 });
  expect(seen).toContain('POST /v1/peers/a%2Fb%20%C3%A4/ping HTTP/1.1\r\nHost: localhost\r\n');
  expect(seen).toContain(`Authorization: Bearer ${TOKEN}\r\n`);
});

it.each([
  ['hangs up at once', '', 'DAEMON_UNREACHABLE'],
  ['hangs up in the middle', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{', 'STALLED'],
  ['speaks something else', '220 mail ready\r\n', 'BAD_ENCODING'],
  ['sends no JSON', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n<', 'BAD_ENCODING'],
  ['fails without saying why', 'HTTP/1.1 502 Bad\r\nContent-Length: 1\r\n\r\n<', 'BAD_ENCODING'],
])('names a server that %s', async (_, reply, code) => {
  const path = await serve((socket) => socket.once('data', () => socket.end(reply)));
  await expect(client(path).call('node.status')).rejects.toMatchObject({ code });
});

it('gives up on a server that is silent, or drips', async () => {
  const silent = await serve((socket) => socket.write('HTTP/1.1 200 OK\r\n'));
  const call = client(silent, 50).call('node.status');
  await expect(call).rejects.toMatchObject({ code: 'TIMEOUT' });
});

it('ends when its caller does', async () => {
  const interrupted = new AbortController();
  const path = await serve(() => interrupted.abort());
  const call = client(path).call('node.status', { signal: interrupted.signal });
  await expect(call).rejects.toMatchObject({ code: 'INTERRUPTED' });
});

it('says that nobody is there', async () => {
  const path = join(place.directory, 'api.sock');
  await expect(client(path).call('node.status')).rejects.toMatchObject({
    code: 'DAEMON_UNREACHABLE',
    hint: 'Start one: aegis node start',
  });
  const stream = client(path).content({ path: 'a' });
  await expect(stream).rejects.toMatchObject({ code: 'DAEMON_UNREACHABLE' });
});

it('takes the error of the daemon, also with a code that it does not know', async () => {
  const error = { code: 'NEW_CODE', message: 'why', hint: 'do', exit: 73, retryable: false };
  const body = JSON.stringify({ schema: 'aegis.error/1', error });
  const head = `HTTP/1.1 409 Conflict\r\nContent-Length: ${body.length}\r\n\r\n`;
  const path = await serve((socket) => socket.once('data', () => socket.end(head + body)));
  await expect(client(path).call('node.status')).rejects.toMatchObject({
    code: 'EXISTS',
    message: 'why',
    hint: 'do',
  });
});

it('never lets a token or a path break out of its line', async () => {
  const path = join(place.directory, 'api.sock');
  const evil = new Client({ socket: path, token: 'a\r\nX-Evil: 1' });
  await expect(evil.call('node.status')).rejects.toMatchObject({ code: 'DENIED' });
  const raw = client(path).raw({ method: 'GET', target: '/v1\r\nX-Evil: 1' });
  await expect(raw).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  const lone = client(path).call('kb.stat', { query: { path: '\ud800' } });
  await expect(lone).rejects.toMatchObject({ code: 'BAD_REQUEST' });
});

it('waits as long as the daemon may, and no longer for anything else', async () => {
  const waiting: net.Socket[] = [];
  const path = await serve((socket) => waiting.push(socket));
  const impatient = client(path, 50);
  const body = { intents: [{ changes: [{ path: 'a', version: 'b' }] }] };
  const submitted = impatient.call('intents.submit', { body });
  await expect.poll(() => waiting.length).toBe(1);
  await expect(impatient.call('node.status')).rejects.toMatchObject({ code: 'TIMEOUT' });
  waiting[0]?.end('HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"intents":[]}');
  expect(await submitted).toEqual({ intents: [] });
});
