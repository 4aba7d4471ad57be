/** What a node needs of the machine it runs on. */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { statIfPresent } from '../../core/files.ts';
import { GIB, MIB } from '../../core/units.ts';
import { bytes } from '../format.ts';
import { type Check, fail, ok, type Patient, warn } from './check.ts';

const NODE_VERSION_MIN = [24, 7] as const;
const FREE_BYTES_WARN = GIB;
const FREE_BYTES_FAIL = 100 * MIB;
/** A peer costs one, a client of the API another; the databases and logs a handful. */
const OPEN_FILES_MIN = 1024;
/** Before this program was written no clock was right. */
const CLOCK_MIN = Date.UTC(2026, 0, 1);

export function checkNodeVersion(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [majorMin, minorMin] = NODE_VERSION_MIN;
  const enough = major > majorMin || (major === majorMin && minor >= minorMin);
  const message = `Node.js ${process.versions.node}`;
  if (enough) return ok('node-version', message);
  return fail('node-version', message, `aegis needs ${NODE_VERSION_MIN.join('.')} or newer.`);
}

/** The disk of the data directory, or of the nearest directory above it that exists. */
export async function checkDiskSpace({ paths }: Patient): Promise<Check> {
  let dir = paths.data;
  while ((await statIfPresent(dir)) === undefined && dirname(dir) !== dir) dir = dirname(dir);
  const { bavail, bsize } = await statfs(dir);
  const free = bavail * bsize;
  const message = `${bytes(free)} free at ${dir}`;
  const hint = 'Free some space: a node that cannot write refuses documents.';
  if (free < FREE_BYTES_FAIL) return fail('disk-space', message, hint);
  return free < FREE_BYTES_WARN ? warn('disk-space', message, hint) : ok('disk-space', message);
}

export function checkOpenFiles(): Check {
  const limit = openFilesLimit();
  if (limit === undefined) return ok('open-files', 'no limit is known');
  const message = `${limit === Infinity ? 'no limit' : `up to ${limit}`} open files`;
  if (limit >= OPEN_FILES_MIN) return ok('open-files', message);
  return warn('open-files', message, `Raise it: ulimit -n ${OPEN_FILES_MIN}`);
}

function openFilesLimit(): number | undefined {
  // The types do not know `excludeNetwork` yet (Node.js 22.13).
  const report = process.report as (NodeJS.ProcessReport & { excludeNetwork: boolean }) | undefined;
  if (report === undefined) return undefined;
  // Otherwise the report asks for the names of all interfaces and sockets, which takes seconds.
  report.excludeNetwork = true;
  const { userLimits } = report.getReport() as {
    userLimits?: { open_files?: { soft: number | 'unlimited' } };
  };
  const soft = userLimits?.open_files?.soft;
  return soft === 'unlimited' ? Infinity : soft;
}

/** @param createdAt when this node's identity was made; undefined when that is not known. */
export function checkClock(createdAt: number | undefined, now: number = Date.now()): Check {
  const time = new Date(now).toISOString();
  const hint = 'Set the clock (timedatectl set-ntp true): versions are ordered by time.';
  if (now < CLOCK_MIN) return fail('clock', `the clock says ${time}`, hint);
  if (createdAt !== undefined && createdAt > now) {
    const made = new Date(createdAt).toISOString();
    return fail('clock', `the clock says ${time}, before this node was made (${made})`, hint);
  }
  return ok('clock', time);
}
