import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Client } from '../../../../src/core/api/client/client.ts';
import { Server } from '../../../../src/core/api/server/server.ts';
import { harness, MemoryLog, pathsIn, random, scratch } from '../harness.ts';
import { MemoryBackend } from '../memory-backend.ts';

const start = (directory: string, more = {}): Promise<Server> =>
  Server.start(
    { backend: new MemoryBackend(), paths: pathsIn(directory), ...more },
    { log: new MemoryLog(), random },
  );

it('refuses to take the place of a living daemon, and leaves its tokens alone', async () => {
  await using h = await harness();
  await expect(start(h.directory)).rejects.toMatchObject({ code: 'ALREADY_RUNNING', exit: 73 });
  expect(readFileSync(h.paths.adminToken, 'utf8').trim()).toBe(h.adminToken);
  expect(await h.client.call('node.status')).toMatchObject({ state: 'ready' });
});

it('takes over the socket that a killed daemon left', async () => {
  await using place = await scratch();
  const { socket, readToken } = pathsIn(place.directory);
  const listen = `listen(${JSON.stringify(socket)}, () => console.log('up'))`;
  const program = `require('node:net').createServer().${listen}`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((up) => child.stdout.once('data', up));
  child.kill('SIGKILL');
  await new Promise((gone) => child.once('exit', gone));
  expect(statSync(socket).isSocket()).toBe(true);
  const server = await start(place.directory);
  const client = new Client({ socket, token: readFileSync(readToken, 'utf8').trim() });
  expect(await client.call('node.status')).toMatchObject({ state: 'ready' });
  await server.stop();
});

it('never removes what is not a socket', async () => {
  await using place = await scratch();
  const { socket } = pathsIn(place.directory);
  writeFileSync(socket, 'precious');
  await expect(start(place.directory)).rejects.toMatchObject({ code: 'BAD_CONFIG' });
  expect(readFileSync(socket, 'utf8')).toBe('precious');
});

it('refuses a directory that others may enter', async () => {
  await using place = await scratch();
  chmodSync(place.directory, 0o750);
  await expect(start(place.directory)).rejects.toMatchObject({ code: 'BAD_CONFIG' });
  expect(existsSync(pathsIn(place.directory).socket)).toBe(false);
});

it('refuses a path that the kernel would cut', async () => {
  await using place = await scratch();
  const paths = pathsIn(join(place.directory, 'x'.repeat(120)));
  const call = Server.start(
    { backend: new MemoryBackend(), paths },
    { log: new MemoryLog(), random },
  );
  await expect(call).rejects.toMatchObject({ code: 'SOCKET_PATH_TOO_LONG', exit: 78 });
});

it('listens on loopback only, and names a port in use', async () => {
  await using place = await scratch();
  const open = start(place.directory, { listen: { host: '0.0.0.0', port: 0 } });
  await expect(open).rejects.toMatchObject({ code: 'BAD_CONFIG' });
  await using h = await harness({ tcp: true });
  const taken = start(place.directory, { listen: { host: '127.0.0.1', port: h.server.port } });
  await expect(taken).rejects.toMatchObject({ code: 'PORT_IN_USE' });
  expect(existsSync(pathsIn(place.directory).socket)).toBe(false);
});
