import { cp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { verifyBls } from '../../../src/core/crypto/bls.ts';
import { onionAddressOf } from '../../../src/core/crypto/onion.ts';
import { onionPublicKeyOf } from '../../../src/core/crypto/onion-secret.ts';
import { publicKeyOf, verifyEd25519 } from '../../../src/core/crypto/sign.ts';
import { exportKeys } from '../../../src/core/keys/export.ts';
import { Keystore } from '../../../src/core/keys/keystore.ts';
import { keyPath } from '../../../src/core/keys/layout.ts';
import { discardRotation, findSuccessor, planRotation } from '../../../src/core/keys/rotation.ts';
import { realDisk } from '../../../src/core/keys/steps.ts';
import { GRACE_MAX_MS, openSuccession } from '../../../src/core/model/succession.ts';
import {
  BEGIN,
  Cut,
  dyingDisk,
  filesIn,
  graceUntil,
  HOUR,
  openHome,
  prepare,
  settle,
  withHome,
} from './support/rotations.ts';

const MESSAGE = Buffer.from('message');
const ALL = ['identity', 'network', 'consensus', 'onion'] as const;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('an open keystore adopts what was prepared beside it, and settles it', async () => {
  await withHome(async (dir) => {
    using keystore = await openHome(dir);
    const before = keystore.current.keys;
    const prepared = await prepare(dir, ALL, { sealed: 7 });
    expect(keystore.pending()).toBeUndefined();
    expect((await keystore.adoptPending())?.entry.digest).toBe(prepared.entry.digest);
    expect(keystore.current.number).toBe(0);
    const { keys } = prepared.after;
    for (const key of [before.identityKey, keys.identityKey]) {
      expect(verifyEd25519(key, MESSAGE, keystore.identity(key)!.sign(MESSAGE))).toBe(true);
    }
    for (const key of [before.consensusKey, keys.consensusKey]) {
      expect(verifyBls(key, MESSAGE, keystore.votes(key)!.sign(MESSAGE)!)).toBe(true);
    }
    expect(publicKeyOf(keystore.networkSeed(keys.networkKey))).toEqual(keys.networkKey);
    const settled = await keystore.settle(prepared.after, {
      succession: [prepared.entry.bytes],
      graceUntil: graceUntil(BEGIN + 2 * HOUR),
      now: BEGIN + HOUR,
    });
    const roles = ['identity', 'network', 'consensus', 'vrf', 'onion'];
    expect(settled.promoted.toSorted()).toEqual([...roles, 'next'].toSorted());
    expect(settled).toMatchObject({ isSuperseded: false, lost: [] });
    expect(keystore.current).toEqual(prepared.after);
    expect(keystore.signer.publicKey).toEqual(keys.identityKey);
    expect(verifyEd25519(keys.identityKey, MESSAGE, keystore.signer.sign(MESSAGE))).toBe(true);
    // A4: not even in memory.
    expect(keystore.identity(before.identityKey)).toBeUndefined();
    expect(keystore.votes(before.consensusKey)).toBeUndefined();
    expect(keystore.seeds(before.vrfKey)).toBeUndefined();
    const retired = keystore.retiredNetwork(BEGIN + HOUR)!;
    expect(publicKeyOf(retired.seed)).toEqual(before.networkKey);
    expect(retired.until).toBe(BEGIN + 2 * HOUR);
    expect(keystore.retiredNetwork(BEGIN + 2 * HOUR)).toBeUndefined();
    // O18
    const onion = keystore.retiredOnion(BEGIN + HOUR)!;
    expect(onion.key.publicKey).toEqual(before.onionKey);
    expect(onionPublicKeyOf(onion.key.expandedSecret)).toEqual(before.onionKey);
    expect(onion.until).toBe(BEGIN + 2 * HOUR);
    expect(keystore.retiredOnion(BEGIN + 2 * HOUR)).toBeUndefined();
    expect(keystore.onionKey()).toMatchObject({
      publicKey: keys.onionKey,
      address: onionAddressOf(keys.onionKey),
    });
  });
});

test('the key files of a rotated home are those in force, and it opens again', async () => {
  await withHome(async (dir) => {
    const prepared = await prepare(dir, ALL, { sealed: 0 });
    await settle(dir, prepared);
    expect(await filesIn(dir)).toEqual([
      'consensus.key.json',
      'identity-next.key.json',
      'identity.key.json',
      'inception.cbor',
      'network.key.json',
      'onion.key.json',
      `retired/network-${BEGIN + 2 * HOUR}.key.json`,
      `retired/onion-${BEGIN + 2 * HOUR}.key.json`,
      'succession.cbor',
      'vrf.key.json',
    ]);
    using keystore = await openHome(dir);
    expect(keystore.current).toEqual(prepared.after);
    expect(keystore.missing()).toEqual([]);
    expect(keystore.succession).toEqual([prepared.entry.bytes]);
    await keystore.settle(keystore.current, {
      succession: keystore.succession,
      now: BEGIN + 2 * HOUR,
    });
    expect((await filesIn(dir)).filter((name) => name.includes('retired'))).toEqual([]);
    expect(() => keystore.onionKey(keystore.inception.onionKey)).toThrow('not in this home');
    expect(keystore.networkSeed()).toHaveLength(32);
    expect(() => keystore.networkSeed(keystore.inception.networkKey)).toThrow('not in this home');
  });
});

test('the successor replaces keys whose files are lost, and no others', async () => {
  await withHome(async (dir) => {
    const gone = ['identity', 'network', 'onion'] as const;
    for (const role of gone) await rm(keyPath(dir, role));
    await expect(prepare(dir, ['network'])).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: expect.stringContaining('aegis keys revoke --identity'),
    });
    await expect(prepare(dir, gone, { extend: true })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    const prepared = await prepare(dir, gone, { sealed: 0 });
    {
      using keystore = await openHome(dir);
      expect(keystore.missing()).toEqual(['identity', 'network', 'onion']);
    }
    expect(await settle(dir, prepared)).toMatchObject({ lost: [] });
    using keystore = await openHome(dir);
    expect(keystore.current).toEqual(prepared.after);
    expect(keystore.missing()).toEqual([]);
  });
});

test.each(['network', 'onion'] as const)('a compromised %s key has no grace', async (role) => {
  await withHome(async (dir) => {
    const prepared = await prepare(dir, [role], { reason: 'compromised' });
    expect(prepared.entry.succession).toMatchObject({ graceMs: 0, reason: 'compromised' });
    expect(await settle(dir, prepared, { graceUntil: {} })).toMatchObject({
      promoted: [role],
      retired: [role],
    });
    expect((await filesIn(dir)).filter((name) => name.includes('retired'))).toEqual([]);
  });
});

test('identity after identity: the successor becomes it, another is committed', async () => {
  await withHome(async (dir) => {
    const first = (await Keystore.inspect(dir)).keys.find(({ role }) => role === 'next')!;
    const prepared = await prepare(dir, ['identity'], { sealed: 1 });
    expect(hex(prepared.after.keys.identityKey)).toBe(first.file.public.key);
    await settle(dir, prepared);
    const again = await prepare(dir, ['identity'], { sealed: 2, now: BEGIN + 2 * HOUR });
    expect(again.after).toMatchObject({ number: 2, keyEpoch: 2 });
    await settle(dir, again);
    using keystore = await openHome(dir);
    expect(keystore.current).toEqual(again.after);
    expect(keystore.succession).toHaveLength(2);
  });
});

test('expiries alone are extended without a new key', async () => {
  await withHome(async (dir) => {
    const { after, before, entry } = await prepare(dir, ['network', 'onion'], { extend: true });
    expect(entry.succession.replaced).toEqual([]);
    expect(after.keys).toEqual(before.keys);
    expect(after.expiresAt).toEqual({
      ...before.expiresAt,
      network: before.expiresAt.network + HOUR,
      onion: before.expiresAt.onion + HOUR,
    });
    await settle(dir, await openPrepared(dir));
    using keystore = await openHome(dir);
    expect(keystore.current.number).toBe(1);
  });
});

async function openPrepared(dir: string) {
  const { pending, current } = await Keystore.inspect(dir);
  return { ...pending!, before: current, newNextPath: undefined };
}

test('what makes no sense is refused before anything is written', async () => {
  await withHome(async (dir) => {
    const before = await filesIn(dir);
    const refused = { code: 'BAD_REQUEST' };
    await expect(prepare(dir, [])).rejects.toMatchObject(refused);
    await expect(prepare(dir, ['consensus'], { graceMs: 1 })).rejects.toMatchObject(refused);
    await expect(
      prepare(dir, ['network'], { graceMs: 1, reason: 'compromised' }),
    ).rejects.toMatchObject(refused);
    await expect(prepare(dir, ['network'], { graceMs: GRACE_MAX_MS + 1 })).rejects.toMatchObject(
      refused,
    );
    await expect(prepare(dir, ['network'], { passphrase: 'x' })).rejects.toMatchObject({
      code: 'WRONG_PASSPHRASE',
    });
    await expect(prepare(dir, ['network'], { next: { passphrase: 'p' } })).rejects.toMatchObject({
      code: 'WRONG_PASSPHRASE',
      hint: expect.stringContaining('--next-passphrase-file') as string,
    });
    expect(await filesIn(dir)).toEqual(before);
  });
});

test('one rotation at a time', async () => {
  await withHome(async (dir) => {
    await prepare(dir, ['network']);
    const pending = { code: 'ROTATION_PENDING', exit: 73 };
    await expect(prepare(dir, ['consensus'])).rejects.toMatchObject(pending);
    const home = await Keystore.inspect(dir);
    expect(() => planRotation(home, { roles: ['network'], now: BEGIN })).toThrow('not final');
  });
});

describe('the successor', () => {
  test('is found in the home, in a key file, and in an export', async () => {
    await withHome(async (dir, parent) => {
      const home = await Keystore.inspect(dir);
      const away = join(parent, 'next.json');
      const document = await exportKeys(home, 'encrypted', { roles: ['next'] });
      await writeFile(away, JSON.stringify(document, null, 2));
      expect((await findSuccessor(home)).path).toBe(keyPath(dir, 'next'));
      const inHome = (await findSuccessor(home)).file;
      expect((await findSuccessor(home, keyPath(dir, 'next'))).file).toMatchObject(inHome);
      await rm(keyPath(dir, 'next'));
      const without = await Keystore.inspect(dir);
      expect((await findSuccessor(without, away)).file).toMatchObject(inHome);
      await expect(findSuccessor(without)).rejects.toMatchObject({
        code: 'NO_SUCCESSOR',
        exit: 66,
      });
      await expect(prepare(dir, ['network'])).rejects.toMatchObject({ code: 'NO_SUCCESSOR' });
      const prepared = await prepare(dir, ['network'], { next: { path: away, passphrase: 'n' } });
      expect(prepared.after.number).toBe(1);
    });
  });

  test('that is not committed does not sign', async () => {
    await withHome(async (dir, parent) => {
      await withHome(async (other) => {
        const next = { path: keyPath(other, 'next'), passphrase: 'n' };
        await expect(prepare(dir, ['network'], { next })).rejects.toMatchObject({
          code: 'WRONG_SUCCESSOR',
          exit: 65,
          message: expect.stringContaining('is not the successor of this node') as string,
        });
      });
      const old = join(parent, 'old.json');
      await cp(keyPath(dir, 'next'), old);
      await settle(dir, await prepare(dir, ['identity']));
      const next = { path: old, passphrase: 'n' };
      await expect(prepare(dir, ['network'], { next })).rejects.toMatchObject({
        code: 'WRONG_SUCCESSOR',
        message: expect.stringContaining('was the successor until entry 1') as string,
      });
      await expect(
        prepare(dir, ['network'], { next: { path: keyPath(dir, 'network'), passphrase: 'p' } }),
      ).rejects.toMatchObject({ code: 'WRONG_SUCCESSOR' });
    });
  });

  test('is made elsewhere when it is to live there, and taken up again after a cut', async () => {
    await withHome(async (dir, parent) => {
      const path = join(parent, 'new.json');
      const newNext = { path, passphrase: 'm' };
      const disk = dyingDisk(1);
      await expect(prepare(dir, ['identity'], { newNext, disk })).rejects.toThrow(Cut);
      const made = await readFile(path, 'utf8');
      await expect(
        prepare(dir, ['identity'], { newNext: { path, passphrase: 'x' } }),
      ).rejects.toMatchObject({ code: 'EXISTS' });
      const prepared = await prepare(dir, ['identity'], { newNext });
      expect(prepared.newNextPath).toBe(path);
      expect(await readFile(path, 'utf8')).toBe(made);
      await settle(dir, prepared);
      expect(await filesIn(dir)).not.toContain('identity-next.key.json');
      // The old successor is the identity by now and cannot be the new one.
      await expect(
        prepare(dir, ['identity'], { next: newNext, newNext, now: BEGIN + 2 * HOUR }),
      ).rejects.toMatchObject({ code: 'EXISTS' });
      const next = await prepare(dir, ['network'], { next: newNext, now: BEGIN + 2 * HOUR });
      expect(next.after.number).toBe(2);
    });
  });

  test('that others have at its path is not overwritten', async () => {
    await withHome(async (dir, parent) => {
      const path = join(parent, 'notes.txt');
      await writeFile(path, 'notes');
      const newNext = { path, passphrase: 'm' };
      await expect(prepare(dir, ['identity'], { newNext })).rejects.toMatchObject({
        code: 'EXISTS',
      });
      expect(await readFile(path, 'utf8')).toBe('notes');
    });
  });
});

test.each([
  ['all keys', ALL],
  ['the network key', ['network']],
] as const)(
  'a preparation of %s that is cut anywhere has happened, or has not',
  async (_, roles) => {
    /** Returns whether the disk died on the way. */
    const isCut = async (dir: string, steps: number): Promise<boolean> => {
      const disk = dyingDisk(steps);
      const outcome = await prepare(dir, roles, { disk }).catch((error: unknown) => error);
      if (disk.isDead()) expect(outcome).toBeInstanceOf(Cut);
      using keystore = await openHome(dir);
      expect(keystore.missing()).toEqual([]);
      const prepared =
        keystore.pending() === undefined ? await prepare(dir, roles) : await openPrepared(dir);
      await settle(dir, prepared);
      using after = await openHome(dir);
      expect(after.current).toEqual(prepared.after);
      expect((await filesIn(dir)).filter((name) => name.includes('new-'))).toEqual([]);
      return disk.isDead();
    };
    const isCutInNewHome = async (steps: number): Promise<boolean> => {
      let wasCut = true;
      await withHome(async (dir) => {
        wasCut = await isCut(dir, steps);
      });
      return wasCut;
    };
    let steps = 0;
    while (await isCutInNewHome(steps)) steps += 1;
    expect(steps).toBeGreaterThan(2);
  },
);

test('a pending rotation that was damaged is damage, and says where', async () => {
  await withHome(async (dir) => {
    await prepare(dir, ['network']);
    const path = join(dir, 'pending', 'entry.cbor');
    const bytes = await readFile(path);
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(path, bytes);
    await expect(Keystore.inspect(dir)).rejects.toMatchObject({
      code: 'KEYSTORE_DAMAGED',
      message: expect.stringContaining(path) as string,
    });
    await rename(path, `${path}.aside`);
    expect((await Keystore.inspect(dir)).pending).toBeUndefined();
  });
});

test('a prepared rotation is given up, unless others may know of it', async () => {
  await withHome(async (dir) => {
    const before = await filesIn(dir);
    await expect(discardRotation(dir)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await prepare(dir, ALL);
    await discardRotation(dir);
    expect(await filesIn(dir)).toEqual(before);
    for (let steps = 0, isCut = true; isCut; steps += 1) {
      await prepare(dir, ['consensus']);
      const disk = dyingDisk(steps);
      await discardRotation(dir, disk).catch(() => undefined);
      isCut = disk.isDead();
      // An entry without its keys would cost them.
      const { pending } = await Keystore.inspect(dir);
      expect([undefined, 2]).toContain(pending?.keys.length);
      if (pending !== undefined) await discardRotation(dir);
    }
    await prepare(dir, ['network']);
    using keystore = await openHome(dir);
    await keystore.adoptPending();
    await keystore.markHandedIn();
    await keystore.markHandedIn();
    await expect(discardRotation(dir)).rejects.toMatchObject({ code: 'ROTATION_PENDING' });
    expect((await Keystore.inspect(dir)).pending?.isHandedIn).toBe(true);
    await keystore.markRefused();
    await keystore.markRefused();
    await discardRotation(dir);
    expect(await filesIn(dir)).toEqual(before);
  });
});

test('one that a daemon hands in at the same moment is not given up', async () => {
  await withHome(async (dir) => {
    using keystore = await openHome(dir);
    for (const isFaster of [true, false]) {
      await prepare(dir, ['network']);
      await keystore.adoptPending();
      let isMarked = false;
      const mark = async (): Promise<void> => {
        isMarked = await keystore.markHandedIn().then(
          () => true,
          () => false,
        );
      };
      // The daemon marks it right before, or right after, the first step of giving it up.
      const disk = {
        ...realDisk,
        rename: async (from: string, to: string): Promise<void> => {
          const isFirst = from.endsWith('pending');
          if (isFirst && isFaster) await mark();
          await realDisk.rename(from, to);
          if (isFirst && !isFaster) await mark();
        },
      };
      const given = discardRotation(dir, disk);
      if (isFaster) await expect(given).rejects.toMatchObject({ code: 'ROTATION_PENDING' });
      else await given;
      expect(isMarked).toBe(isFaster);
      const { pending } = await Keystore.inspect(dir);
      expect(pending?.isHandedIn).toBe(isFaster ? true : undefined);
      if (isFaster) {
        await keystore.markRefused();
        await discardRotation(dir);
      }
    }
  });
});

test('the entry is the one that the successor signed', async () => {
  await withHome(async (dir) => {
    const { entry, before } = await prepare(dir, ['consensus']);
    const { pending } = await Keystore.inspect(dir);
    expect(openSuccession(entry.bytes)).toEqual(pending?.entry);
    expect(entry.succession.keys.networkKey).toEqual(before.keys.networkKey);
    expect(pending?.keys.map(({ role }) => role)).toEqual(['consensus', 'vrf']);
  });
});
