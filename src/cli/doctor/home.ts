/** What is in a node's home. */
import { chmod, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { checkFormat } from '../../core/config/format.ts';
import {
  directoriesOf,
  directoryProblem,
  type HomePaths,
  mayBeLink,
} from '../../core/config/home.ts';
import { loadSettings } from '../../core/config/settings.ts';
import { statIfPresent } from '../../core/files.ts';
import type { Inspection } from '../../core/keys/home.ts';
import { warningsOf } from '../keys.ts';
import { type Check, fail, fixed, ok, type Patient, warn } from './check.ts';

export async function checkHome({ paths, version }: Patient): Promise<Check> {
  const format = await checkFormat(paths, { aegis: version });
  return ok('home', `${paths.label}, format ${format}`);
}

/** Nobody else may enter the home or read what is secret in it. */
export async function checkPermissions({ paths, fix }: Patient): Promise<Check> {
  const problems: string[] = [];
  const repaired: string[] = [];
  const uid = process.getuid?.();
  for (const dir of directoriesOf(paths)) {
    const problem = await directoryProblem(dir, mayBeLink(paths, dir));
    if (problem === undefined) continue;
    const stats = await statIfPresent(dir);
    if (fix && stats?.isDirectory() === true && stats.uid === uid) {
      await chmod(dir, 0o700);
      repaired.push(dir);
    } else problems.push(problem);
  }
  for (const file of await privateFiles(paths)) {
    const stats = await statIfPresent(file);
    if (stats === undefined || (stats.mode & 0o077) === 0) continue;
    if (fix && stats.isFile() && stats.uid === uid) {
      await chmod(file, 0o600);
      repaired.push(file);
    } else problems.push(`${file} is open to other users`);
  }
  const hint = 'Repair it: aegis doctor --fix';
  if (problems.length > 0) return fail('permissions', problems.join('; '), hint);
  if (repaired.length > 0) return fixed('permissions', `closed to others: ${repaired.join(', ')}`);
  return ok('permissions', 'only this user can read the home');
}

async function privateFiles(paths: HomePaths): Promise<string[]> {
  const inKeys = (await statIfPresent(paths.keys))?.isDirectory() === true;
  const keys = inKeys ? (await readdir(paths.keys)).map((name) => join(paths.keys, name)) : [];
  const { config, format, chainDb, contentDb, indexDb, genesis } = paths;
  const { readToken, adminToken, logFile } = paths;
  return [
    ...keys.filter((file) => file.endsWith('.json') || file.endsWith('.bak')),
    ...[config, format, chainDb, contentDb, indexDb, genesis, readToken, adminToken, logFile],
  ];
}

export async function checkSettings({ paths, env }: Patient): Promise<Check> {
  const { origins } = await loadSettings(paths, env);
  const given = Object.values(origins).filter((origin) => origin !== 'default').length;
  return ok('settings', `${given} given, the others are defaults`);
}

/** Readable, belonging together and not about to expire; the passphrase is not asked for. */
export function checkKeys(home: Inspection, now: number): Check {
  const { inception, keys } = home;
  const warnings = warningsOf(home, now);
  if (warnings.length > 0) {
    const hint = 'See: aegis keys list. A key past its expiry works on; replace it when you can.';
    return warn('keys', warnings.join('; '), hint);
  }
  const successor = keys.find(({ role }) => role === 'next');
  if (successor !== undefined) {
    const message = `complete; the successor of ${inception.name}'s identity lies beside it`;
    const hint = 'Keep it elsewhere: aegis keys export --next --remove --out F';
    return warn('keys', message, hint);
  }
  return ok('keys', `complete, of ${inception.name}`);
}

export async function checkCluster({ paths }: Patient, inspection: Inspection): Promise<Check> {
  const { nodeId } = inspection;
  if ((await statIfPresent(paths.genesis)) === undefined) {
    const hint = 'Found one or join one: aegis cluster create, aegis cluster join';
    return warn('cluster', 'this node belongs to no cluster yet', hint);
  }
  const { openGenesis } = await import('../../core/model/genesis.ts');
  const { name, members } = openGenesis(await readFile(paths.genesis));
  const self = members.find((member) => member.nodeId === nodeId);
  const { length } = members;
  const message = `${name}, ${length} node${length === 1 ? '' : 's'}`;
  if (self === undefined) {
    if ((await statIfPresent(paths.invitation)) !== undefined) {
      return ok('cluster', `${message} at first, and this one by invitation`);
    }
    const hint = 'See aegis cluster show.';
    return fail('cluster', `${message}, and this one is not among them`, hint);
  }
  const { checkMemberKeys } = await import('../../core/keys/membership.ts');
  checkMemberKeys(inspection, self);
  return ok('cluster', message);
}

export async function checkDatabases({ paths }: Patient): Promise<Check> {
  const { inspectDatabase } = await import('../../core/storage/inspect.ts');
  const reports = [
    await inspectDatabase(paths.chainDb, 'chain'),
    await inspectDatabase(paths.contentDb, 'content'),
  ];
  for (const { problem } of reports) {
    if (problem !== undefined) return fail('databases', problem.message, problem.hint);
  }
  const aside = reports.flatMap(({ path, quarantined }) =>
    quarantined.map((name) => join(dirname(path), name)),
  );
  if (aside.length > 0) {
    const hint = 'Delete them when nothing in them is missed (sqlite3 FILE .recover).';
    return warn('databases', `set aside as damaged: ${aside.join(', ')}`, hint);
  }
  const damaged = reports.reduce((sum, { damagedObjects }) => sum + damagedObjects, 0);
  if (damaged > 0) {
    const message = `${damaged} objects were damaged on this disk and are fetched again`;
    return warn('databases', message, 'Look after the disk: smartctl -a.');
  }
  if (!reports.some(({ exists }) => exists)) return ok('databases', 'none yet');
  const whole = reports.every(({ exists, checkedWhole }) => !exists || checkedWhole);
  return ok('databases', whole ? 'whole' : 'readable; too large to read whole here');
}
