import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StreamMessageEvent } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { SocketConnection } from '../../../../src/core/tor/transport/connection.ts';
import { MIB } from '../../../../src/core/units.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const one of undo.splice(0).toReversed()) await one();
});

const kinds = ['tcp', 'unix'] as const;

/** A connection, and the socket at its other end: Tor's, which ends both directions at once. */
async function pair(kind: (typeof kinds)[number], closeTimeoutMs?: number) {
  const dir = await mkdtemp(join(tmpdir(), 'aegis-conn-'));
  const server = createServer();
  const at = kind === 'unix' ? { path: join(dir, 's') } : { host: '127.0.0.1', port: 0 };
  server.listen(at);
  await once(server, 'listening');
  const bound = server.address();
  const came = once(server, 'connection');
  const socket = connect(
    typeof bound === 'string' ? { path: bound } : { host: '127.0.0.1', port: bound!.port },
  );
  await once(socket, 'connect');
  socket.pause();
  const [tor] = (await came) as [Socket];
  const connection = new SocketConnection({
    socket,
    remoteAddr: multiaddr('/memory/onion-1'),
    direction: 'outbound',
    ...(closeTimeoutMs === undefined ? {} : { closeTimeoutMs }),
  });
  const errors: Error[] = [];
  tor.on('error', (error) => errors.push(error));
  undo.push(() => rm(dir, { recursive: true }));
  undo.push(() => new Promise((resolve) => server.close(resolve)));
  undo.push(() => {
    socket.destroy();
    tor.destroy();
  });
  return { connection, socket, tor, errors };
}

function receivedBy(connection: SocketConnection) {
  const chunks: Uint8Array[] = [];
  connection.addEventListener('message', (event: StreamMessageEvent) => {
    chunks.push(event.data.subarray());
  });
  return () => Buffer.concat(chunks);
}

const closing = (connection: SocketConnection) =>
  new Promise<void>((resolve) => connection.addEventListener('close', () => resolve()));

async function all(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const pattern = (length: number): Buffer => {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i += 4) bytes.writeUInt32LE(Math.imul(i, 0x9e3779b1) >>> 0, i);
  return bytes;
};

describe.each(kinds)('a connection over a %s socket', (kind) => {
  test('loses nothing of what was sent before it is closed, however it was cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 40_000 }), { maxLength: 20 }),
        async (cuts) => {
          const { connection, tor, errors } = await pair(kind);
          const sent = pattern(4 * 100_000);
          let at = 0;
          for (const length of cuts) {
            connection.send(sent.subarray(at, at + length));
            at = Math.min(at + length, sent.length);
          }
          connection.send(sent.subarray(at));
          const received = all(tor);
          await connection.close();
          expect(Buffer.compare(await received, sent)).toBe(0);
          expect(errors).toEqual([]);
          expect(connection.status).toBe('closed');
        },
      ),
      { numRuns: 10 },
    );
  });

  test('holds the sender back while Tor takes nothing, and goes on when it does', async () => {
    const { connection, socket, tor } = await pair(kind);
    tor.pause();
    const sent = pattern(8 * MIB);
    let at = 0;
    while (at < sent.length && connection.send(sent.subarray(at, at + 65_536))) at += 65_536;
    expect(at).toBeLessThan(sent.length);
    expect(connection.writableNeedsDrain).toBe(true);
    // What is queued is bounded: no more is in the socket than one chunk above its mark.
    expect(socket.writableLength).toBeLessThanOrEqual(socket.writableHighWaterMark + 65_536);
    connection.send(sent.subarray(at + 65_536));
    const received = all(tor);
    await connection.onDrain();
    await connection.close();
    expect(Buffer.compare(await received, sent)).toBe(0);
  });

  test('reads nothing while it is paused, and all of it afterwards', async () => {
    const { connection, socket, tor } = await pair(kind);
    const received = receivedBy(connection);
    connection.pause();
    const sent = pattern(8 * MIB);
    tor.end(sent);
    await vi.waitFor(() => expect(socket.readableLength).toBeGreaterThan(0));
    expect(received()).toHaveLength(0);
    // The rest waits with the sender.
    expect(tor.writableLength).toBeGreaterThan(4 * MIB);
    const closed = closing(connection);
    connection.resume();
    await closed;
    expect(Buffer.compare(received(), sent)).toBe(0);
  });

  test('gives what came before Tor has ended it, also to those who look later', async () => {
    const { connection, tor } = await pair(kind);
    const closed = closing(connection);
    tor.end(pattern(50_000));
    await closed;
    const received = receivedBy(connection);
    await new Promise((resolve) => connection.addEventListener('end', resolve));
    expect(Buffer.compare(received(), pattern(50_000))).toBe(0);
    expect(() => connection.send(Uint8Array.of(1))).toThrow(/closed/);
  });

  test('is closed without a reset while the other side still sends', async () => {
    const { connection, tor, errors } = await pair(kind);
    connection.pause();
    // More than any socket holds: much of it is unread when the connection closes.
    tor.write(pattern(4 * MIB));
    const sent = pattern(2 * MIB);
    connection.send(sent);
    const received = all(tor);
    await connection.close();
    expect(Buffer.compare(await received, sent)).toBe(0);
    expect(errors).toEqual([]);
  });

  test('gives up a close that Tor does not finish, and leaves no socket', async () => {
    const { connection, socket, tor } = await pair(kind, 50);
    tor.pause();
    connection.send(pattern(8 * MIB));
    await expect(connection.close()).rejects.toThrow(/timeout/);
    expect(connection.status).toBe('aborted');
    expect(socket.destroyed).toBe(true);
  });

  test('gives up a close when it is told to', async () => {
    const { connection, socket, tor } = await pair(kind);
    tor.pause();
    connection.send(pattern(8 * MIB));
    const stop = new AbortController();
    const closed = connection.close({ signal: stop.signal });
    stop.abort(new Error('no more'));
    await expect(closed).rejects.toThrow();
    expect(socket.destroyed).toBe(true);
  });

  test('is reset when it is aborted: what waits is thrown away', async () => {
    const { connection, tor, errors } = await pair(kind);
    tor.pause();
    connection.send(pattern(8 * MIB));
    const closed = once(tor, 'close').catch(() => undefined);
    connection.abort(new Error('enough'));
    const received = all(tor).catch(() => Buffer.alloc(0));
    await closed;
    expect((await received).length).toBeLessThan(8 * MIB);
    // A unix socket knows no reset.
    expect(errors.length).toBe(kind === 'tcp' ? 1 : 0);
  });

  test('ends when Tor resets it', async () => {
    const { connection, tor } = await pair(kind);
    const closed = closing(connection);
    if (kind === 'tcp') tor.resetAndDestroy();
    else tor.destroy();
    await closed;
    expect(connection.status).toBe(kind === 'tcp' ? 'aborted' : 'closed');
  });
});
