/** Runs `writer.ts` and collects what it says. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { on } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { onTestFinished } from 'vitest';

const WRITER = join(import.meta.dirname, 'writer.ts');

export interface WriterProcess {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly lines: string[];
  readonly errors: string[];
  /** Resolves with the first line (also an earlier one) that `matches`; fails if it ends before. */
  until(matches: (line: string) => boolean): Promise<string>;
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** @param shell what runs before the program, e.g. to limit it. */
export const startWriter = (dir: string, mode: string, shell: readonly string[] = []) =>
  startScript(WRITER, [dir, mode], shell);

/** The same for another program that says what it does line by line. */
export function startScript(
  script: string,
  words: readonly string[],
  shell: readonly string[] = [],
) {
  const [command = '', ...args]: string[] = [...shell, process.execPath, script, ...words];
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const lines: string[] = [];
  const errors: string[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => lines.push(line));
  createInterface({ input: child.stderr }).on('line', (line) => errors.push(line));
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const until = async (matches: (line: string) => boolean): Promise<string> => {
    const said = lines.find(matches);
    if (said !== undefined) return said;
    for await (const [line] of on(reader, 'line', { close: ['close'] })) {
      if (matches(String(line))) return String(line);
    }
    throw new Error(`the writer ended first: ${errors.join('\n')}`);
  };
  return { child, lines, errors, until, ended } satisfies WriterProcess;
}

/** The names that the writer acknowledged for a store. */
export const acknowledged = (
  lines: readonly string[],
  store: 'chain' | 'content' | 'kept',
): string[] =>
  lines.filter((line) => line.startsWith(`${store} `)).map((line) => line.split(' ')[1] ?? '');

/** The shell that runs a program with a file system of this size on `dir`, seen by it alone. */
export const smallDisk = (dir: string, size: string): string[] => {
  const namespaces = process.getuid?.() === 0 ? '-m' : '-rm';
  const mount = `mount -t tmpfs -o size=${size} tmpfs "${dir}" && exec "$@"`;
  return ['unshare', namespaces, 'sh', '-c', mount, 'sh'];
};

/** Whether this machine lets us do that: containers often do not. */
export const canMount = (): boolean => {
  const [command = '', ...args] = smallDisk(tmpdir(), '1m');
  if (spawnSync(command, [...args, 'true']).status === 0) return true;
  process.stderr.write('skipped: full disk tests, because nothing can be mounted here\n');
  return false;
};
