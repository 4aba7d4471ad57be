/**
 * A pluggable transport that changes nothing (pt-spec 1): tor starts it, it says where its SOCKS
 * port is, and passes on what comes. It writes its pid and where it connected to into the file that
 * the bridge line names with `to=`, which tor hands over as the user name of SOCKS.
 */
import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';

async function read(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    const bytes = socket.read(length) as Buffer | null;
    if (bytes !== null) return bytes;
    await new Promise((resolve) => socket.once('readable', resolve));
  }
}

async function serve(socket: Socket): Promise<void> {
  const [, methods] = await read(socket, 2);
  await read(socket, methods!);
  socket.write(Buffer.from([5, 2]));
  const [, userLength] = await read(socket, 2);
  const user = (await read(socket, userLength!)).toString();
  const [passwordLength] = await read(socket, 1);
  await read(socket, passwordLength!);
  socket.write(Buffer.from([1, 0]));
  const request = await read(socket, 10);
  const host = request.subarray(4, 8).join('.');
  const port = request.readUInt16BE(8);
  tell(user, `${host}:${port}`);
  const onward = createConnection({ host, port }, () => {
    socket.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
    socket.pipe(onward).pipe(socket);
  });
  onward.on('error', () => socket.destroy());
  socket.on('error', () => onward.destroy());
}

function tell(user: string, line: string): void {
  const file = decodeURIComponent(/to=([^;]+)/.exec(user)![1]!);
  if (!existsSync(file)) writeFileSync(file, `${process.pid}\n`);
  appendFileSync(file, `${line}\n`);
}

const server = createServer((socket) => void serve(socket));
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write('VERSION 1\n');
  process.stdout.write(`CMETHOD plain socks5 127.0.0.1:${port}\n`);
  process.stdout.write('CMETHODS DONE\n');
});
// Tor closes its end when it ends.
process.stdin.resume().on('end', () => process.exit(0));
