/** The SOCKS port of the fake Tor: one connection. */
import { connect, type Socket } from 'node:net';
import type { TorEndpoint } from '../../src/core/tor/endpoint.ts';
import type { FakeTor } from './fake-tor.ts';

const ANSWER_TAIL = [0, 1, 0, 0, 0, 0, 0, 0];

export interface SocksRequest {
  readonly host: string;
  readonly port: number;
  /** `username:password`, when the client gave them. */
  readonly credentials?: string;
}

export async function serveSocks(tor: FakeTor, socket: Socket): Promise<void> {
  socket.on('error', () => {});
  const read = reader(socket);
  const { fault } = tor;
  if (fault === 'socks-mute') return;
  if (fault === 'socks-no-tor') return void socket.end('HTTP/1.0 400 Bad Request\r\n\r\n');
  const [, count] = await read(2);
  const methods = [...(await read(count!))];
  if (fault === 'socks-no-method') return void socket.end(Buffer.from([5, 0xff]));
  const method = methods.includes(2) && fault !== 'socks-no-isolation' ? 2 : 0;
  socket.write(Buffer.from([5, method]));
  let credentials: string | undefined;
  if (method === 2) {
    const name = await read((await read(2))[1]!);
    const password = await read((await read(1))[0]!);
    credentials = `${name.toString()}:${password.toString()}`;
    socket.write(Buffer.from([1, 0]));
  }
  const [, , , type] = await read(4);
  const host = await hostOf(read, type!);
  const port = (await read(2)).readUInt16BE();
  tor.requests.push({ host, port, ...(credentials === undefined ? {} : { credentials }) });
  answer(tor, socket, tor.targets.get(`${host}:${port}`));
}

function answer(tor: FakeTor, socket: Socket, target: TorEndpoint | undefined): void {
  const { fault } = tor;
  const code = /^socks-([0-9a-f]{2})$/.exec(fault)?.[1];
  if (fault === 'socks-hang' || fault === 'pow') return;
  if (fault === 'socks-cut') return void socket.destroy();
  if (fault === 'socks-half') return void socket.end(Buffer.from([5, 0]));
  const reply = code === undefined ? (target === undefined ? 0xf0 : 0) : Number.parseInt(code, 16);
  if (reply !== 0 || target === undefined) {
    socket.end(Buffer.from([5, reply, ...ANSWER_TAIL]));
    return;
  }
  const far = connect('path' in target ? { path: target.path } : { ...target });
  far.on('error', () => socket.destroy());
  socket.on('close', () => far.destroy());
  far.once('connect', () => {
    // In two pieces, one of which has the first byte of what the target says.
    const head = Buffer.from([5, 0, ...(fault === 'socks-name' ? NAMED_TAIL : ANSWER_TAIL)]);
    if (fault === 'socks-pieces') for (const byte of head) socket.write(Uint8Array.of(byte));
    else socket.write(head);
    far.pipe(socket);
    socket.pipe(far);
  });
}

/** An address that is a name, which may be of any length. */
const NAMED_TAIL = [0, 3, 5, ...Buffer.from('relay'), 0, 1];

type Read = (length: number) => Promise<Buffer>;

async function hostOf(read: Read, type: number): Promise<string> {
  if (type === 3) return (await read((await read(1))[0]!)).toString();
  if (type === 1) return [...(await read(4))].join('.');
  return (await read(16)).toString('hex').match(/.{4}/g)!.join(':');
}

function reader(socket: Socket): Read {
  return async (length) => {
    for (;;) {
      const bytes = socket.read(length) as Buffer | null;
      if (bytes !== null && bytes.length === length) return bytes;
      if (socket.readableEnded || socket.destroyed) throw new Error('the client has gone');
      const { promise, resolve } = Promise.withResolvers<void>();
      const done = () => resolve();
      socket.once('readable', done).once('end', done).once('close', done);
      await promise;
      socket.off('readable', done).off('end', done).off('close', done);
    }
  };
}
