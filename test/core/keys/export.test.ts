import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exportKeys } from '../../../src/core/keys/export.ts';
import type { Inspection } from '../../../src/core/keys/home.ts';
import { parseKeyFile, renderKeyFile, unsealKey } from '../../../src/core/keys/key-file.ts';
import { Keystore } from '../../../src/core/keys/keystore.ts';
import { keyPath } from '../../../src/core/keys/layout.ts';
import { publicKeyFor } from '../../../src/core/keys/material.ts';
import { systemRandom } from '../../../src/core/keys/random.ts';
import { Unlocker } from '../../../src/core/keys/unlocker.ts';
import { openInception } from '../../../src/core/model/identity.ts';
import { QUICK_KDF, withDirectory } from '../../helpers/keystores.ts';
import { fromHex, toHex } from '../../helpers/vectors.ts';

async function withInspection(
  use: (keystore: Inspection, dir: string, secret: string) => Promise<void>,
): Promise<void> {
  await withDirectory(async (parent) => {
    const dir = join(parent, 'keys');
    const fields = { dir, name: 'n', zone: 'z', region: 'r', createdAt: 1, kdfCost: QUICK_KDF };
    const options = { ...fields, passphrase: 'right' };
    const { keystore } = await Keystore.create(options, { random: systemRandom });
    const secret = toHex(keystore.networkSeed());
    keystore.close();
    await use(await Keystore.inspect(dir), dir, secret);
  });
}

test('the public export holds who the node is and no secret', async () => {
  await withInspection(async (keystore, _dir, secret) => {
    const document = await exportKeys(keystore, 'public');
    const inception = new Uint8Array(Buffer.from(document.inception, 'base64'));
    expect(openInception(inception).nodeId).toBe(document.nodeId);
    const roles = ['identity', 'next', 'network', 'consensus', 'vrf', 'onion'];
    expect(document.keys.map((key) => key.role)).toEqual(roles);
    const text = JSON.stringify(document);
    expect(text).not.toContain('ciphertext');
    expect(text).not.toContain(secret);
  });
});

test('the encrypted export opens with the passphrase and shows no secret', async () => {
  await withInspection(async (keystore, _dir, secret) => {
    const document = await exportKeys(keystore, 'encrypted');
    expect(JSON.stringify(document)).not.toContain(secret);
    const { keyFile } = document.keys.find((key) => key.role === 'network')!;
    using unlocker = new Unlocker('right');
    const opened = await unsealKey(parseKeyFile(renderKeyFile(keyFile!)), unlocker);
    expect(toHex(opened.secret)).toBe(secret);
  });
});

test('the plain export needs the passphrase', async () => {
  await withInspection(async (keystore, _dir, secret) => {
    const document = await exportKeys(keystore, 'plain', { passphrase: 'right' });
    const network = document.keys.find((key) => key.role === 'network')!;
    expect(network.secret).toBe(secret);
    for (const key of document.keys) {
      expect(await publicKeyFor(key.type, fromHex(key.secret!))).toBe(key.public.key);
    }
    await expect(exportKeys(keystore, 'plain', { passphrase: 'wrong' })).rejects.toMatchObject({
      code: 'WRONG_PASSPHRASE',
    });
  });
});

test('a key that was moved away cannot be exported', async () => {
  await withInspection(async (_keystore, dir) => {
    await rm(keyPath(dir, 'next'));
    const keystore = await Keystore.inspect(dir);
    await expect(exportKeys(keystore, 'encrypted', { roles: ['next'] })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});
