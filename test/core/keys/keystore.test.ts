import { chmod, copyFile, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { verifyBls, verifyPossession } from '../../../src/core/crypto/bls.ts';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { onionPublicKeyOf } from '../../../src/core/crypto/onion-secret.ts';
import { publicKeyOf, signerOf, verifyEd25519 } from '../../../src/core/crypto/sign.ts';
import { verifyVrf } from '../../../src/core/crypto/vrf.ts';
import { isAegisError } from '../../../src/core/errors.ts';
import type { CreateOptions } from '../../../src/core/keys/first-keys.ts';
import { Keystore } from '../../../src/core/keys/keystore.ts';
import { inceptionPath, keyPath } from '../../../src/core/keys/layout.ts';
import { systemRandom } from '../../../src/core/keys/random.ts';
import { decode } from '../../../src/core/model/cbor.ts';
import { openSigned, signRecord } from '../../../src/core/model/signed.ts';
import { fixedRandom, QUICK_KDF, withDirectory } from '../../helpers/keystores.ts';
import { mutated } from '../../helpers/mutation.ts';
import { seedOf } from '../../helpers/nodes.ts';

const FIELDS = {
  name: 'alice',
  zone: 'z',
  region: 'r',
  passphrase: 'right',
  createdAt: 1_800_000_000_000,
  kdfCost: QUICK_KDF,
};

async function withKeystore(
  use: (dir: string, nodeId: string) => Promise<void>,
  change: Partial<CreateOptions> = {},
): Promise<void> {
  await withDirectory(async (parent) => {
    const dir = join(parent, 'keys');
    const random = systemRandom;
    const { keystore, nodeId } = await Keystore.create({ ...FIELDS, dir, ...change }, { random });
    keystore.close();
    await use(dir, nodeId);
  });
}

const openError = async (dir: string, passphrase = 'right') => {
  try {
    (await Keystore.open({ dir, passphrase })).close();
    return undefined;
  } catch (error) {
    if (!isAegisError(error)) throw error;
    return error;
  }
};

test('what was created opens, signs, and wipes itself when it is closed', async () => {
  await withKeystore(async (dir, nodeId) => {
    const keystore = await Keystore.open({ dir, passphrase: 'right' });
    const message = Buffer.from('hello');
    expect(keystore.nodeId).toBe(nodeId);
    expect(keystore.inception).toMatchObject({ name: 'alice', zone: 'z', region: 'r' });
    const { identityKey, networkKey } = keystore.inception;
    expect(verifyEd25519(identityKey, message, keystore.signer.sign(message))).toBe(true);
    const seed = keystore.networkSeed();
    expect(publicKeyOf(seed)).toEqual(networkKey);
    seed.fill(0);
    expect(publicKeyOf(keystore.networkSeed())).toEqual(networkKey);
    // O12: from the beginning, and as a copy.
    const onion = keystore.onionKey();
    expect(onion.publicKey).toEqual(keystore.inception.onionKey);
    onion.expandedSecret.fill(0);
    expect(onionPublicKeyOf(keystore.onionKey().expandedSecret)).toEqual(onion.publicKey);
    expect(keystore.retiredOnion(0)).toBeUndefined();
    keystore.close();
    expect(() => keystore.onionKey()).toThrow('closed');
    expect(() => keystore.signer.sign(message)).toThrow('closed');
    expect(() => keystore.networkSeed()).toThrow('closed');
    for (const role of ['identity', 'votes', 'seeds'] as const) {
      expect(() => keystore[role](networkKey)).toThrow('closed');
    }
  });
});

test('the keys of consensus that bundles carry are those of the secrets', async () => {
  await withKeystore(async (dir) => {
    using keystore = await Keystore.open({ dir, passphrase: 'right' });
    const { consensusKey, possession, vrfKey } = keystore.consensusKeys;
    const message = Buffer.from('a vote');
    const vote = keystore.votes(consensusKey)?.sign(message);
    expect(verifyBls(consensusKey, message, vote!)).toBe(true);
    expect(verifyPossession(consensusKey, possession)).toBe(true);
    const proof = keystore.seeds(vrfKey)?.prove(message);
    expect(verifyVrf(vrfKey, message, proof!)).toHaveLength(64);
    expect(keystore.heldConsensusKeys()).toEqual([Buffer.from(consensusKey).toString('hex')]);
    expect([keystore.votes(vrfKey), keystore.seeds(consensusKey)]).toEqual([undefined, undefined]);
  });
});

test('a home from before there were keys of consensus is refused, and told so', async () => {
  await withKeystore(async (dir) => {
    await rm(keyPath(dir, 'vrf'));
    expect(await openError(dir)).toMatchObject({ code: 'NOT_FOUND' });
    await rm(keyPath(dir, 'consensus'));
    const old = { code: 'BAD_CONFIG', hint: expect.stringContaining('aegis init') as string };
    expect(await openError(dir)).toMatchObject(old);
    await expect(Keystore.inspect(dir)).rejects.toMatchObject(old);
  });
});

test('a home from before there were onion keys is refused, and told so', async () => {
  await withKeystore(async (dir) => {
    const { payload } = openSigned(await readFile(inceptionPath(dir)), { maxBytes: 2048 });
    const record = decode(payload, { maxBytes: 2048 }) as Record<string, unknown>;
    const { onionKey: _, ...old } = record;
    const bytes = signRecord({ ...old, v: 1, type: 'inception' }, signerOf(seedOf(1)));
    await writeFile(inceptionPath(dir), bytes);
    const why = { code: 'BAD_CONFIG', hint: expect.stringContaining('no onion key') as string };
    expect(await openError(dir)).toMatchObject(why);
  });
});

test('a home without its onion key is refused, and told how to get one', async () => {
  await withKeystore(async (dir) => {
    await rm(keyPath(dir, 'onion'));
    const gone = { code: 'NOT_FOUND', hint: expect.stringContaining('revoke --onion') as string };
    expect(await openError(dir)).toMatchObject(gone);
  });
});

test('a key file of another type does not do in its place', async () => {
  await withKeystore(async (dir) => {
    await copyFile(keyPath(dir, 'network'), keyPath(dir, 'vrf'));
    expect(await openError(dir)).toMatchObject({ code: 'KEYSTORE_DAMAGED' });
  });
});

test('the keystore that create returns is open', async () => {
  await withDirectory(async (parent) => {
    const dir = join(parent, 'keys');
    // Randomness in Buffers, whose slices share memory.
    const { keystore } = await Keystore.create({ ...FIELDS, dir }, { random: fixedRandom(3) });
    const { identityKey, networkKey, nextIdentityDigest } = keystore.inception;
    const message = Buffer.from('x');
    expect(verifyEd25519(identityKey, message, keystore.signer.sign(message))).toBe(true);
    expect(publicKeyOf(keystore.networkSeed())).toEqual(networkKey);
    const next = (await Keystore.inspect(dir)).keys.find((entry) => entry.role === 'next')!;
    expect(sha256(Buffer.from(next.file.public.key, 'hex'))).toEqual(nextIdentityDigest);
    keystore.close();
  });
});

test('its files are for the owner only, and nothing else is left lying about', async () => {
  await withKeystore(async (dir) => {
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    const names = await readdir(dir);
    expect(names.toSorted()).toEqual([
      'consensus.key.json',
      'identity-next.key.json',
      'identity.key.json',
      'inception.cbor',
      'network.key.json',
      'onion.key.json',
      'vrf.key.json',
    ]);
    for (const name of names) expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600);
    expect(await readdir(join(dir, '..'))).toEqual(['keys']);
  });
});

test('keys are never overwritten', async () => {
  await withKeystore(async (dir) => {
    const before = await readFile(keyPath(dir, 'identity'));
    await expect(
      Keystore.create({ ...FIELDS, dir }, { random: systemRandom }),
    ).rejects.toMatchObject({ code: 'EXISTS', exit: 73 });
    expect(await readFile(keyPath(dir, 'identity'))).toEqual(before);
    expect(await readdir(join(dir, '..'))).toEqual(['keys']);
  });
});

test('several may be made at the same time; one wins', async () => {
  await withDirectory(async (parent) => {
    const dir = join(parent, 'keys');
    const all = await Promise.allSettled(
      [1, 2, 3].map((n) => Keystore.create({ ...FIELDS, dir }, { random: fixedRandom(n) })),
    );
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await openError(dir)).toBeUndefined();
    expect(await readdir(parent)).toEqual(['keys']);
  });
});

test('a wrong passphrase is told from a damaged file', async () => {
  await withKeystore(async (dir) => {
    expect(await openError(dir, 'wrong')).toMatchObject({ code: 'WRONG_PASSPHRASE', exit: 77 });
    const path = keyPath(dir, 'network');
    const good = await readFile(path);
    await fc.assert(
      fc.asyncProperty(mutated(good), async (bad) => {
        fc.pre(Buffer.compare(bad, good) !== 0);
        await writeFile(path, bad);
        const error = await openError(dir);
        expect(['KEYSTORE_DAMAGED', 'UNSUPPORTED_FILE']).toContain(error?.code);
        expect(error?.exit).toBe(65);
      }),
      { numRuns: 100 },
    );
    await writeFile(path, good);
    expect(await openError(dir)).toBeUndefined();
  });
});

test('damage names the file and its backup', async () => {
  await withKeystore(async (dir) => {
    const path = keyPath(dir, 'identity');
    await copyFile(path, `${path}.bak`);
    await writeFile(path, 'rubbish');
    const error = await openError(dir);
    expect(error?.message).toContain(path);
    expect(error?.hint).toContain(`${path}.bak`);
    await copyFile(`${path}.bak`, path);
    expect(await openError(dir)).toBeUndefined();
  });
});

test('files that are missing, mixed, endless or not files are explained', async () => {
  await withKeystore(async (dir) => {
    const path = keyPath(dir, 'network');
    await withKeystore((other) => copyFile(keyPath(other, 'network'), path));
    expect(await openError(dir)).toMatchObject({ code: 'KEYSTORE_DAMAGED' });
    await expect(Keystore.inspect(dir)).rejects.toMatchObject({ code: 'KEYSTORE_DAMAGED' });
    await rm(path);
    expect(await openError(dir)).toMatchObject({ code: 'NOT_FOUND' });
    await symlink('/dev/zero', path);
    expect(await openError(dir)).toMatchObject({ code: 'UNREADABLE' });
    await rm(path);
    await writeFile(path, Buffer.alloc(1_000_000, 0x20));
    expect(await openError(dir)).toMatchObject({ code: 'KEYSTORE_DAMAGED' });
    await rm(join(dir, 'inception.cbor'));
    expect(await openError(dir)).toMatchObject({ code: 'KEYSTORE_DAMAGED' });
    expect(await openError(join(dir, 'nowhere'))).toMatchObject({ code: 'NO_HOME' });
  });
});

test('a damaged inception entry is damage', async () => {
  await withKeystore(async (dir) => {
    const path = join(dir, 'inception.cbor');
    const bytes = await readFile(path);
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(path, bytes);
    expect(await openError(dir)).toMatchObject({ code: 'KEYSTORE_DAMAGED' });
  });
});

test('the successor may be elsewhere and under its own passphrase', async () => {
  await withKeystore(
    async (dir) => {
      expect(await openError(dir)).toBeUndefined();
      expect((await Keystore.inspect(dir)).keys).toHaveLength(6);
      await rm(keyPath(dir, 'next'));
      expect(await openError(dir)).toBeUndefined();
      const roles = (await Keystore.inspect(dir)).keys.map((entry) => entry.role);
      expect(roles).toEqual(['identity', 'network', 'consensus', 'vrf', 'onion']);
    },
    { nextPassphrase: 'another' },
  );
});

test('inspection tells when others can read a file', async () => {
  await withKeystore(async (dir) => {
    await chmod(keyPath(dir, 'network'), 0o644);
    const modes = (await Keystore.inspect(dir)).keys.map(({ role, mode }) => [role, mode]);
    expect(modes).toEqual([
      ['identity', 0o600],
      ['next', 0o600],
      ['network', 0o644],
      ['consensus', 0o600],
      ['vrf', 0o600],
      ['onion', 0o600],
    ]);
  });
});

test('neither errors nor an open keystore show a secret', async () => {
  const passphrase = 'a-passphrase-to-look-for';
  await withKeystore(
    async (dir) => {
      const keystore = await Keystore.open({ dir, passphrase });
      const seeds = [keystore.networkSeed()];
      await writeFile(keyPath(dir, 'network'), 'rubbish');
      const errors = [await openError(dir, `${passphrase}x`), await openError(dir, passphrase)];
      const shown = [keystore, ...errors].map((one) => inspect(one, { depth: 9 })).join('\n');
      const json = JSON.stringify([keystore, ...errors.map((error) => error?.toBody())]);
      for (const text of [shown, json]) {
        expect(text).not.toContain(passphrase);
        for (const seed of seeds.map((one) => Buffer.from(one))) {
          expect(text).not.toContain(seed.toString('hex'));
          expect(text).not.toContain(seed.toString('base64'));
          expect(text).not.toContain([...seed.subarray(0, 6)].join(', '));
        }
      }
      keystore.close();
    },
    { passphrase },
  );
});
