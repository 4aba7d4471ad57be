import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { hasCode } from '../../../../src/core/errors.ts';
import { harness } from '../harness.ts';
import { chunks } from '../memory-backend.ts';
import { head, wire } from '../wire.ts';

it('lets running requests end, then goes, leaving nothing behind', async () => {
  await using h = await harness();
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const put = h.backend.put.bind(h.backend);
  h.backend.put = async (query, upload, context) => {
    const result = await put(query, upload, context);
    await held;
    return result;
  };
  const running = h.client.put({ path: 'a' }, { kind: 'file', bytes: chunks(Buffer.from('x')) });
  await expect.poll(() => h.backend.stored.has('a')).toBe(true);
  const stopped = h.server.stop({ deadlineMs: 10_000 });
  await expect(h.client.call('node.status')).rejects.toMatchObject({ code: 'DAEMON_UNREACHABLE' });
  release();
  expect(await running).toMatchObject({ path: 'a' });
  await stopped;
  for (const path of Object.values(h.paths)) expect(existsSync(path), path).toBe(false);
});

it('refuses new requests on connections that are still open', async () => {
  await using h = await harness();
  let begun = 0;
  h.backend.put = () => {
    begun += 1;
    return new Promise(() => undefined);
  };
  const authorization = `Bearer ${h.adminToken}`;
  const { socket, until } = wire(h.paths.socket);
  socket.write(head('GET /v1/node', { authorization }));
  await until(/"state"/);
  const held = h.client.put({ path: 'a' }, { kind: 'file', bytes: chunks(Buffer.from('x')) });
  await expect.poll(() => begun).toBe(1);
  // The next request is half-sent when the stop begins, so its connection is not idle.
  socket.write('GET /v1/node HTTP/1.1\r\n');
  const stopped = h.server.stop({ deadlineMs: 300 });
  socket.write(`Host: localhost\r\nAuthorization: ${authorization}\r\n\r\n`);
  await expect(held).rejects.toSatisfy((error) => hasCode(error, 'STOPPING', 'STALLED'));
  await stopped;
});

it('cuts what does not end before the deadline, with a reason', async () => {
  await using h = await harness();
  let begun = 0;
  h.backend.addPeer = (_, context) => {
    begun += 1;
    h.backend.signals.push(context.signal);
    return new Promise(() => undefined);
  };
  const call = h.client.call('peers.add', { body: { address: '/ip4/127.0.0.1/tcp/1' } });
  const failed = expect(call).rejects.toMatchObject({ code: 'STOPPING', exit: 75 });
  await expect.poll(() => begun).toBe(1);
  await h.server.stop({ deadlineMs: 50 });
  await failed;
  expect(h.backend.signals[0]?.aborted).toBe(true);
});

it('ends event streams with a last line, and waits at once', async () => {
  await using h = await harness();
  h.backend.onWait = () => new Promise(() => undefined);
  const events = h.reader.events();
  expect((await events.next()).value).toMatchObject({ type: 'snapshot' });
  const wait = h.reader.call('node.wait');
  const waited = expect(wait).rejects.toMatchObject({ code: 'STOPPING' });
  await expect.poll(() => h.backend.signals.length).toBe(1);
  const stopped = h.server.stop({ deadlineMs: 60_000 });
  expect((await events.next()).value).toEqual({ type: 'end', reason: 'stopping' });
  expect((await events.next()).done).toBe(true);
  await waited;
  await stopped;
  expect(h.backend.listeners.size).toBe(0);
});

it('sends the reply to the request that stops it', async () => {
  await using h = await harness();
  let stopped: Promise<void> | undefined;
  h.backend.stop = () => {
    stopped = h.server.stop();
  };
  expect(await h.client.call('node.stop')).toMatchObject({ stopping: true, pid: process.pid });
  await stopped;
});
