import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seal } from '../../../src/core/crypto/aead.ts';
import { argon2id } from '../../../src/core/crypto/kdf.ts';
import { isAegisError } from '../../../src/core/errors.ts';
import { createBackup, openBackup, restoreKeys } from '../../../src/core/keys/backup.ts';
import { Keystore } from '../../../src/core/keys/keystore.ts';
import { systemRandom } from '../../../src/core/keys/random.ts';
import { encode } from '../../../src/core/model/cbor.ts';
import { QUICK_KDF } from '../../helpers/keystores.ts';
import { mutated } from '../../helpers/mutation.ts';
import { BEGIN, filesIn, HOUR, openHome, prepare, settle, withHome } from './support/rotations.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const backUp = async (dir: string, withNext = false) =>
  await createBackup(
    {
      dir,
      passphrase: 'b',
      withNext,
      belongings: { genesis: Buffer.from('genesis'), config: Buffer.from('{}') },
      now: BEGIN,
      kdfCost: QUICK_KDF,
    },
    { random: systemRandom },
  );

test('a backup brings the keys back, marked, and without the successor', async () => {
  await withHome(async (dir, parent) => {
    await settle(dir, await prepare(dir, ['network', 'consensus']));
    const pending = await prepare(dir, ['consensus']);
    const { bytes } = await backUp(dir);
    const backup = openBackup(bytes, 'b');
    const restored = join(parent, 'restored');
    const home = await restoreKeys(backup, restored);
    const without = (await filesIn(dir)).filter((name) => name !== 'identity-next.key.json');
    expect(await filesIn(restored)).toEqual([...without, 'restored.json'].toSorted());
    expect(home.current).toEqual(pending.before);
    // K2: the prepared key, too: the other home may have gone on with it.
    expect(home.restored).toEqual([
      hex(pending.before.keys.consensusKey),
      hex(pending.after.keys.consensusKey),
    ]);
    using keystore = await openHome(restored);
    expect(keystore.heldConsensusKeys()).toEqual(home.restored);
    expect(keystore.missing()).toEqual([]);
    expect(Buffer.from(backup.genesis!).toString()).toBe('genesis');
    // A second time is harmless as long as nothing has changed.
    expect((await restoreKeys(backup, restored)).nodeId).toBe(home.nodeId);
    await rm(join(restored, 'restored.json'));
    await expect(restoreKeys(backup, restored)).rejects.toMatchObject({ code: 'EXISTS' });
    const withNext = openBackup((await backUp(dir, true)).bytes, 'b');
    expect(withNext.files.map(({ name }) => name)).toContain('identity-next.key.json');
  });
});

test('a backup of a restored home brings the keys of its marker, too', async () => {
  await withHome(async (dir) => {
    await writeFile(
      join(dir, 'restored.json'),
      JSON.stringify({ schema: 'aegis.restored/1', consensusKeys: ['aa'] }),
    );
    expect((await backUp(dir)).backup.consensusKeys).toContain('aa');
  });
});

test('nothing of the keys or their names can be read in a backup', async () => {
  await withHome(async (dir) => {
    const { bytes } = await backUp(dir, true);
    const { nodeId } = await Keystore.inspect(dir);
    const text = Buffer.from(bytes).toString('latin1');
    for (const word of [nodeId, 'identity', 'ciphertext":', 'genesis', 'aegis.key']) {
      expect(text).not.toContain(word);
    }
  });
});

test('a wrong passphrase and changed bytes open nothing', async () => {
  await withHome(async (dir) => {
    const { bytes } = await backUp(dir);
    expect(() => openBackup(bytes, 'x')).toThrow(
      expect.objectContaining({ code: 'WRONG_PASSPHRASE', exit: 77 }) as Error,
    );
    fc.assert(
      fc.property(mutated(Buffer.from(bytes)), (bad) => {
        fc.pre(Buffer.compare(bad, Buffer.from(bytes)) !== 0);
        try {
          openBackup(bad, 'b');
        } catch (error) {
          if (!isAegisError(error)) throw error;
          return;
        }
        throw new Error('it opened');
      }),
      { numRuns: 200 },
    );
  });
});

test('the names in a backup cannot lead out of the keystore', async () => {
  await withHome(async (dir, parent) => {
    const { backup } = await backUp(dir);
    for (const name of [
      '../config.json',
      '/etc/passwd',
      'pending/../x.cbor',
      'a.txt',
      'x/y.cbor',
    ]) {
      const { files } = backup;
      const evil = { ...backup, files: [...files, { name, bytes: Uint8Array.of(1) }] };
      const opened = () => openBackup(sealed(evil), 'b');
      expect(opened).toThrow(expect.objectContaining({ code: 'BAD_ENCODING' }) as Error);
    }
    const other = join(parent, 'other');
    const foreign = openBackup(sealed({ ...backup, nodeId: `aegis1${'a'.repeat(52)}` }), 'b');
    await expect(restoreKeys(foreign, other)).rejects.toMatchObject({ code: 'KEYSTORE_DAMAGED' });
    expect((await filesIn(parent)).filter((name) => name.startsWith('other'))).toEqual([]);
  });
});

/** As `createBackup` would, with a content of one's own. */
function sealed(backup: object): Uint8Array {
  const salt = new Uint8Array(16);
  const nonce = new Uint8Array(24);
  const kdf = { ...QUICK_KDF, salt };
  const header = { v: 1, type: 'backup', kdf, nonce };
  const content = encode({ v: 1, type: 'backup-content', ...backup });
  const ciphertext = seal(argon2id('b', salt, QUICK_KDF), nonce, content, encode(header));
  return encode({ ...header, ciphertext });
}

test('a home that is too new for its backup is not settled back', async () => {
  await withHome(async (dir, parent) => {
    const { bytes } = await backUp(dir);
    const prepared = await prepare(dir, ['identity', 'consensus']);
    await settle(dir, prepared);
    const restored = join(parent, 'restored');
    await restoreKeys(openBackup(bytes, 'b'), restored);
    const settled = await settle(restored, prepared, { now: BEGIN + 3 * HOUR });
    expect(settled.lost).toEqual(['identity', 'consensus', 'vrf']);
    using keystore = await openHome(restored);
    expect(() => keystore.signer.sign(Buffer.from('x'))).toThrow('not in this home');
    // Another key is in force than those that were brought, so K2 is over; K3 is not.
    expect(keystore.restored).toBeUndefined();
    expect(keystore.missing()).toEqual(['identity', 'consensus', 'vrf']);
  });
});
