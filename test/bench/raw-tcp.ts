/**
 * The baseline of the transfer: the same bytes between two plain processes over loopback TCP.
 * `serve BYTES CHUNK` sends from memory to whoever connects. `read PORT` is given each chunk and
 * lets it go; it says how long that took from the call of connect to the last byte. `discard PORT`
 * has the kernel write over one buffer again and again: as fast as Node gets, but nobody ever has
 * the bytes.
 */
import { connect, createServer, type Socket } from 'node:net';

const [mode, ...numbers] = process.argv.slice(2);
if (mode === 'serve') serve(Number(numbers[0]), Number(numbers[1]));
else read(Number(numbers[0]), mode === 'discard');

function serve(totalBytes: number, chunkBytes: number): void {
  const chunk = Buffer.alloc(chunkBytes, 7);
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    send(socket, chunk, totalBytes);
  });
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    process.stdout.write(`${typeof address === 'object' ? address?.port : ''}\n`);
  });
}

function send(socket: Socket, chunk: Buffer, totalBytes: number): void {
  let left = totalBytes;
  const more = (): void => {
    while (left > 0) {
      const part = left < chunk.length ? chunk.subarray(0, left) : chunk;
      left -= part.length;
      if (!socket.write(part)) {
        socket.once('drain', more);
        return;
      }
    }
    socket.end();
  };
  more();
}

function read(port: number, intoOneBuffer: boolean): void {
  let bytes = 0;
  const from = performance.now();
  const onread = {
    buffer: Buffer.alloc(256 * 1024),
    callback: (count: number): boolean => {
      bytes += count;
      return true;
    },
  };
  const socket = connect({ port, host: '127.0.0.1', ...(intoOneBuffer && { onread }) });
  if (!intoOneBuffer) socket.on('data', (chunk) => (bytes += chunk.length));
  socket.on('end', () => {
    process.stdout.write(`${JSON.stringify({ bytes, ms: performance.now() - from })}\n`);
  });
}
