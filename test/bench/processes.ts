/**
 * Programs under measurement: what they take in time and processor, read from the kernel and not
 * from the programs themselves. Linux only, as /proc is.
 */
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const ROOT = join(import.meta.dirname, '..', '..');
export const BIN = join(ROOT, 'bin', 'aegis.js');

const run = promisify(execFile);
const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

export interface Usage {
  readonly wallMs: number;
  /** User and system time of the program and of what it waited for. */
  readonly cpuMs: number;
}

/**
 * Runs a program to its end. Bash measures: it asks the kernel when the program has ended, to the
 * millisecond, and its own start is not counted.
 * @throws when the program does not end with 0.
 */
export async function timed(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Usage> {
  const script = 'TIMEFORMAT="%R %U %S"; time "$@" >&3 3>&- 2>&4 4>&-';
  const quiet = `{ ${script}; } 3>/dev/null 4>/dev/null`;
  const { stderr } = await run('bash', ['-c', quiet, '-', ...args], {
    env: { ...process.env, NO_COLOR: '1', LC_ALL: 'C', ...env },
  });
  const [wall, user, system] = stderr.trim().split(/\s+/).map(Number);
  return { wallMs: wall! * 1000, cpuMs: (user! + system!) * 1000 };
}

/** Processor time that a process has used until now, all its threads together. */
export function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Fields 14 and 15 of proc(5), utime and stime; this list starts at field 3.
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1000;
}

/** Share of one core that a process uses while `ms` go by, in percent. */
export async function corePercent(pid: number, ms: number): Promise<number> {
  const from = { cpuMs: cpuMsOf(pid), at: performance.now() };
  await pause(ms);
  return ((cpuMsOf(pid) - from.cpuMs) / (performance.now() - from.at)) * 100;
}

/** Resident memory in MiB: now, or the most since the start or the last `forgetPeak`. */
export function residentMib(pid: number, which: 'VmRSS' | 'VmHWM' = 'VmRSS'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const found = new RegExp(`^${which}:\\s+(\\d+) kB$`, 'm').exec(status);
  return Number(found?.[1]) / 1024;
}

/** See clear_refs in proc(5). */
export const forgetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, '5');

/** From now on all threads of a process have what others leave of the processors. */
export async function yieldProcessor(pid: number): Promise<void> {
  await run('chrt', ['--all-tasks', '--idle', '--pid', '0', `${pid}`]);
}

export const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** Waits for something that another process brings about. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  waitMs = 20_000,
): Promise<T> {
  const end = performance.now() + waitMs;
  while (performance.now() < end) {
    const found = await look();
    if (found !== undefined) return found;
    await pause(20);
  }
  throw new Error(`${what} did not come about within ${waitMs / 1000} s`);
}
