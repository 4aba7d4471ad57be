import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exportKeys } from '../../../src/core/keys/export.ts';
import { importKeys } from '../../../src/core/keys/import.ts';
import { Keystore } from '../../../src/core/keys/keystore.ts';
import { type KeyRole, keyPath } from '../../../src/core/keys/layout.ts';
import { changePassphrase } from '../../../src/core/keys/passwd.ts';
import { systemRandom } from '../../../src/core/keys/random.ts';
import { QUICK_KDF } from '../../helpers/keystores.ts';
import { openHome, prepare, settle, withHome } from './support/rotations.ts';

const random = systemRandom;

async function withExport(use: (dir: string, from: string) => Promise<void>): Promise<void> {
  await withHome(async (dir, parent) => {
    const from = join(parent, 'keys.json');
    const document = await exportKeys(await Keystore.inspect(dir), 'encrypted');
    await writeFile(from, JSON.stringify(document));
    await use(dir, from);
  });
}

const passphrase = (text: string) => () => Promise.resolve(text);
const unasked = () => Promise.reject(new Error('nobody was to be asked'));

test.each([[['identity']], [['onion']], [['network', 'vrf']], [['consensus', 'vrf']]] as [
  KeyRole[],
][])('%j comes back from an export', async (roles) => {
  await withExport(async (dir, from) => {
    for (const role of roles) await rm(keyPath(dir, role));
    const result = await importKeys({ dir, from, passphrase: passphrase('p') }, { random });
    expect(result.imported.toSorted()).toEqual(roles.toSorted());
    expect(result.unchanged).toHaveLength(6 - roles.length);
    using keystore = await openHome(dir);
    expect(keystore.missing()).toEqual([]);
  });
});

test('a damaged file is replaced, under the passphrase that the home has by now', async () => {
  await withExport(async (dir, from) => {
    await changePassphrase(
      { dir, passphrase: 'p', newPassphrase: 'q', kdfCost: QUICK_KDF },
      { random },
    );
    await writeFile(keyPath(dir, 'network'), 'rubbish');
    const options = { dir, from, passphrase: passphrase('q') };
    await expect(importKeys(options, { random })).rejects.toMatchObject({
      code: 'WRONG_PASSPHRASE',
      hint: expect.stringContaining('--from-passphrase-file') as string,
    });
    await importKeys({ ...options, fromPassphrase: passphrase('p') }, { random });
    using keystore = await Keystore.open({ dir, passphrase: 'q' });
    expect(keystore.networkSeed()).toHaveLength(32);
  });
});

test('the successor comes back as it was, without a passphrase', async () => {
  await withExport(async (dir, from) => {
    const before = await Keystore.inspect(dir);
    await rm(keyPath(dir, 'next'));
    const result = await importKeys({ dir, from, passphrase: unasked }, { random });
    expect(result.imported).toEqual(['next']);
    expect((await Keystore.inspect(dir)).keys).toEqual(before.keys);
  });
});

test('keys that are retired, or of another node, are refused', async () => {
  await withExport(async (dir, from) => {
    const refused = { code: 'BAD_DATA', exit: 65 };
    await withHome(async (other) => {
      const options = { dir: other, from, passphrase: unasked };
      await expect(importKeys(options, { random })).rejects.toMatchObject(refused);
    });
    await settle(dir, await prepare(dir, ['network']));
    await rm(keyPath(dir, 'network'));
    const options = { dir, from, passphrase: passphrase('p') };
    await expect(importKeys(options, { random })).rejects.toMatchObject(refused);
  });
});

test('documents without encrypted keys, and what is none, are told apart', async () => {
  await withExport(async (dir, from) => {
    const options = { dir, from, passphrase: unasked };
    const document = await exportKeys(await Keystore.inspect(dir), 'public');
    await writeFile(from, JSON.stringify(document));
    await expect(importKeys(options, { random })).rejects.toMatchObject({
      code: 'UNSUPPORTED_FILE',
    });
    for (const text of [
      'rubbish',
      '{"schema":"aegis.keystore/1","keys":[{"keyFile":7}]}',
      'null',
    ]) {
      await writeFile(from, text);
      await expect(importKeys(options, { random })).rejects.toMatchObject({
        code: 'KEYSTORE_DAMAGED',
      });
    }
  });
});
