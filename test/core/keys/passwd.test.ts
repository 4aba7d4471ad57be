import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Keystore } from '../../../src/core/keys/keystore.ts';
import { keyPath } from '../../../src/core/keys/layout.ts';
import { openKey } from '../../../src/core/keys/open-key.ts';
import { type ChangeOptions, changePassphrase } from '../../../src/core/keys/passwd.ts';
import { systemRandom } from '../../../src/core/keys/random.ts';
import { Unlocker } from '../../../src/core/keys/unlocker.ts';
import { QUICK_KDF, withDirectory } from '../../helpers/keystores.ts';

const random = systemRandom;

async function withKeystore(
  next: { nextPassphrase?: string },
  use: (dir: string) => Promise<void>,
): Promise<void> {
  await withDirectory(async (parent) => {
    const dir = join(parent, 'keys');
    const fields = { dir, name: 'n', zone: 'z', region: 'r', createdAt: 1, kdfCost: QUICK_KDF };
    const options = { ...fields, passphrase: 'old', ...next };
    (await Keystore.create(options, { random })).keystore.close();
    await use(dir);
  });
}

const change = (dir: string, more: Partial<ChangeOptions> = {}) =>
  changePassphrase(
    { dir, passphrase: 'old', newPassphrase: 'new', kdfCost: QUICK_KDF, ...more },
    { random },
  );
const opens = async (dir: string, passphrase: string): Promise<boolean> => {
  try {
    (await Keystore.open({ dir, passphrase })).close();
    return true;
  } catch {
    return false;
  }
};
const nextOpens = async (dir: string, passphrase: string): Promise<boolean> => {
  using unlocker = new Unlocker(passphrase);
  return await openKey(keyPath(dir, 'next'), unlocker).then(
    () => true,
    () => false,
  );
};

const OTHERS = ['identity', 'network', 'consensus', 'vrf', 'onion'];

test('all keys of one passphrase change together; the backups keep the old one', async () => {
  await withKeystore({}, async (dir) => {
    const before = await readFile(keyPath(dir, 'identity'));
    const { nodeId } = await Keystore.inspect(dir);
    const result = await change(dir);
    expect(result.changed).toEqual([...OTHERS, 'next']);
    expect(result.backups).toHaveLength(6);
    expect([await opens(dir, 'old'), await opens(dir, 'new')]).toEqual([false, true]);
    expect(await nextOpens(dir, 'new')).toBe(true);
    expect((await Keystore.inspect(dir)).nodeId).toBe(nodeId);
    expect(await readFile(`${keyPath(dir, 'identity')}.bak`)).toEqual(before);
    expect((await stat(`${keyPath(dir, 'identity')}.bak`)).mode & 0o777).toBe(0o600);
  });
});

test('a successor with a passphrase of its own stays as it is, and changes alone', async () => {
  await withKeystore({ nextPassphrase: 'own' }, async (dir) => {
    expect(await change(dir)).toMatchObject({
      changed: OTHERS,
      unchanged: ['next'],
    });
    expect(await nextOpens(dir, 'own')).toBe(true);
    const alone = { onlyNext: true, passphrase: 'own', newPassphrase: 'other' };
    expect((await change(dir, alone)).changed).toEqual(['next']);
    expect(await nextOpens(dir, 'other')).toBe(true);
    expect(await opens(dir, 'new')).toBe(true);
  });
});

test('a wrong old passphrase changes nothing', async () => {
  await withKeystore({}, async (dir) => {
    await expect(change(dir, { passphrase: 'wrong' })).rejects.toMatchObject({
      code: 'WRONG_PASSPHRASE',
    });
    expect(await opens(dir, 'old')).toBe(true);
    await expect(stat(`${keyPath(dir, 'identity')}.bak`)).rejects.toThrow('ENOENT');
  });
});

test('work that was cut between two files is finished by the same call', async () => {
  await withKeystore({}, async (dir) => {
    // As after a crash: the identity has the new passphrase, the others still have the old one.
    const identity = keyPath(dir, 'identity');
    await change(dir);
    const done = await readFile(identity);
    await change(dir, { passphrase: 'new', newPassphrase: 'old' });
    const { writeFileAtomic } = await import('../../../src/core/files.ts');
    await writeFileAtomic(identity, done);
    expect(await opens(dir, 'old')).toBe(false);
    expect(await change(dir)).toMatchObject({
      changed: ['network', 'consensus', 'vrf', 'onion', 'next'],
      unchanged: ['identity'],
    });
    expect(await opens(dir, 'new')).toBe(true);
  });
});

test('a successor that was moved away is no obstacle, unless it alone is meant', async () => {
  await withKeystore({}, async (dir) => {
    await rm(keyPath(dir, 'next'));
    await expect(change(dir, { onlyNext: true })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await change(dir)).changed).toEqual(OTHERS);
  });
});
