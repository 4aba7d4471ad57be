/** The real bin as a process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';

export const BIN = resolve('bin/aegis.js');

export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** The Node.js to run it with. @default the one of this process */
  readonly node?: string;
  readonly cwd?: string;
  readonly onSpawn?: (child: ChildProcess) => void;
}

/** What a test passes on from its own environment: no colours, no home, no passphrase of ours. */
export function cleanEnv(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const ours = /^(AEGIS_|FORCE_COLOR$|CI$|VITEST|NODE_ENV$|DEV$)/;
  const kept = Object.entries(process.env).filter(([name]) => !ours.test(name));
  return { ...Object.fromEntries(kept), NO_COLOR: '1', ...more };
}

/** Runs `aegis` to its end. */
export async function aegis(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return await run(options.node ?? process.execPath, [BIN, ...args], options);
}

/** Runs a shell command line in which `$AEGIS` is the bin. */
export async function shell(line: string, options: RunOptions = {}): Promise<Outcome> {
  const env = cleanEnv({ ...options.env, AEGIS: `${process.execPath} ${BIN}` });
  return await run('bash', ['-c', line], { ...options, env });
}

export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions,
): Promise<Outcome> {
  const child = spawn(program, args, {
    env: cleanEnv(options.env),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  options.onSpawn?.(child);
  const texts = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (texts.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (texts.stderr += text));
  child.stdin.on('error', () => {});
  child.stdin.end(options.input);
  return await new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (exit, signal) => done({ ...texts, exit, signal }));
  });
}
