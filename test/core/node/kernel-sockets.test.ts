/** The sockets of this very process, as the kernel has them, against those that a test has made. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { isLoopbackAddress, kernelSockets } from '../../../src/core/node/kernel-sockets.ts';

const dirOf = (): string => {
  const dir = mkdtempSync(join(tmpdir(), 'aegis-sockets-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
};

async function listening(server: Server, at: object): Promise<Server> {
  server.listen(at);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return server;
}

const portOf = (server: Server): number => (server.address() as { port: number }).port;

test.runIf(process.platform === 'linux')(
  'each kind of socket is found, with its ends',
  async () => {
    const path = join(dirOf(), 'a socket');
    const port = portOf(await listening(createServer(), { host: '127.0.0.1', port: 0 }));
    const port6 = portOf(await listening(createServer(), { host: '::1', port: 0 }));
    await listening(createServer(), { path });
    const client = connect(port, '127.0.0.1');
    const udp = createSocket('udp4').bind(0, '127.0.0.1');
    onTestFinished(() => void (client.destroy(), udp.close()));
    await Promise.all([once(client, 'connect'), once(udp, 'listening')]);
    const sockets = (await kernelSockets())!;
    const find = (local: string) => sockets.find((one) => one.local === local && one.isListening);
    expect(find(`127.0.0.1:${port}`)).toMatchObject({ kind: 'tcp' });
    expect(find(`[::1]:${port6}`)).toMatchObject({ kind: 'tcp' });
    expect(find(path)).toMatchObject({ kind: 'unix' });
    const { port: from } = client.address() as { port: number };
    const [local, remote] = [`127.0.0.1:${from}`, `127.0.0.1:${port}`];
    expect(sockets.find((one) => one.local === local)).toMatchObject({
      remote,
      isListening: false,
    });
    const { port: at } = udp.address();
    expect(sockets.find((one) => one.kind === 'udp')?.local).toBe(`127.0.0.1:${at}`);
  },
);

test('tables are read as proc(5) has them, and what is in none is unknown', async () => {
  const dir = dirOf();
  mkdirSync(join(dir, 'fd'));
  mkdirSync(join(dir, 'net'));
  for (const inode of ['11', '12', '13', '14']) {
    symlinkSync(`socket:[${inode}]`, join(dir, 'fd', inode));
  }
  symlinkSync('/dev/null', join(dir, 'fd', '1'));
  const row = (local: string, remote: string, state: string, inode: string): string =>
    ` 0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000 0 0 ${inode} 1 0 20`;
  const [v4, v6] = ['070200C0:0FA1', '00000000000000000000000001000000:0FA1'];
  const mapped = '0000000000000000FFFF0000070200C0:0050';
  writeFileSync(join(dir, 'net/tcp'), `head\n${row(v4, '00000000:0000', '0A', '11')}\n`);
  writeFileSync(join(dir, 'net/tcp6'), `head\n${row(v6, mapped, '01', '12')}\n`);
  writeFileSync(join(dir, 'net/unix'), 'head\n0000: 00000002 00000000 00010000 0001 01 13 @ab c\n');
  expect(await kernelSockets(dir)).toEqual([
    { inode: '11', kind: 'tcp', local: '192.0.2.7:4001', isListening: true },
    { inode: '12', kind: 'tcp', local: '[::1]:4001', remote: '192.0.2.7:80', isListening: false },
    { inode: '13', kind: 'unix', local: '@ab c', isListening: true },
    { inode: '14', kind: 'unknown', isListening: false },
  ]);
  expect(await kernelSockets(join(dir, 'nothing'))).toBeUndefined();
});

test.each([
  ['127.0.0.1:1', true],
  ['127.9.9.9:1', true],
  ['[::1]:1', true],
  ['localhost:1', true],
  ['0.0.0.0:1', false],
  ['[::]:1', false],
  ['192.0.2.7:1', false],
  ['12.7.0.1:1', false],
])('%s is loopback: %s', (address, isIt) => {
  expect(isLoopbackAddress(address)).toBe(isIt);
});
