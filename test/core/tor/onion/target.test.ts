import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { TargetSocket } from '../../../../src/core/tor/onion/target.ts';

let dir: string;
let path: string;
const undo: (() => unknown)[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'aegis-target-'));
  path = join(dir, 't');
});
afterEach(async () => {
  for (const one of undo.splice(0).toReversed()) await one();
  await rm(dir, { recursive: true });
});

async function opened(socketsMax = 8): Promise<TargetSocket> {
  const target = new TargetSocket({ target: { path }, socketsMax });
  await target.open();
  undo.push(() => target.close());
  return target;
}

async function dial(): Promise<Socket> {
  const socket = connect({ path });
  socket.on('error', () => undefined);
  undo.push(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

const ended = (socket: Socket): Promise<unknown> =>
  socket.resume().closed ? Promise.resolve() : once(socket, 'close');

describe('the socket behind the onion services', () => {
  test('is of this user alone, and in the place of one that was left behind', async () => {
    const first = await opened();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(first.endpoint).toEqual({ path });
    // As after a crash: the file is there, and nobody behind it.
    const left = createServer().listen({ path: join(dir, 'left') });
    await once(left, 'listening');
    const second = new TargetSocket({ target: { path: join(dir, 'left') }, socketsMax: 1 });
    await second.open();
    await second.close();
    left.close();
  });

  test('takes the place of nothing that is no socket', async () => {
    await writeFile(path, 'mine');
    const target = new TargetSocket({ target: { path }, socketsMax: 1 });
    await expect(target.open()).rejects.toMatchObject({ code: 'BAD_CONFIG' });
  });

  test('is nowhere but on loopback (O2)', async () => {
    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'localhost']) {
      const target = new TargetSocket({ target: { host, port: 0 }, socketsMax: 1 });
      await expect(target.open()).rejects.toMatchObject({ code: 'BAD_CONFIG' });
    }
    const target = new TargetSocket({ target: { host: '127.0.0.1', port: 0 }, socketsMax: 1 });
    await target.open();
    undo.push(() => target.close());
    expect(target.endpoint).toEqual({ host: '127.0.0.1', port: expect.any(Number) });
    const other = new TargetSocket({ target: target.endpoint, socketsMax: 1 });
    await expect(other.open()).rejects.toMatchObject({ code: 'PORT_IN_USE' });
  });

  test('has so many at once; one more is ended, and one that goes makes room', async () => {
    const target = await opened(2);
    const taken: Socket[] = [];
    target.serve((socket) => taken.push(socket));
    const sockets = [await dial(), await dial(), await dial()];
    await ended(sockets[2]!);
    expect(taken).toHaveLength(2);
    sockets[0]!.destroy();
    await ended(taken[0]!);
    await dial();
    await vi.waitFor(() => expect(taken).toHaveLength(3));
  });

  test('hands on to the last who serves, and to nobody when there is none', async () => {
    const target = await opened();
    await ended(await dial());
    const taken: string[] = [];
    const endOne = target.serve(() => taken.push('one'));
    const endTwo = target.serve(() => taken.push('two'));
    await dial();
    await vi.waitFor(() => expect(taken).toEqual(['two']));
    endTwo();
    await dial();
    await vi.waitFor(() => expect(taken).toEqual(['two', 'one']));
    endOne();
    await ended(await dial());
    expect(taken).toEqual(['two', 'one']);
  });

  test('ends all that came through it when it is closed', async () => {
    const target = new TargetSocket({ target: { path }, socketsMax: 8 });
    await target.open();
    target.serve(() => undefined);
    const socket = await dial();
    await target.close();
    await ended(socket);
    await expect(stat(path)).rejects.toThrow(/ENOENT/);
  });
});
