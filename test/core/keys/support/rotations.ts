/** Homes whose keys are rotated, and disks that are cut. */
import { mkdir, readdir, readFile, rename, rmdir, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Keystore } from '../../../../src/core/keys/keystore.ts';
import { systemRandom } from '../../../../src/core/keys/random.ts';
import {
  type PreparedRotation,
  prepareRotation,
  type RotationOptions,
} from '../../../../src/core/keys/rotation.ts';
import { type Settled, type SettleOptions, settleHome } from '../../../../src/core/keys/settle.ts';
import type { Disk } from '../../../../src/core/keys/steps.ts';
import { QUICK_KDF, withDirectory } from '../../../helpers/keystores.ts';

export const BEGIN = 1_800_000_000_000;
export const HOUR = 3600 * 1000;
const random = systemRandom;

/** A home with the passphrase `p`, whose successor has the passphrase `n`. */
export async function withHome(use: (dir: string, parent: string) => Promise<void>): Promise<void> {
  await withDirectory(async (parent) => {
    const dir = join(parent, 'keys');
    const names = { name: 'n', zone: 'z', region: 'r', createdAt: BEGIN };
    const secrets = { passphrase: 'p', nextPassphrase: 'n', kdfCost: QUICK_KDF };
    (await Keystore.create({ dir, ...names, ...secrets }, { random })).keystore.close();
    await use(dir, parent);
  });
}

export const prepare = (
  dir: string,
  roles: RotationOptions['roles'],
  more: Partial<RotationOptions> = {},
): Promise<PreparedRotation> =>
  prepareRotation(
    {
      dir,
      passphrase: 'p',
      next: { passphrase: 'n' },
      roles,
      now: BEGIN + HOUR,
      kdfCost: QUICK_KDF,
      ...more,
    },
    { random },
  );

/** The grace of network and onion keys. */
export const graceUntil = (until: number): SettleOptions['graceUntil'] & object => ({
  network: until,
  onion: until,
});

/** As if the prepared entry were final, with those before it. */
export async function settle(
  dir: string,
  prepared: PreparedRotation,
  more: Partial<SettleOptions> = {},
): Promise<Settled> {
  const { succession } = await Keystore.inspect(dir);
  const entries = [...succession.slice(0, prepared.before.number), prepared.entry.bytes];
  const times = { now: BEGIN + HOUR, graceUntil: graceUntil(BEGIN + 2 * HOUR) };
  return await settleHome({ dir, state: prepared.after, succession: entries, ...times, ...more });
}

export const openHome = (dir: string): Promise<Keystore> => Keystore.open({ dir, passphrase: 'p' });

/** All files below a directory, by their paths in it. */
export const filesIn = async (dir: string): Promise<string[]> =>
  (await readdir(dir, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
    .toSorted();

export class Cut extends Error {}

/** The steps of the real one, without waiting for the platters. */
const QUICK: Disk = {
  write: async (path, bytes) => {
    await writeFile(`${path}.tmp`, bytes, { mode: 0o600 });
    await rename(`${path}.tmp`, path);
  },
  rename,
  blank: async (path) => await writeFile(path, Buffer.alloc((await stat(path)).size)),
  unlink,
  makeDirectory: async (path) => void (await mkdir(path, { recursive: true })),
  removeDirectory: rmdir,
};

/**
 * A disk that dies: after `steps` steps nothing is done any more, as after kill -9. Every step is
 * done or not, but for blanking: a file may be half blank.
 */
export function dyingDisk(steps: number): Disk & { readonly isDead: () => boolean } {
  let left = steps;
  const wrap =
    <A extends readonly unknown[]>(step: (...args: A) => Promise<void>, half = dead) =>
    async (...args: A): Promise<void> => {
      left -= 1;
      if (left >= 0) return await step(...args);
      if (left === -1) await half(...args);
      throw new Cut();
    };
  return {
    write: wrap(QUICK.write),
    rename: wrap(QUICK.rename),
    blank: wrap(QUICK.blank, halfBlank),
    unlink: wrap(QUICK.unlink),
    makeDirectory: wrap(QUICK.makeDirectory),
    removeDirectory: wrap(QUICK.removeDirectory),
    isDead: () => left < 0,
  };
}

const dead = (..._args: readonly unknown[]): Promise<void> => Promise.resolve();

async function halfBlank(...[path]: readonly unknown[]): Promise<void> {
  const bytes = await readFile(String(path));
  await writeFile(String(path), bytes.fill(0, 0, Math.ceil(bytes.length / 2)));
}
