import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Keystore } from '../../../src/core/keys/keystore.ts';
import { keyPath } from '../../../src/core/keys/layout.ts';
import { changePassphrase } from '../../../src/core/keys/passwd.ts';
import { systemRandom } from '../../../src/core/keys/random.ts';
import { renderRestored } from '../../../src/core/keys/restored.ts';
import { encode } from '../../../src/core/model/cbor.ts';
import { QUICK_KDF } from '../../helpers/keystores.ts';
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

const ALL = ['identity', 'network', 'consensus', 'onion'] as const;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** A home with every kind of file, about to settle its second rotation. */
async function withBusyHome(
  use: (dir: string, prepared: Awaited<ReturnType<typeof prepare>>) => Promise<void>,
): Promise<void> {
  await withHome(async (dir) => {
    await settle(dir, await prepare(dir, ALL), { graceUntil: graceUntil(BEGIN + 3 * HOUR) });
    // Backups of keys that are about to be retired.
    const passwords = { dir, passphrase: 'p', newPassphrase: 'p', kdfCost: QUICK_KDF };
    await changePassphrase(passwords, { random: systemRandom });
    await writeFile(join(dir, 'restored.json'), renderRestored(['aa']));
    await use(dir, await prepare(dir, ALL, { now: BEGIN + 2 * HOUR }));
  });
}

const UNTIL = BEGIN + 4 * HOUR;
const times = { now: BEGIN + 2 * HOUR, graceUntil: graceUntil(UNTIL) };

const FILES = [
  'consensus.key.json',
  'identity-next.key.json',
  'identity.key.json',
  'inception.cbor',
  'network.key.json',
  'onion.key.json',
  `retired/network-${UNTIL}.key.json`,
  `retired/onion-${UNTIL}.key.json`,
  'succession.cbor',
  'vrf.key.json',
];

test('a settlement that is cut anywhere is finished by the same call', {
  timeout: 120_000,
}, async () => {
  await withBusyHome(async (busy, prepared) => {
    const succession = await entriesOf(busy, prepared);
    /** Returns whether the disk died on the way. */
    const isCut = async (dir: string, steps: number): Promise<boolean> => {
      const disk = dyingDisk(steps);
      const outcome = await settle(dir, prepared, { ...times, disk }).catch(
        (error: unknown) => error,
      );
      if (!disk.isDead()) return false;
      expect(outcome).toBeInstanceOf(Cut);
      // Whatever has been cut, the home opens and has all keys of one state.
      using keystore = await openHome(dir);
      expect(keystore.missing()).toEqual([]);
      expect([prepared.before, prepared.after]).toContainEqual(keystore.current);
      await keystore.settle(prepared.after, { succession, ...times });
      expect(keystore.current).toEqual(prepared.after);
      expect(keystore.missing()).toEqual([]);
      const retired = keystore.retiredNetwork(times.now)!;
      expect(retired.publicKey).toEqual(prepared.before.keys.networkKey);
      const onion = keystore.retiredOnion(times.now)!;
      expect(onion.key.publicKey).toEqual(prepared.before.keys.onionKey);
      return true;
    };
    let cuts = 0;
    for (let wasCut = true as boolean; wasCut; cuts += 1) {
      const dir = `${busy}-${cuts}`;
      await cp(busy, dir, { recursive: true });
      wasCut = await isCut(dir, cuts);
      expect(await filesIn(dir)).toEqual(FILES);
      using again = await openHome(dir);
      expect(again.missing()).toEqual([]);
    }
    expect(cuts).toBeGreaterThan(40);
  });
});

async function entriesOf(dir: string, { before, entry }: Awaited<ReturnType<typeof prepare>>) {
  const { succession } = await Keystore.inspect(dir);
  return [...succession.slice(0, before.number), entry.bytes];
}

test('a second call has nothing to do', async () => {
  await withHome(async (dir) => {
    const prepared = await prepare(dir, ALL);
    await settle(dir, prepared);
    const disk = dyingDisk(0);
    expect(await settle(dir, prepared, { disk })).toEqual({
      promoted: [],
      isKept: false,
      retired: [],
      isSuperseded: false,
      lost: [],
    });
    expect(disk.isDead()).toBe(false);
  });
});

test('a home is read as one state or the other while another process settles it', async () => {
  await withBusyHome(async (dir, prepared) => {
    const settled = new AbortController();
    const settling = settle(dir, prepared, times).finally(() => settled.abort());
    const seen = new Set<number>();
    do {
      const home = await Keystore.inspect(dir);
      seen.add(home.current.number);
      expect(home.keys.filter(({ role }) => role !== 'next')).toHaveLength(5);
    } while (!settled.signal.aborted);
    await settling;
    expect([...seen].every((number) => number === 1 || number === 2)).toBe(true);
    expect((await Keystore.inspect(dir)).current).toEqual(prepared.after);
  });
});

test('a chain that is behind changes nothing', async () => {
  await withHome(async (dir) => {
    const first = await Keystore.inspect(dir);
    const prepared = await prepare(dir, ['network', 'consensus']);
    await settle(dir, prepared);
    const before = await filesIn(dir);
    await settle(dir, prepared, { state: first.current, succession: [] });
    expect(await filesIn(dir)).toEqual(before);
    expect((await Keystore.inspect(dir)).current).toEqual(prepared.after);
  });
});

test('a rotation that is not final stays prepared', async () => {
  await withHome(async (dir) => {
    const { current } = await Keystore.inspect(dir);
    await prepare(dir, ['consensus']);
    const before = await filesIn(dir);
    using keystore = await openHome(dir);
    await keystore.adoptPending();
    await keystore.settle(current, { succession: [], now: BEGIN });
    expect(await filesIn(dir)).toEqual(before);
    expect(keystore.votes(keystore.pending()!.after.keys.consensusKey)).toBeDefined();
    expect(keystore.votes(current.keys.consensusKey)).toBeDefined();
  });
});

test('a home that the chain has left behind follows, and says what it lacks', async () => {
  await withHome(async (dir, parent) => {
    const stale = join(parent, 'stale');
    await cp(dir, stale, { recursive: true });
    await prepare(stale, ['network']);
    const prepared = await prepare(dir, ['consensus', 'network']);
    await settle(dir, prepared);
    expect(await settle(stale, prepared)).toMatchObject({
      isSuperseded: true,
      promoted: [],
      lost: ['network', 'consensus', 'vrf'],
    });
    expect(await filesIn(stale)).toEqual([
      'identity-next.key.json',
      'identity.key.json',
      'inception.cbor',
      'onion.key.json',
      `retired/network-${BEGIN + 2 * HOUR}.key.json`,
      'succession.cbor',
    ]);
    using keystore = await openHome(stale);
    // K3
    expect(keystore.missing()).toEqual(['network', 'consensus', 'vrf']);
    expect(keystore.votes(keystore.current.keys.consensusKey)).toBeUndefined();
    expect(() => keystore.networkSeed()).toThrow(
      expect.objectContaining({ code: 'KEYS_RETIRED', exit: 78 }) as Error,
    );
    expect(keystore.signer.publicKey).toEqual(keystore.inception.identityKey);
    // Its successor is still the committed one: the way out.
    const again = await prepare(stale, ['consensus', 'network']);
    await settle(stale, again);
    using back = await openHome(stale);
    expect(back.missing()).toEqual([]);
  });
});

test('homes of one node that were rotated apart are not mixed', async () => {
  await withHome(async (dir, parent) => {
    const other = join(parent, 'other');
    await cp(dir, other, { recursive: true });
    const [one, two] = [await prepare(dir, ['network']), await prepare(other, ['network'])];
    await settle(dir, one);
    const files = await filesIn(dir);
    await expect(settle(dir, two)).rejects.toMatchObject({ code: 'BAD_DATA', exit: 65 });
    expect(await filesIn(dir)).toEqual(files);
  });
});

test('only the network and onion keys right before the latest are kept', async () => {
  await withHome(async (dir) => {
    const first = await prepare(dir, ['network', 'onion']);
    await settle(dir, first);
    const second = await prepare(dir, ['network', 'onion']);
    await settle(dir, second, { graceUntil: graceUntil(BEGIN + 3 * HOUR) });
    using keystore = await openHome(dir);
    expect(keystore.retiredNetwork(BEGIN + HOUR)).toMatchObject({ until: BEGIN + 3 * HOUR });
    expect((await filesIn(dir)).filter((name) => name.startsWith('retired'))).toHaveLength(2);
    const onion = keystore.retiredOnion(BEGIN)!;
    expect(hex(onion.key.publicKey)).toBe(hex(first.after.keys.onionKey));
    expect(hex(keystore.retiredNetwork(BEGIN)!.publicKey)).toBe(hex(first.after.keys.networkKey));
  });
});

test('what is erased is blank before it is gone', async () => {
  await withHome(async (dir) => {
    const prepared = await prepare(dir, ['consensus']);
    // The steps: the succession is written, the consensus key laid aside and blanked.
    await settle(dir, prepared, { disk: dyingDisk(3) }).catch(() => undefined);
    const aside = await readFile(`${keyPath(dir, 'consensus')}.erased`);
    expect(aside.length).toBeGreaterThan(100);
    expect(aside.every((byte) => byte === 0)).toBe(true);
  });
});

test('the marker of a restored home goes when another consensus key is in force', async () => {
  await withHome(async (dir) => {
    const brought = hex((await Keystore.inspect(dir)).current.keys.consensusKey);
    await writeFile(join(dir, 'restored.json'), renderRestored([brought]));
    await settle(dir, await prepare(dir, ['network']));
    using keystore = await openHome(dir);
    expect(keystore.restored).toEqual([brought]);
    const prepared = await prepare(dir, ['consensus']);
    await keystore.adoptPending();
    // K1: the new key is none of those that somebody may have voted with.
    expect(keystore.heldConsensusKeys()).toEqual([brought]);
    await keystore.settle(prepared.after, {
      succession: await entriesOf(dir, prepared),
      now: BEGIN + HOUR,
    });
    expect(keystore.restored).toBeUndefined();
    expect(keystore.heldConsensusKeys()).toEqual([hex(prepared.after.keys.consensusKey)]);
    await writeFile(join(dir, 'restored.json'), renderRestored(keystore.heldConsensusKeys()));
    using vouched = await openHome(dir);
    await vouched.vouch();
    expect(vouched.restored).toBeUndefined();
    await vouched.vouch();
    await writeFile(join(dir, 'restored.json'), 'rubbish');
    await expect(Keystore.inspect(dir)).rejects.toMatchObject({ code: 'KEYSTORE_DAMAGED' });
  });
});

test('without a marker a prepared consensus key counts as held', async () => {
  await withHome(async (dir) => {
    const { after, before } = await prepare(dir, ['consensus']);
    using keystore = await openHome(dir);
    const held = [hex(before.keys.consensusKey), hex(after.keys.consensusKey)];
    expect(keystore.heldConsensusKeys()).toEqual(held);
    expect(keystore.votes(after.keys.consensusKey)).toBeUndefined();
  });
});

test('another passphrase is that of what is prepared and retired, too', async () => {
  await withHome(async (dir) => {
    await settle(dir, await prepare(dir, ['network']));
    using keystore = await openHome(dir);
    await keystore.newSession({ startsAt: BEGIN, expiresAt: BEGIN + HOUR, now: BEGIN });
    await prepare(dir, ['consensus']);
    await changePassphrase(
      { dir, passphrase: 'p', newPassphrase: 'q', kdfCost: QUICK_KDF },
      { random: systemRandom },
    );
    await expect(keystore.adoptPending()).rejects.toMatchObject({
      code: 'WRONG_PASSPHRASE',
      hint: expect.stringContaining('node restart') as string,
    });
    using again = await Keystore.open({ dir, passphrase: 'q' });
    expect((await again.adoptPending())?.after.number).toBe(2);
    expect(again.retiredNetwork(BEGIN)).toBeDefined();
    expect(again.sessions()).toHaveLength(1);
  });
});

test('a succession that is damaged, foreign or endless is damage', async () => {
  await withHome(async (dir) => {
    await settle(dir, await prepare(dir, ['network']));
    const path = join(dir, 'succession.cbor');
    const bytes = await readFile(path);
    const { origin } = await Keystore.inspect(dir);
    const endless = encode({
      ...{ v: 1, type: 'own-succession', ...origin },
      entries: Array.from({ length: 2049 }, () => new Uint8Array(1)),
      lost: [],
    });
    for (const bad of [bytes.subarray(1), Buffer.from('x'), endless]) {
      await writeFile(path, bad);
      await expect(Keystore.inspect(dir)).rejects.toMatchObject({ code: 'KEYSTORE_DAMAGED' });
    }
    await withHome(async (other) => {
      await settle(other, await prepare(other, ['network']));
      await cp(join(other, 'succession.cbor'), path);
      await expect(Keystore.inspect(dir)).rejects.toMatchObject({ code: 'KEYSTORE_DAMAGED' });
    });
  });
});
