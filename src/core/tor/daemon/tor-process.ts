/** One tor as a child process: its lines, its end. What it is told, and why, is not known here. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { AegisError } from '../../errors.ts';
import { TOR_LIMITS } from '../limits.ts';

/** A hostile plugin could write to the terminal of whoever reads the log. */
const CONTROL = /\p{Cc}/gu;
/** Lines that are kept to say why it ended. */
const LAST_LINES = 40;

/** No file can say otherwise: it stays our child and ends with us, and we can ask it the rest. */
const firm = (owner: number): string[] => [
  ...['--RunAsDaemon', '0', '--CookieAuthentication', '1'],
  ...['--__OwningControllerProcess', String(owner)],
];

export interface SpawnTor {
  readonly path: string;
  readonly torrcFile: string;
  /** Its working directory and its HOME. */
  readonly dir: string;
  /** The pid whose end is its end, too (O8). */
  readonly owner: number;
  readonly onLine: (line: string) => void;
}

export class TorProcess {
  readonly pid: number;
  /** Such as `exit status 1`, once it has ended and all of its lines are here. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #lastLines: string[] = [];

  private constructor(child: ChildProcess, onLine: (line: string) => void) {
    this.#child = child;
    this.pid = child.pid!;
    const take = (raw: string): void => {
      const line = raw.replaceAll(CONTROL, '?');
      this.#lastLines.push(line);
      if (this.#lastLines.length > LAST_LINES) this.#lastLines.shift();
      onLine(line);
    };
    for (const stream of [child.stdout!, child.stderr!]) takeLines(stream, take);
    this.ended = once(child, 'close').then(([code, signal]) =>
      signal === null ? `exit status ${String(code)}` : `signal ${String(signal)}`,
    );
  }

  /** @throws {AegisError} `TOR_FAILED` when the system does not start it. */
  static async spawn({ path, torrcFile, dir, owner, onLine }: SpawnTor): Promise<TorProcess> {
    // Without the defaults of the distribution, which are those of a service with its own user.
    const args = ['-f', torrcFile, '--defaults-torrc', '/dev/null', ...firm(owner)];
    const child = spawn(path, args, {
      cwd: dir,
      // Ctrl-C at a terminal is for us; tor goes last.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { HOME: dir, PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    });
    try {
      await once(child, 'spawn');
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      throw new AegisError('TOR_FAILED', `${path} does not start: ${code}`, { cause });
    }
    return new TorProcess(child, onLine);
  }

  /** What it wrote last. */
  get lastLines(): readonly string[] {
    return this.#lastLines;
  }

  /** Lets it write its state and end; kills it when it does not. Resolves when it is gone. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const late = new AbortController();
    const timer = sleep(TOR_LIMITS.ownStopMs, 'late', { signal: late.signal }).catch(() => 'ended');
    if ((await Promise.race([this.ended, timer])) === 'late') this.#child.kill('SIGKILL');
    late.abort();
    await this.ended;
  }
}

/** A program that forgets the ends of its lines must not fill our memory: long ones are broken. */
function takeLines(stream: NodeJS.ReadableStream, take: (line: string) => void): void {
  const most = TOR_LIMITS.ownLineCharacters;
  let rest = '';
  const shorten = (): void => {
    for (; rest.length > most; rest = rest.slice(most)) take(rest.slice(0, most));
  };
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = chunk.split('\n');
    for (const [index, part] of lines.entries()) {
      rest += part;
      shorten();
      if (index === lines.length - 1) return;
      take(rest);
      rest = '';
    }
  });
  stream.on('end', () => {
    if (rest !== '') take(rest);
  });
}
