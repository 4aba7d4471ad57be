/**
 * A Tor as the system would run it, for nodes that start none: its control and SOCKS ports are
 * sockets with a path, so that nodes reach it from any network namespace. It ends with the test.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_MS = 30_000;

export class SystemTor {
  readonly #dir: string;
  readonly #torrc: string;
  readonly #exits: boolean;
  #child: ChildProcess | undefined;

  /** @param dir short, for it holds sockets; made anew. */
  constructor(dir: string, torrc: string, { exits = false }: { readonly exits?: boolean } = {}) {
    this.#dir = dir;
    this.#torrc = torrc;
    this.#exits = exits;
    mkdirSync(dir, { mode: 0o700 });
    // Tor itself refuses to put its sockets where others could.
    mkdirSync(join(dir, 'data'), { mode: 0o700 });
    writeFileSync(join(dir, 'torrc'), this.#lines());
  }

  get controlPath(): string {
    return join(this.#dir, 'control');
  }

  get socksPath(): string {
    return join(this.#dir, 'socks');
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  /** What a node is told; its service is handed over at a path, too. */
  settings(target: string): Record<string, string> {
    return {
      daemon: 'system',
      control: `unix:${this.controlPath}`,
      socks: `unix:${this.socksPath}`,
      target: `unix:${target}`,
    };
  }

  /** Resolves when its control port answers. */
  async start(): Promise<void> {
    rmSync(this.controlPath, { force: true });
    const args = ['-f', join(this.#dir, 'torrc'), '--defaults-torrc', '/dev/null', '--hush'];
    const child = spawn('tor', args, { stdio: 'ignore' });
    this.#child = child;
    const end = performance.now() + START_MS;
    while (!(await answers(this.controlPath))) {
      if (child.exitCode !== null || performance.now() > end) {
        throw new Error(`this tor does not start:\n${this.lastWords()}`);
      }
      await sleep(20);
    }
  }

  /** As the kernel ends it when memory runs out: it can tidy up nothing. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  lastWords(): string {
    return readFileSync(join(this.#dir, 'notice.log'), 'utf8').split('\n').slice(-20).join('\n');
  }

  #lines(): string {
    const only = this.#exits ? '' : ' OnionTrafficOnly';
    const flags = `IsolateSOCKSAuth KeepAliveIsolateSOCKSAuth ExtendedErrors${only}`;
    return [
      readFileSync(this.#torrc, 'utf8'),
      `DataDirectory ${join(this.#dir, 'data')}`,
      `SocksPort unix:${this.socksPath} ${flags}`,
      `ControlSocket unix:${this.controlPath}`,
      'CookieAuthentication 1',
      `CookieAuthFile ${join(this.#dir, 'cookie')}`,
      `__OwningControllerProcess ${process.pid}`,
      `Log notice file ${join(this.#dir, 'notice.log')}`,
      '',
    ].join('\n');
  }
}

const answers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
