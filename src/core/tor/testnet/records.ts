/**
 * What a private network writes down about its processes, so that a later process can end exactly
 * those: by pid and by the time of their start. A pid alone may be somebody else's by now.
 */
import { lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeFileAtomic } from '../../files.ts';
import { isAlive, type ProcessName, startTicksOf } from '../../processes.ts';

const SCHEMA = 'aegis.tor-network/1';

export interface MemberRecord {
  readonly name: string;
  readonly pid: number;
  /** Absent where the system does not tell. */
  readonly startTicks?: number;
}

export interface NetworkRecord {
  readonly schema: typeof SCHEMA;
  /** Who started it; for one that ends with somebody, that somebody. */
  readonly owner: MemberRecord;
  /** It goes on without its owner, once it is ready. */
  readonly outlives: boolean;
  readonly isReady: boolean;
  readonly members: readonly MemberRecord[];
}

const FILE = 'network.json';

/** Of one that starts. Until it is ready it ends with its owner: a crash must leave nothing. */
export const newRecord = (owner: number | undefined): NetworkRecord => ({
  schema: SCHEMA,
  owner: recordOf('owner', owner ?? process.pid),
  outlives: owner === undefined,
  isReady: false,
  members: [],
});

export function recordOf(name: string, pid: number): MemberRecord {
  const startTicks = startTicksOf(pid);
  return startTicks === undefined ? { name, pid } : { name, pid, startTicks };
}

export const writeRecord = (dir: string, record: NetworkRecord): Promise<void> =>
  writeFileAtomic(join(dir, FILE), `${JSON.stringify(record)}\n`, { mode: 0o600 });

/** Undefined when there is none, or it is not ours: whoever writes there could name any process. */
export function readRecord(dir: string): NetworkRecord | undefined {
  try {
    const stat = lstatSync(dir);
    if (!stat.isDirectory() || stat.uid !== process.getuid?.()) return undefined;
    const record = JSON.parse(readFileSync(join(dir, FILE), 'utf8')) as NetworkRecord;
    return record.schema === SCHEMA ? record : undefined;
  } catch {
    return undefined;
  }
}

/** Whether nobody needs the network any more: its owner ended, and it was not to go on. */
export const isStale = (record: NetworkRecord): boolean =>
  !(record.outlives && record.isReady) && !isAlive(nameOf(record.owner));

export const nameOf = ({ pid, startTicks }: MemberRecord): ProcessName => ({ pid, startTicks });

/** Without the times of their start, processes are not known well enough to be swept away. */
export const isCertain = ({ owner, members }: NetworkRecord): boolean =>
  [owner, ...members].every(({ startTicks }) => startTicks !== undefined);

/** Kills the members that run: what they have is thrown away. Resolves when they are gone. */
export async function endAll(members: readonly MemberRecord[]): Promise<void> {
  const running = () => members.filter((member) => isAlive(nameOf(member)));
  for (const { pid } of running()) kill(pid);
  while (running().length > 0) await sleep(20);
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It ended between the look and the signal.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
