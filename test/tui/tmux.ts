/** A real terminal: one tmux server of its own, with one pane. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, vi } from 'vitest';

const run = promisify(execFile);

const quote = (word: string): string => `'${word.replaceAll("'", String.raw`'\''`)}'`;

export interface TerminalOptions {
  readonly columns: number;
  readonly rows: number;
  readonly env?: Readonly<Record<string, string>>;
}

export class Terminal {
  readonly #folder = mkdtempSync(join(tmpdir(), 'aegis-tmux-'));
  readonly #env: Record<string, string>;

  constructor(env: Readonly<Record<string, string>> = {}) {
    this.#env = {
      // The Node that runs the tests, as the bin would find it.
      PATH: `${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`,
      HOME: this.#folder,
      LANG: 'C.UTF-8',
      TMUX_TMPDIR: this.#folder,
      ...env,
    };
  }

  /** Runs a command between two marks, in a shell that stays. */
  async open(command: readonly string[], { columns, rows }: TerminalOptions): Promise<void> {
    const words = command.map(quote).join(' ');
    const script = `echo before; ${words}; echo "after, status $?"; exec cat`;
    const size = ['-x', String(columns), '-y', String(rows)];
    await this.#tmux('-f', '/dev/null', 'new-session', '-d', ...size, script);
  }

  async press(...keys: readonly string[]): Promise<void> {
    await this.#tmux('send-keys', ...keys);
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux('resize-window', '-x', String(columns), '-y', String(rows));
  }

  /** The screen as text; `colours` keeps the SGR sequences. */
  screen(options: { colours?: boolean } = {}): Promise<string> {
    return this.#tmux('capture-pane', '-p', ...(options.colours ? ['-e'] : []));
  }

  /** A format of tmux, e.g. `#{alternate_on}`. */
  async ask(format: string): Promise<string> {
    return (await this.#tmux('display-message', '-p', format)).trim();
  }

  /** Waits until the screen matches. */
  async shows(text: string | RegExp): Promise<void> {
    const check = async (): Promise<void> => expect(await this.screen()).toMatch(text);
    await vi.waitFor(check, { timeout: 15_000, interval: 50 });
  }

  async hides(text: string | RegExp): Promise<void> {
    const check = async (): Promise<void> => expect(await this.screen()).not.toMatch(text);
    await vi.waitFor(check, { timeout: 15_000, interval: 50 });
  }

  async close(): Promise<void> {
    await this.#tmux('kill-server').catch(() => undefined);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #tmux(...words: readonly string[]): Promise<string> {
    const { stdout } = await run('tmux', ['-L', 'aegis', ...words], { env: this.#env });
    return stdout;
  }
}
