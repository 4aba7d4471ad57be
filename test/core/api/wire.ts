/** Speaks to the server in bytes, for what the client would never send. */
import net from 'node:net';
import { type Response, ResponseReader } from '../../../src/core/api/client/response.ts';

export interface Wire {
  readonly socket: net.Socket;
  /** All that has come. */
  text(): string;
  /** Resolves when `pattern` has come; rejects when the connection closes before. */
  until(pattern: RegExp): Promise<void>;
  /** Resolves when the server has closed the connection. */
  readonly closed: Promise<void>;
}

export function wire(path: string | { port: number }): Wire {
  const socket =
    typeof path === 'string' ? net.connect({ path }) : net.connect(path.port, '127.0.0.1');
  let text = '';
  const checks = new Set<() => void>();
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
    for (const check of checks) check();
  });
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return {
    socket,
    text: () => text,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (!pattern.test(text)) return;
          checks.delete(check);
          resolve();
        };
        checks.add(check);
        void closed.then(() => reject(new Error(`closed; got ${JSON.stringify(text)}`)));
        check();
      }),
    closed,
  };
}

/** Sends `request` and reads one reply. */
export async function ask(path: string | { port: number }, request: string): Promise<Response> {
  const { socket } = wire(path);
  const reader = new ResponseReader();
  return await new Promise((resolve, reject) => {
    socket.on('data', (chunk) => {
      reader.push(chunk);
      if (!reader.done) return;
      socket.destroy();
      resolve(reader.response());
    });
    socket.on('close', () => reject(new Error('closed without a reply')));
    socket.write(request, 'latin1');
  });
}

export const head = (line: string, headers: Record<string, string> = {}): string =>
  [
    `${line} HTTP/1.1`,
    ...Object.entries({ Host: 'localhost', ...headers }).map(
      ([name, value]) => `${name}: ${value}`,
    ),
    '',
    '',
  ].join('\r\n');

export const errorOf = (reply: Response): { code: string; message: string } =>
  (JSON.parse(reply.body.toString()) as { error: { code: string; message: string } }).error;
