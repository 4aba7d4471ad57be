/** Each limit of the server, reached. */
import { expect, it } from 'vitest';
import { harness } from '../harness.ts';
import { chunks, collect } from '../memory-backend.ts';
import { ask, errorOf, head, wire } from '../wire.ts';

it('limits the request line and the headers', async () => {
  await using h = await harness({ limits: { headBytesMax: 2048 } });
  const request = head('GET /v1/node', { 'X-Long': 'x'.repeat(4000) });
  expect((await ask(h.paths.socket, request)).status).toBe(431);
});

it('limits the query', async () => {
  await using h = await harness({ limits: { queryBytesMax: 100 } });
  const authorization = `Bearer ${h.readToken}`;
  const request = head(`GET /v1/kb/stat?path=${'x'.repeat(200)}`, { authorization });
  expect((await ask(h.paths.socket, request)).status).toBe(414);
});

it.each([
  ['an unknown parameter', '/v1/kb/stat?path=a&pth=b', 'pth'],
  ['a missing parameter', '/v1/kb/stat', 'path'],
  ['an empty parameter', '/v1/kb/stat?path=', 'path'],
  ['a parameter that comes twice', '/v1/kb/stat?path=a&path=b', 'path'],
  ['a parameter of another type', '/v1/kb/log?path=a&limit=many', 'limit'],
  ['a parameter beyond its range', '/v1/kb/log?path=a&limit=10001', 'limit'],
  ['a broken encoding', '/v1/kb/stat?path=%ff', 'UTF-8'],
  ['a name of every object', '/v1/kb/stat?path=a&__proto__=a', '__proto__'],
  ['an unknown condition', '/v1/node/wait?for=godot', 'peers=N'],
  ['a text beyond its length', `/v1/kb/stat?path=${'a'.repeat(3000)}`, 'long'],
])('refuses %s, naming it', async (_, target, named) => {
  await using h = await harness();
  const authorization = `Bearer ${h.readToken}`;
  const reply = await ask(h.paths.socket, head(`GET ${target}`, { authorization }));
  expect(reply.status).toBe(400);
  expect(errorOf(reply)).toMatchObject({ code: 'BAD_REQUEST' });
  expect(errorOf(reply).message).toContain(named);
});

it('limits a JSON body, whether its length is told or not', async () => {
  await using h = await harness({ limits: { bodyBytesMax: 100 } });
  const common = { authorization: `Bearer ${h.adminToken}`, 'content-type': 'application/json' };
  const told = head('POST /v1/peers', { ...common, 'content-length': '101' });
  expect(errorOf(await ask(h.paths.socket, told)).code).toBe('TOO_LARGE');
  const chunked = head('POST /v1/peers', { ...common, 'transfer-encoding': 'chunked' });
  const body = `65\r\n${'x'.repeat(101)}\r\n0\r\n\r\n`;
  expect(errorOf(await ask(h.paths.socket, chunked + body)).code).toBe('TOO_LARGE');
});

it.each([
  ['text', 'text/plain', '{}'],
  ['no JSON', 'application/json', '{'],
  ['no UTF-8', 'application/json', '"\xff"'],
  ['an unknown field', 'application/json', '{"address":"/ip4/1.2.3.4","x":1}'],
  ['no address', 'application/json', '{"address":"localhost"}'],
])('refuses a body with %s', async (_, type, body) => {
  await using h = await harness();
  const request = head('POST /v1/peers', {
    authorization: `Bearer ${h.adminToken}`,
    'content-type': type,
    'content-length': String(body.length),
  });
  const { socket } = wire(h.paths.socket);
  socket.destroy();
  const reply = await ask(h.paths.socket, request + body);
  expect([reply.status, errorOf(reply).code]).toEqual([400, 'BAD_REQUEST']);
});

it('refuses a body where none belongs', async () => {
  await using h = await harness();
  const headers = { authorization: `Bearer ${h.readToken}`, 'content-length': '2' };
  const reply = await ask(h.paths.socket, `${head('GET /v1/node', headers)}{}`);
  expect(reply.status).toBe(400);
});

it('limits requests at work, and serves again when one has ended', async () => {
  await using h = await harness({ limits: { requestsMax: 2 } });
  const begun: (() => void)[] = [];
  h.backend.onWait = () => new Promise((resolve) => void begun.push(resolve));
  const waits = [h.reader.call('node.wait'), h.reader.call('node.wait')];
  await expect.poll(() => begun.length).toBe(2);
  await expect(h.reader.call('node.status')).rejects.toMatchObject({ code: 'BUSY', exit: 75 });
  for (const end of begun) end();
  await Promise.all(waits);
  await expect.poll(() => h.reader.call('node.status').catch(() => undefined)).toBeDefined();
});

it('limits requests that wait, and leaves places to others', async () => {
  await using h = await harness({ limits: { waitsMax: 1 } });
  const begun: (() => void)[] = [];
  h.backend.onWait = () => new Promise((resolve) => void begun.push(resolve));
  const wait = h.reader.call('node.wait');
  await expect.poll(() => begun.length).toBe(1);
  await expect(h.reader.call('node.wait')).rejects.toMatchObject({
    code: 'BUSY',
    message: expect.stringContaining('limits.apiWaits') as string,
  });
  await h.reader.call('node.status');
  begun[0]!();
  await wait;
});

it('limits requests whose body is still coming', async () => {
  await using h = await harness({ limits: { bodiesMax: 1 } });
  const authorization = `Bearer ${h.adminToken}`;
  const json = { authorization, 'content-type': 'application/json', 'content-length': '60' };
  const { socket } = wire(h.paths.socket);
  socket.write(`${head('POST /v1/peers', json)}{`);
  const add = () =>
    h.client.call('peers.add', { body: { address: '/ip4/127.0.0.1/tcp/1' } }).then(
      () => 'added',
      ({ message }: Error) => message,
    );
  await expect.poll(add).toContain('limits.apiBodiesAtOnce');
  socket.destroy();
  await expect.poll(add).toBe('added');
});

it('refuses more requests a second with one token, and serves the other', async () => {
  await using h = await harness({ limits: { requestsPerSecondPerTokenMax: 1 } });
  const asked = [1, 2, 3].map(() => h.reader.call('node.status').then(() => 'served'));
  const answers = await Promise.all(asked.map((one) => one.catch(({ message }) => message)));
  expect(answers.join()).toContain('limits.apiPerSecondPerToken');
  await h.client.call('node.status');
});

it('names the setting in each refusal, for the caller and in the security log', async () => {
  await using h = await harness({ limits: { requestsPerSecondMax: 1 } });
  const asked = [1, 2, 3].map(() => h.reader.call('node.status').then(() => undefined));
  const errors = await Promise.all(asked.map((one) => one.catch((error: unknown) => error)));
  expect(errors.find((error) => error !== undefined)).toMatchObject({
    code: 'BUSY',
    hint: expect.stringContaining('aegis config set limits.apiPerSecond') as string,
  });
  expect(h.events).toContainEqual({
    type: 'limit-reached',
    knob: 'limits.apiPerSecond',
    reason: 'a request to the API',
  });
});

it('tells the security log of a wrong token, and not which it was', async () => {
  await using h = await harness();
  const wrong = 'f'.repeat(64);
  const reply = await ask(
    h.paths.socket,
    head('GET /v1/node', { authorization: `Bearer ${wrong}` }),
  );
  expect(reply.status).toBe(401);
  expect(h.events).toMatchObject([{ type: 'token-refused' }]);
  expect(JSON.stringify(h.events)).not.toContain(wrong);
});

it('refuses more requests a second than allowed', async () => {
  await using h = await harness({ limits: { requestsPerSecondMax: 1 } });
  const asked = [1, 2, 3, 4, 5].map(() => h.reader.call('node.status').then(() => 'served'));
  const answers = await Promise.all(asked.map((one) => one.catch((error) => error.code)));
  expect(answers).toContain('BUSY');
});

it('limits event streams apart from requests', async () => {
  await using h = await harness({ limits: { eventStreamsMax: 1, requestsMax: 1 } });
  const first = h.reader.events();
  await first.next();
  const second = h.reader.events();
  await expect(second.next()).rejects.toMatchObject({ code: 'BUSY' });
  await h.reader.call('node.status');
  await first.return();
});

it('cuts a caller that never finishes its headers', async () => {
  await using h = await harness({ limits: { headTimeoutMs: 100 } });
  const { socket, closed, text } = wire(h.paths.socket);
  socket.write('GET /v1/node HTTP/1.1\r\nX-Slow: ');
  await closed;
  expect(text()).toContain('408');
});

it('cuts a JSON body and an upload that fall silent', async () => {
  await using h = await harness({ limits: { headTimeoutMs: 50, idleTimeoutMs: 50 } });
  const authorization = `Bearer ${h.adminToken}`;
  const json = { authorization, 'content-type': 'application/json', 'content-length': '10' };
  const post = await ask(h.paths.socket, `${head('POST /v1/peers', json)}{`);
  expect([post.status, errorOf(post).code]).toEqual([504, 'STALLED']);
  const file = {
    authorization,
    'content-type': 'application/octet-stream',
    'content-length': '10',
  };
  const put = await ask(h.paths.socket, `${head('PUT /v1/kb/versions?path=a', file)}12345`);
  expect([put.status, errorOf(put).code]).toEqual([504, 'STALLED']);
  expect(h.backend.stored.size).toBe(0);
});

it('cuts a download whose reader takes nothing', async () => {
  await using h = await harness({ limits: { idleTimeoutMs: 100 } });
  const bytes = Buffer.alloc(20_000_000);
  await h.client.put({ path: 'big' }, { kind: 'file', bytes: chunks(bytes) });
  const { socket, until } = wire(h.paths.socket);
  socket.write(head('GET /v1/kb/content?path=big', { authorization: `Bearer ${h.readToken}` }));
  await until(/x-aegis-request/);
  socket.pause();
  await expect
    .poll(() => h.log.lines.some((line) => line.message === 'a request failed'))
    .toBe(true);
  expect(h.log.lines.at(-1)?.fields).toMatchObject({ code: 'STALLED' });
});

it('limits open connections', async () => {
  await using h = await harness({ limits: { connectionsMax: 2 } });
  const open = [wire(h.paths.socket), wire(h.paths.socket)];
  for (const each of open) {
    each.socket.write(head('GET /v1/node', { authorization: `Bearer ${h.readToken}` }));
    await each.until(/"state"/);
  }
  const third = wire(h.paths.socket);
  await third.closed;
  expect(third.text()).toBe('');
  for (const each of open) each.socket.destroy();
});

it('takes no more from an upload than the backend takes', async () => {
  await using h = await harness();
  let sent = 0;
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const put = h.backend.put.bind(h.backend);
  h.backend.put = async (query, upload, context) => {
    await held;
    return await put(query, upload, context);
  };
  async function* source() {
    for (; sent < 400; sent += 1) yield Buffer.alloc(100_000);
  }
  const done = h.client.put({ path: 'big' }, { kind: 'file', bytes: source() });
  let before = -1;
  await expect
    .poll(() => [before, (before = sent)].every((each) => each === sent && each > 0), {
      interval: 100,
    })
    .toBe(true);
  expect(sent).toBeLessThan(100);
  release();
  expect(await done).toMatchObject({ sizeBytes: 40_000_000 });
  const content = await h.reader.content({ path: 'big' });
  expect((await collect(content.bytes)).length).toBe(40_000_000);
});
