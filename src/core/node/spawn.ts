/**
 * Starts a daemon as a process of its own and waits until it says that it is ready.
 *
 * The passphrase goes through a pipe, never through argv or the environment. The child's standard
 * output carries one line: the `aegis.node.start/1` object, or the `aegis.error/1` object when it
 * could not start.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { AegisError, ERRORS, type ErrorBody } from '../errors.ts';

export interface SpawnOptions {
  /** The JavaScript file that is `aegis`. */
  readonly bin: string;
  /** Arguments after `aegis node start`, without the passphrase. */
  readonly args: readonly string[];
  readonly passphrase: string;
  /** What the process writes to standard error is appended here. */
  readonly consoleFile: string;
  /** @default 30_000 */
  readonly timeoutMs?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
}

export interface StartedDaemon {
  readonly pid: number;
  /** The object that `node start --json` prints when it is ready. */
  readonly ready: Readonly<Record<string, unknown>>;
}

/**
 * @throws {AegisError} what the daemon reported when it could not start; `TIMEOUT` when it stayed
 * silent, in which case it has been ended.
 */
export async function spawnDaemon(options: SpawnOptions): Promise<StartedDaemon> {
  options.signal?.throwIfAborted();
  mkdirSync(dirname(options.consoleFile), { recursive: true, mode: 0o700 });
  const errors = openSync(options.consoleFile, 'a', 0o600);
  const args = [options.bin, 'node', 'start', '--json', '--passphrase-fd', '3', ...options.args];
  let child: ChildProcess;
  try {
    child = spawn(process.execPath, args, {
      detached: true,
      stdio: ['ignore', 'pipe', errors, 'pipe'],
      env: withoutPassphrase(options.env ?? process.env),
    });
  } finally {
    closeSync(errors);
  }
  const passphrase = child.stdio[3] as NodeJS.WritableStream;
  passphrase.on('error', () => {});
  passphrase.end(options.passphrase);
  try {
    const line = await firstLine(child, options);
    child.stdout?.destroy();
    child.unref();
    return { pid: child.pid!, ready: line };
  } catch (error) {
    await end(child);
    throw error;
  }
}

/** A daemon lives long, and every process of its user can read its environment. */
function withoutPassphrase(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(
    // Which cluster it runs for, stands in its arguments.
    ([name]) => !name.startsWith('AEGIS_PASSPHRASE') && name !== 'AEGIS_CLUSTER',
  );
  return Object.fromEntries(kept);
}

/** Ends what still runs, and waits: it may be writing to a home that is about to be removed. */
async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

async function firstLine(
  child: ChildProcess,
  options: SpawnOptions,
): Promise<Record<string, unknown>> {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const line = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new AegisError('TIMEOUT', `the daemon was not ready within ${timeoutMs} ms`));
    }, timeoutMs);
    const give = (error: Error) => {
      clearTimeout(timer);
      reject(error);
    };
    options.signal?.addEventListener('abort', () => give(new AegisError('INTERRUPTED', 'stopped')));
    child.once('error', give);
    child.once('exit', (code, signal) => {
      const how = signal === null ? `exit status ${code}` : `signal ${signal}`;
      // The last line may still be in the pipe; it wins if it comes.
      child.stdout?.once('close', () => {
        const hint = `Its last words are in ${options.consoleFile}.`;
        give(new AegisError('BUG', `the daemon ended with ${how} before it was ready`, { hint }));
      });
    });
    const lines = createInterface({ input: child.stdout! });
    lines.once('line', (text) => {
      clearTimeout(timer);
      resolve(text);
    });
  });
  return readLine(line);
}

function readLine(line: string): Record<string, unknown> {
  let value: Record<string, unknown> & { error?: Partial<ErrorBody> };
  try {
    value = JSON.parse(line) as typeof value;
  } catch (cause) {
    throw new AegisError('BUG', `the daemon said ${JSON.stringify(line.slice(0, 200))}`, { cause });
  }
  const { error } = value;
  if (error?.code !== undefined && error.code in ERRORS) {
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    throw new AegisError(error.code, error.message ?? 'the daemon could not start', hint);
  }
  return value;
}
