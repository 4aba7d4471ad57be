/** Whether a process of this machine still runs. Cheap, for daemons and short commands alike. */
import { readFileSync } from 'node:fs';

export interface ProcessName {
  readonly pid: number;
  /** Ticks between the boot of the machine and the start of the process, where /proc tells. */
  readonly startTicks: number | undefined;
}

/** Whether that very process runs: a pid alone may have been given to another since. */
export function isAlive({ pid, startTicks }: ProcessName): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  const stat = statOf(pid);
  // A zombie has ended and waits for its parent to notice, in a container perhaps for ever.
  if (stat?.state === 'Z') return false;
  const ticks = stat?.startTicks;
  return startTicks === undefined || ticks === undefined || ticks === startTicks;
}

export const startTicksOf = (pid: number): number | undefined => statOf(pid)?.startTicks;

/** Fields 3 and 22 of /proc/PID/stat (proc(5)); undefined where there is no /proc. */
function statOf(pid: number): { state: string; startTicks: number | undefined } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name of the program, in parentheses, may hold anything, so fields count from its end.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ticks = Number(fields[19]);
    return { state: fields[0]!, startTicks: Number.isSafeInteger(ticks) ? ticks : undefined };
  } catch {
    return undefined;
  }
}
