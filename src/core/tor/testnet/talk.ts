/** A few words with a control port, until tor/control can speak to it. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { AegisError } from '../../errors.ts';

export class Talk {
  readonly #socket: Socket;
  #text = '';
  #lines: string[] = [];
  #waiting: ((lines: string[]) => void)[] = [];
  #inData = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1').on('error', () => {});
    socket.on('data', (text: string) => this.#take(text));
    socket.on('close', () => {
      for (const give of this.#waiting.splice(0)) give(['551 closed']);
    });
  }

  static async connect(port: number, cookieFile: string): Promise<Talk> {
    const socket = createConnection({ host: '127.0.0.1', port });
    await once(socket, 'connect');
    const talk = new Talk(socket);
    await talk.command(`AUTHENTICATE ${(await readFile(cookieFile)).toString('hex')}`);
    return talk;
  }

  async command(line: string): Promise<string> {
    const lines = await new Promise<string[]>((resolve) => {
      this.#waiting.push(resolve);
      this.#socket.write(`${line}\r\n`);
    });
    const last = lines.at(-1)!;
    if (last.startsWith('250')) return lines.join('\n');
    throw new AegisError('TOR_FAILED', `${line.split(' ')[0]}: ${last}`);
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#text += text;
    for (let end = this.#text.indexOf('\r\n'); end >= 0; end = this.#text.indexOf('\r\n')) {
      const line = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + 2);
      this.#lines.push(line);
      if (this.#inData) this.#inData = line !== '.';
      else if (line[3] === '+') this.#inData = true;
      else if (line[3] === ' ') this.#waiting.shift()?.(this.#lines.splice(0));
    }
  }
}
