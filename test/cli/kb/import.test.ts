/** `kb import`: what a real server gives is stored whole, or nothing is. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as v from 'valibot';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import KbImport from '../../../src/commands/kb/import.ts';
import { kbImportOutput } from '../../../src/core/api/contract/outputs.ts';
import { harness } from '../../core/api/harness.ts';
import { collect } from '../../core/api/memory-backend.ts';
import { TOR_OFF, TOR_READY } from '../../core/api/memory-tor.ts';
import { FakeTor } from '../../helpers/fake-tor.ts';
import { run } from '../command.ts';
import { withoutAegisVariables } from '../homes.ts';

beforeAll(withoutAegisVariables);

const ONION = `http://${'a'.repeat(56)}.onion/x`;

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const node = async () => {
  const h = await harness({ home: true });
  const call = (...argv: string[]) => run(KbImport, ['--home', h.directory, ...argv]);
  return { h, call, [Symbol.asyncDispose]: () => h[Symbol.asyncDispose]() };
};

test('stores the bytes under the name of the address, or another path', async () => {
  await using n = await node();
  const bytes = Buffer.alloc(300_000, 'aegis ');
  const asked: unknown[] = [];
  const base = await serve((request, response) => {
    asked.push([request.url, request.headers['user-agent'], request.headers['cookie']]);
    response.end(bytes);
  });
  const { result, stdout } = await n.call(`${base}/docs/the%20spec.txt?x=1`, '--wait', 'local');
  expect(v.parse(kbImportOutput, result)).toMatchObject({ path: 'the spec.txt', via: 'direct' });
  expect(stdout).toMatch(/^size +293 KiB$/m);
  expect(stdout).toMatch(/^via +direct$/m);
  const stored = await n.h.client.content({ path: 'the spec.txt' });
  expect(await collect(stored.bytes)).toEqual(bytes);
  await n.call(`${base}/other`, '--path', 'a/b.bin', '--message', 'why');
  expect([...n.h.backend.stored.keys()]).toEqual(['the spec.txt', 'a/b.bin']);
  // Nothing tells the server who asks.
  expect(asked[0]).toEqual(['/docs/the%20spec.txt?x=1', 'aegis', undefined]);
});

test('an answer that is an error, too large or cut leaves nothing behind', async () => {
  await using n = await node();
  const base = await serve((request, response) => {
    const status = Number(request.url?.slice(1));
    if (status > 0) response.writeHead(status).end('no');
    else if (request.url === '/large') response.write(Buffer.alloc(4096));
    else {
      response.writeHead(200, { 'content-length': '4096' });
      response.write('half', () => response.destroy());
    }
    if (request.url === '/large') response.end();
  });
  for (const [path, code] of [
    ['/404', 'NOT_FOUND'],
    ['/403', 'DENIED'],
    ['/503', 'TRY_AGAIN'],
    ['/418', 'BAD_DATA'],
    ['/large', 'TOO_LARGE'],
  ] as const) {
    const { error } = await n.call(`${base}${path}`, '--max-size', '1KiB');
    expect(error, path).toMatchObject({ code });
  }
  expect((await n.call(`${base}/cut`)).error).toMatchObject({ code: 'STALLED' });
  expect([...n.h.backend.stored.keys()]).toEqual([]);
});

test('what the route does not reach is not fetched past it', async () => {
  await using n = await node();
  let asked = 0;
  const base = await serve((_request, response) => {
    asked += 1;
    response.writeHead(302, { location: ONION }).end();
  });
  n.h.backend.tor.now = TOR_READY;
  expect((await n.call(`${base}/x`)).error).toMatchObject({ code: 'ROUTE_FORBIDS' });
  expect(asked).toBe(0);
  n.h.backend.tor.now = { ...TOR_READY, daemon: null, why: 'no Tor answers', hint: 'Start Tor' };
  expect((await n.call(ONION)).error).toMatchObject({
    ...{ code: 'TOR_UNREACHABLE', message: 'no Tor answers', hint: 'Start Tor' },
  });
  n.h.backend.tor.now = TOR_OFF;
  expect((await n.call(ONION)).error).toMatchObject({ code: 'ROUTE_FORBIDS' });
  // An answer that sends on to another kind of place is not followed either.
  expect((await n.call(`${base}/x`)).error).toMatchObject({ code: 'ROUTE_FORBIDS' });
  expect(asked).toBe(1);
});

test('through Tor: by name, on circuits of its own, with the errors of Tor', async () => {
  await using n = await node();
  const tor = await FakeTor.start();
  onTestFinished(() => tor.stop());
  const { host } = new URL(ONION);
  const base = new URL(await serve((_request, response) => response.end('hidden')));
  tor.targets.set(`${host}:80`, { host: base.hostname, port: Number(base.port) });
  n.h.backend.tor.now = { ...TOR_READY, daemon: { ...TOR_READY.daemon!, socks: tor.socksText } };
  const { result } = await n.call(ONION);
  expect(result).toMatchObject({ path: 'x', sizeBytes: 6, via: 'onion' });
  await n.call(ONION);
  expect(tor.requests.map((request) => request.host)).toEqual([host, host]);
  const [one, two] = tor.requests.map(({ credentials }) => credentials);
  expect(one).toMatch(/^[0-9a-f]{32}:[0-9a-f]{32}$/);
  expect(two).not.toBe(one);
  tor.fault = 'socks-02';
  expect((await n.call(ONION)).error).toMatchObject({ code: 'EXIT_REFUSED' });
});

test('what is no address, or has no name, is a mistake of the caller', async () => {
  await using n = await node();
  const base = await serve((_request, response) => response.end('x'));
  for (const argv of [['notes.md'], ['ftp://example.org/x'], [base], [`${base}/%2F`]]) {
    expect((await n.call(...argv)).error, argv[0]).toMatchObject({ code: 'USAGE' });
  }
  expect((await n.call(`${base}/x`, '--max-size', 'much')).error).toMatchObject({ code: 'USAGE' });
});
