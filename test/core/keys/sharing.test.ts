import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Inspection } from '../../../src/core/keys/home.ts';
import { Keystore } from '../../../src/core/keys/keystore.ts';
import { keyInForce, viewPath } from '../../../src/core/keys/layout.ts';
import {
  discardRotation,
  type PreparedRotation,
  readForRotation,
} from '../../../src/core/keys/rotation.ts';
import type { Settled } from '../../../src/core/keys/settle.ts';
import { alone, type Sharing } from '../../../src/core/keys/sharing.ts';
import type { Disk } from '../../../src/core/keys/steps.ts';
import {
  BEGIN,
  Cut,
  dyingDisk,
  filesIn,
  graceUntil,
  HOUR,
  prepare,
  settle,
  withHome,
} from './support/rotations.ts';

const ALL = ['identity', 'network', 'consensus', 'onion'] as const;
const CLUSTERS = [undefined, 'work'] as const;
const times = { now: BEGIN + 2 * HOUR };

const identityIn = async (dir: string): Promise<unknown> =>
  JSON.parse(await readFile(join(dir, 'identity.key.json'), 'utf8')).public.key;

const sharing = (cluster: string | undefined, names = CLUSTERS): Sharing => ({
  cluster,
  clusters: () => Promise.resolve([...names]),
  exclusively: (work) => work(),
});

const open = (dir: string, cluster: string | undefined): Promise<Keystore> =>
  Keystore.open({ dir, passphrase: 'p', sharing: sharing(cluster) });

const settleIn = (
  dir: string,
  prepared: PreparedRotation,
  cluster: string | undefined,
  disk?: Disk,
): Promise<Settled> => {
  const others = CLUSTERS.filter((one) => one !== cluster);
  return settle(dir, prepared, { sharing: { cluster, others }, ...(disk && { disk }) });
};

test('what one cluster has decided changes no file that another one needs, wherever it is cut', {
  timeout: 120_000,
}, async () => {
  await withHome(async (origin) => {
    const prepared = await prepare(origin, ALL);
    const old = await identityIn(origin);
    /** Settles in a cluster with a disk that dies; returns whether it did. */
    const isCut = async (dir: string, cluster: string | undefined, steps: number) => {
      const disk = dyingDisk(steps);
      const outcome = await settleIn(dir, prepared, cluster, disk).catch((error) => error);
      if (disk.isDead()) expect(outcome).toBeInstanceOf(Cut);
      return disk.isDead();
    };
    let cuts = 0;
    for (let wasCut = true; wasCut; cuts += 1) {
      const dir = `${origin}-first-${cuts}`;
      await cp(origin, dir, { recursive: true });
      wasCut = await isCut(dir, undefined, cuts);
      expect(await identityIn(dir)).toBe(old);
      using behind = await open(dir, 'work');
      expect(behind.current).toEqual(prepared.before);
      expect(behind.missing()).toEqual([]);
      expect(await settleIn(dir, prepared, undefined)).toMatchObject({ isKept: true, retired: [] });
      using ahead = await open(dir, undefined);
      expect(ahead.current).toEqual(prepared.after);
      expect(ahead.missing()).toEqual([]);
      expect(ahead.pending()).toBeUndefined();
    }
    expect(cuts).toBe(3);
    await settleIn(origin, prepared, undefined);
    for (let n = 0, wasCut = true; wasCut; n += 1) {
      const dir = `${origin}-second-${n}`;
      await cp(origin, dir, { recursive: true });
      wasCut = await isCut(dir, 'work', n);
      for (const cluster of CLUSTERS) {
        // It throws for a key in force that is in no file.
        const { keys } = await Keystore.inspect(dir, { view: { cluster } });
        expect(keys).toHaveLength(6);
      }
      await settleIn(dir, prepared, n % 2 === 0 ? 'work' : undefined, dyingDisk(1000));
      await settleIn(dir, prepared, 'work', dyingDisk(1000));
      const home = await Keystore.inspect(dir);
      expect(home.current).toEqual(prepared.after);
      expect(await identityIn(dir)).toBe(keyInForce(prepared.after, 'identity'));
      expect((await filesIn(dir)).filter((name) => name.startsWith('pending'))).toEqual([]);
      cuts += 1;
    }
    expect(cuts).toBeGreaterThan(30);
  });
});

test('each cluster signs with the keys that are final there', async () => {
  await withHome(async (dir) => {
    const prepared = await prepare(dir, ['identity', 'consensus']);
    using here = await open(dir, undefined);
    using there = await open(dir, 'work');
    const final = { succession: [prepared.entry.bytes], ...times };
    await here.adoptPending();
    await there.adoptPending();
    expect(await here.settle(prepared.after, final)).toMatchObject({ isKept: true });
    expect(here.signer.publicKey).toEqual(prepared.after.keys.identityKey);
    expect(there.signer.publicKey).toEqual(prepared.before.keys.identityKey);
    expect(here.identity(prepared.before.keys.identityKey)).toBeUndefined();
    expect(there.pending()?.entry.digest).toBe(prepared.entry.digest);
    expect(await there.settle(prepared.after, final)).toMatchObject({ isKept: false });
    expect(there.signer.publicKey).toEqual(prepared.after.keys.identityKey);
    expect(there.signer.sign(new Uint8Array(8))).toHaveLength(64);
    expect((await here.settle(prepared.after, final)).retired).toEqual([]);
    expect(here.signer.sign(new Uint8Array(8))).toHaveLength(64);
  });
});

test('the onion key of before stays for its grace where another cluster is behind', async () => {
  await withHome(async (dir) => {
    const prepared = await prepare(dir, ['onion']);
    const before = prepared.before.keys.onionKey;
    const final = {
      succession: [prepared.entry.bytes],
      graceUntil: graceUntil(BEGIN + 3 * HOUR),
      ...times,
    };
    const check = async (keystore: Keystore, isKept: boolean): Promise<void> => {
      expect(await keystore.settle(prepared.after, final)).toMatchObject({ isKept });
      expect(keystore.onionKey().publicKey).toEqual(prepared.after.keys.onionKey);
      expect(keystore.retiredOnion(times.now)?.key.publicKey).toEqual(before);
      expect(keystore.retiredOnion(BEGIN + 3 * HOUR)).toBeUndefined();
    };
    {
      using here = await open(dir, undefined);
      await here.adoptPending();
      await check(here, true);
    }
    // Also after a restart.
    using again = await open(dir, undefined);
    await check(again, true);
    using there = await open(dir, 'work');
    expect(there.onionKey().publicKey).toEqual(before);
    await there.adoptPending();
    await check(there, false);
    await check(again, false);
    // A4
    await again.settle(prepared.after, { ...final, now: BEGIN + 3 * HOUR });
    expect((await filesIn(dir)).filter((name) => name.includes('retired'))).toEqual([]);
    expect(() => again.onionKey(before)).toThrow('not in this home');
  });
});

test('a cluster that counts no more is not waited for', async () => {
  await withHome(async (dir) => {
    const prepared = await prepare(dir, ALL);
    await settleIn(dir, prepared, undefined);
    await settle(dir, prepared, { sharing: { cluster: undefined, others: [] } });
    expect((await Keystore.inspect(dir)).current).toEqual(prepared.after);
    using behind = await open(dir, 'work');
    // It knows then what the home knows, whatever its chain says.
    expect(behind.current).toEqual(prepared.after);
  });
});

test('what one cluster has handed in cannot be given up, whatever another says', async () => {
  await withHome(async (dir) => {
    await prepare(dir, ['consensus']);
    using here = await open(dir, undefined);
    using there = await open(dir, 'work');
    expect(await here.hasNews()).toBe(true);
    expect(await here.hasNews()).toBe(false);
    await here.markHandedIn();
    await there.adoptPending();
    expect(there.isOutElsewhere).toBe(true);
    await there.markHandedIn();
    await here.markRefused();
    expect((await Keystore.inspect(dir)).pending?.handedIn).toEqual(['handed-in-work']);
    await expect(discardRotation(dir)).rejects.toMatchObject({ code: 'ROTATION_PENDING' });
    await there.markRefused();
    await discardRotation(dir);
    expect((await Keystore.inspect(dir)).pending).toBeUndefined();
  });
});

test('nothing rivals an entry that one cluster alone knows', async () => {
  await withHome(async (dir) => {
    // Another home of the node has made it: nothing is prepared here.
    const prepared = await prepare(dir, ['consensus']);
    await settleIn(dir, prepared, 'work');
    await discardRotation(dir);
    expect((await Keystore.inspect(dir)).current.number).toBe(0);
    const wish = { roles: ['consensus'] } as const;
    await expect(readForRotation(dir, wish)).rejects.toMatchObject({
      code: 'ROTATION_PENDING',
      message: 'entry 1 of the succession is final in the cluster work alone',
    });
  });
});

test('clusters that were told of different entries settle neither of them', async () => {
  await withHome(async (dir, parent) => {
    const twin = join(parent, 'twin');
    await cp(dir, twin, { recursive: true });
    const [prepared, rival] = [await prepare(dir, ['consensus']), await prepare(twin, ['network'])];
    await settleIn(twin, rival, 'work');
    await settleIn(dir, prepared, undefined);
    const path = viewPath(dir, 'work');
    await cp(viewPath(twin, 'work'), path, { recursive: true });
    expect(await settleIn(dir, prepared, undefined)).toMatchObject({ isKept: true });
    const home: Inspection = await Keystore.inspect(dir);
    expect(home.current.number).toBe(0);
  });
});

test('session keys of one cluster are not those of another', async () => {
  await withHome(async (dir) => {
    using here = await open(dir, undefined);
    using there = await open(dir, 'work');
    const made = { startsAt: BEGIN, expiresAt: BEGIN + HOUR, now: BEGIN };
    await here.newSession(made);
    expect(there.sessions()).toEqual([]);
    await there.newSession(made);
    using again = await open(dir, 'work');
    expect(again.sessions()).toEqual(there.sessions());
    expect((await filesIn(dir)).filter((name) => name.includes('session'))).toHaveLength(4);
  });
});

test('one daemon alone asks nobody; several take turns', async () => {
  const turns: string[] = [];
  const shared = (names: typeof CLUSTERS | readonly ['work']): Sharing => ({
    cluster: 'work',
    clusters: () => Promise.resolve([...names]),
    exclusively: (work) => {
      turns.push('turn');
      return work();
    },
  });
  expect(await alone(undefined, () => Promise.resolve(1))).toBe(1);
  expect(await alone(shared(['work']), () => Promise.resolve(2))).toBe(2);
  expect(turns).toEqual([]);
  expect(await alone(shared(CLUSTERS), () => Promise.resolve(3))).toBe(3);
  expect(turns).toEqual(['turn']);
});

test('a mark of another name is no mark', async () => {
  await withHome(async (dir) => {
    await prepare(dir, ['consensus']);
    await writeFile(join(dir, 'pending', 'handed-index'), '');
    expect((await Keystore.inspect(dir)).pending).toMatchObject({ isHandedIn: false });
  });
});
