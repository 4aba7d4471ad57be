/**
 * The steps by which key files change places. Each is durable before it resolves, and after a cut
 * between any two of them, or inside one, a file is there whole, or is not there. `erase` writes
 * over a file before it unlinks it: what a disk with wear levelling or a file system with copies
 * keeps of it is encrypted still.
 */
import { constants } from 'node:fs';
import { mkdir, open, readdir, rename, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { statIfPresent, syncDirectory, writeFileAtomic } from '../files.ts';

/** What the disk is asked for. Only tests put something between. */
export interface Disk {
  write(path: string, bytes: Uint8Array | string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Zeros over all of it, durably. */
  blank(path: string): Promise<void>;
  unlink(path: string): Promise<void>;
  makeDirectory(path: string): Promise<void>;
  removeDirectory(path: string): Promise<void>;
}

export const realDisk: Disk = {
  write: (path, bytes) => writeFileAtomic(path, bytes, { mode: 0o600 }),
  rename: async (from, to) => {
    await rename(from, to);
    await syncDirectory(dirname(to));
    if (dirname(from) !== dirname(to)) await syncDirectory(dirname(from));
  },
  blank: async (path) => {
    const handle = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW);
    try {
      const { size } = await handle.stat();
      await handle.write(Buffer.alloc(size), 0, size, 0);
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  unlink: async (path) => {
    await unlink(path);
    await syncDirectory(dirname(path));
  },
  makeDirectory: async (path) => {
    await mkdir(path, { mode: 0o700, recursive: true });
    await syncDirectory(dirname(path));
  },
  removeDirectory: async (path) => {
    await rmdir(path);
    await syncDirectory(dirname(path));
  },
};

/** Not a key file any more, whatever is in it. */
const ERASED = '.erased';

/** Aside first, so that a cut leaves no file that is half blank under a name that is read. */
export async function erase(path: string, disk: Disk = realDisk): Promise<void> {
  if ((await statIfPresent(path)) === undefined) return;
  await disk.rename(path, `${path}${ERASED}`);
  await finishErasing(`${path}${ERASED}`, disk);
}

async function finishErasing(path: string, disk: Disk): Promise<void> {
  await disk.blank(path);
  await disk.unlink(path);
}

/** What an earlier cut left of `erase`. */
export async function sweepErased(dir: string, disk: Disk = realDisk): Promise<void> {
  for (const name of await namesIn(dir)) {
    if (name.endsWith(ERASED)) await finishErasing(join(dir, name), disk);
  }
}

/** Erases every file of a directory, `last` at the end, and the directory. */
export async function eraseDirectory(
  dir: string,
  last: string | undefined,
  disk: Disk = realDisk,
): Promise<void> {
  if ((await statIfPresent(dir)) === undefined) return;
  await sweepErased(dir, disk);
  for (const name of await namesIn(dir)) if (name !== last) await erase(join(dir, name), disk);
  if (last !== undefined) await erase(join(dir, last), disk);
  await disk.removeDirectory(dir);
}

/** Empty for a directory that is not there. */
export async function namesIn(dir: string): Promise<string[]> {
  if ((await statIfPresent(dir)) === undefined) return [];
  return (await readdir(dir)).toSorted();
}
