/** What runs on this machine and what it uses, as `ps` tells. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { isAlive as isProcessAlive } from '../../../src/core/processes.ts';

export interface Process {
  readonly pid: number;
  readonly args: string;
}

/** Processes with `text` in their command line; zombies have none. */
export function processesWith(text: string): Process[] {
  const lines = execFileSync('ps', ['-A', '-ww', '-o', 'pid=,args='], { encoding: 'utf8' });
  return lines
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(.*)$/.exec(line))
    .filter((match) => match !== null && match[2]!.includes(text))
    .map((match) => ({ pid: Number(match![1]), args: match![2]! }));
}

/** Whether it runs; a zombie that nobody has collected yet does not. */
export const isAlive = (pid: number): boolean => isProcessAlive({ pid, startTicks: undefined });

/** Resident memory of a process. */
export function rssBytes(pid: number): number {
  return 1024 * Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' }));
}

/** Command line and environment of a process, as any process of its user can read them. */
export function visibleOf(pid: number): { cmdline: Buffer; environ: Buffer } {
  return {
    cmdline: readFileSync(`/proc/${pid}/cmdline`),
    environ: readFileSync(`/proc/${pid}/environ`),
  };
}
