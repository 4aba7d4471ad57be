/**
 * `aegis node backup`: a copy of the home of a running node that can be started elsewhere. It
 * carries the marker of K2, so that it does not vote with the keys it brings, and the marker that
 * makes it ask its peers for its own versions before it writes. Logs, tokens and sockets stay.
 */
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, isAbsolute } from 'node:path';
import { writeFormat } from '../config/format.ts';
import { directoriesOf, type HomePaths, resolveHome } from '../config/home.ts';
import { configAlone } from '../config/settings.ts';
import { AegisError, toAegisError } from '../errors.ts';
import { statIfPresent, syncDirectory, writeFileAtomic } from '../files.ts';
import { collectBackup, restoreKeys } from '../keys/backup.ts';
import { copyStores } from '../storage/copy.ts';

export interface HomeCopyOptions {
  readonly paths: HomePaths;
  /** Version of aegis. */
  readonly version: string;
  /** Absolute; nothing may be there, or an empty directory. */
  readonly dir: string;
  readonly now: number;
  readonly signal?: AbortSignal | undefined;
}

export interface HomeCopy {
  readonly chainBytes: number;
  readonly contentBytes: number;
  /** Consensus keys (hexadecimal) with which the copy does not vote. */
  readonly consensusKeys: readonly string[];
}

/**
 * All of the copy is there when it resolves, durable, or none of it.
 * @throws {AegisError} `EXISTS`, `BAD_REQUEST`, `NOT_FOUND`, `DENIED`, `DISK_FULL`.
 */
export async function copyHome(options: HomeCopyOptions): Promise<HomeCopy> {
  const { dir } = options;
  if (!isAbsolute(dir)) throw new AegisError('BAD_REQUEST', `not an absolute path: ${dir}`);
  await requireFree(dir);
  const temporary = await makeBeside(dir);
  try {
    const copy = await fill(temporary, options);
    // An empty directory makes room; a full one does not.
    await rmdir(dir).catch(() => undefined);
    await rename(temporary, dir);
    await syncDirectory(dirname(dir));
    return copy;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw toAegisError(error);
  }
}

async function fill(root: string, options: HomeCopyOptions): Promise<HomeCopy> {
  const { paths, version, now, signal } = options;
  const to = resolveHome({ home: root, env: {} });
  for (const path of directoriesOf(to)) {
    if (path !== to.keys) await mkdir(path, { recursive: true, mode: 0o700 });
  }
  const { chainDb, contentDb } = paths;
  const stores = await copyStores({
    ...{ chainDb, contentDb, to },
    ...(signal === undefined ? {} : { signal }),
  });
  if (paths.cluster !== undefined) {
    // The copy has this cluster alone, and no name for it.
    const config = await configAlone(paths);
    if (config !== undefined) await writeFileAtomic(to.config, config);
  }
  for (const [from, path] of [
    ...(paths.cluster === undefined ? [[paths.config, to.config] as const] : []),
    [paths.genesis, to.genesis],
    [paths.invitation, to.invitation],
  ] as const) {
    if ((await statIfPresent(from)) === undefined) continue;
    await writeFileAtomic(path, await readFile(from));
  }
  await writeFileAtomic(`${to.chainDb}.lost`, 'This home is a copy; it asks its peers first.\n');
  // The keys last: they may be newer than the facts, and never older.
  const keys = await collectBackup({ dir: paths.keys, withNext: true, belongings: {}, now });
  await restoreKeys(keys, to.keys);
  await writeFormat(to, { aegis: version });
  for (const path of directoriesOf(to)) await syncDirectory(path);
  const { consensusKeys } = keys;
  return { ...stores, consensusKeys };
}

async function requireFree(dir: string): Promise<void> {
  const stats = await statIfPresent(dir);
  if (stats === undefined) return;
  const isEmpty = stats.isDirectory() && (await readdir(dir)).length === 0;
  if (!isEmpty) throw new AegisError('EXISTS', `there is something in ${dir} already`);
}

async function makeBeside(dir: string): Promise<string> {
  try {
    const temporary = await mkdtemp(`${dir}.new-`);
    await chmod(temporary, 0o700);
    return temporary;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw toAegisError(error);
    throw new AegisError('NOT_FOUND', `there is no directory ${dirname(dir)}`);
  }
}
