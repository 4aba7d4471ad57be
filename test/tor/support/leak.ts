/**
 * Loaded into a daemon (`--import`), it does on purpose what a daemon behind Tor must never do,
 * when it is told so at the socket `AEGIS_LEAK_SOCKET`. A detector that does not see it, sees
 * nothing.
 */
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { connect, createServer } from 'node:net';
import { isMainThread } from 'node:worker_threads';

export type Leak = 'direct' | 'neighbour' | 'name' | 'query' | 'mdns' | 'udp';

/** Nobody is there (RFC 5737). */
const NOBODY = '203.0.113.7';

async function datagram(port: number, host: string): Promise<void> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => {
    socket.send(Buffer.from('here I am'), port, host, () => resolve());
  });
  socket.close();
}

/** Resolves when the packet is on its way, or has been refused; nobody will answer. */
const dial = (host: string, port: number): Promise<void> =>
  new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (): void => {
      socket.destroy();
      resolve();
    };
    socket.once('connect', end).once('error', end).setTimeout(300, end);
  });

const LEAKS: Readonly<Record<Leak, () => Promise<unknown>>> = {
  direct: () => dial(NOBODY, 4001),
  neighbour: () => dial('10.99.0.77', 4001),
  name: () => lookup('node.example.org').catch(() => undefined),
  query: () =>
    new Promise((resolve) => {
      const resolver = new Resolver({ timeout: 300, tries: 1 });
      resolver.resolve4('node.example.org', resolve);
    }),
  mdns: () => datagram(5353, '224.0.0.251'),
  udp: () => datagram(4001, NOBODY),
};

const path = process.env['AEGIS_LEAK_SOCKET'];
if (isMainThread && path !== undefined) {
  const server = createServer((socket) => {
    socket.setEncoding('utf8').once('data', (what: string) => {
      void LEAKS[what as Leak]().then(() => socket.end('done'));
    });
    socket.on('error', () => {});
  });
  server.listen(path);
  server.unref();
}
