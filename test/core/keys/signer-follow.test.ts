/** A node has no more than the entry that the signer told it, and its own word that it is final. */
import { cpSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readPlace } from '../../../src/core/consensus/signed-bytes.ts';
import { Keystore } from '../../../src/core/keys/keystore.ts';
import { RETIRED_KEPT_MS, SignerFollow } from '../../../src/core/keys/signer-follow.ts';
import { Guards } from '../../../src/core/keys/signer-guards.ts';
import { describeKeystore } from '../../../src/core/keys/signer-open.ts';
import { BEGIN, filesIn, HOUR, openHome, prepare, withHome } from './support/rotations.ts';
import { silentLog, vote } from './support/signer.ts';

const NOW = BEGIN + 2 * HOUR;

interface Started {
  readonly keystore: Keystore;
  readonly following: SignerFollow;
}

/** As `aegis keys serve` starts. */
async function start(dir: string, clock: { now: number }): Promise<Started> {
  const keystore = await openHome(dir);
  await keystore.adoptPending();
  const now = () => clock.now;
  const following = await SignerFollow.open({ dir, keystore, log: silentLog, now });
  return { keystore, following };
}

/** A signer whose pending rotation of consensus a node has shown as final. */
const withShown = (
  use: (
    at: Started & { dir: string; parent: string; clock: { now: number }; keys: Uint8Array[] },
  ) => Promise<void>,
): Promise<void> =>
  withHome(async (dir, parent) => {
    const { before, after } = await prepare(dir, ['consensus']);
    const clock = { now: NOW };
    const { keystore, following } = await start(dir, clock);
    await following.follow([describeKeystore(keystore, following.number).pending]);
    const keys = [before, after].map((state) => state.keys.consensusKey);
    await use({ dir, parent, clock, keys, keystore, following });
    keystore.close();
  });

const votesWith = ({ keystore }: Started, keys: readonly Uint8Array[]): boolean[] =>
  keys.map((key) => keystore.votes(key)?.sign(vote(1)) !== undefined);

describe('G3: a node shows what is pending', () => {
  test('both keys sign, each behind its own guard, also after a restart', () =>
    withShown(async ({ dir, parent, clock, keys, keystore, following }) => {
      expect(votesWith({ keystore, following }, keys)).toEqual([true, true]);
      expect(following.number).toBe(1);
      expect(describeKeystore(keystore, 1).consensus).toEqual(keys);
      // Told again, it does not begin anew.
      clock.now += HOUR;
      await following.follow([keystore.pending()!.entry.bytes]);
      const again = await start(dir, clock);
      expect(votesWith(again, keys)).toEqual([true, true]);
      expect([again.following.number, again.keystore.current.number]).toEqual([1, 0]);
      const guards = new Guards({ dir: `${parent}/guards`, mark: `${parent}/mark.json` });
      for (const key of keys) {
        expect(guards.claim(key, readPlace(vote(1))!, vote(1))).toBe('new');
        expect(guards.claim(key, readPlace(vote(1))!, vote(1, 0, 'b'))).toBe('double');
      }
      guards.close();
      again.keystore.close();
    }));

  test('neither it, nor another one in its place, is given up or prepared', () =>
    withShown(async ({ dir, keystore }) => {
      expect(keystore.pending()?.isHandedIn).toBe(true);
      const pending = expect.objectContaining({ code: 'ROTATION_PENDING' });
      await expect(prepare(dir, ['consensus'])).rejects.toThrow(pending);
    }));

  test('seven days later what it retires is erased', () =>
    withShown(async ({ dir, clock, keys, keystore, following }) => {
      clock.now = NOW + RETIRED_KEPT_MS - 1;
      expect(await following.eraseRetired({ isOrdered: false })).toBe(false);
      expect(votesWith({ keystore, following }, keys)).toEqual([true, true]);
      clock.now += 1;
      expect(await following.eraseRetired({ isOrdered: false })).toBe(true);
      expect(votesWith({ keystore, following }, keys)).toEqual([false, true]);
      expect([following.number, keystore.current.number]).toEqual([1, 1]);
      expect((await filesIn(dir)).filter((name) => name.includes('pending'))).toEqual([]);
    }));

  test('the operator says that it is final', () =>
    withShown(async ({ dir, clock, keys, keystore }) => {
      keystore.close();
      const again = await start(dir, clock);
      expect(await again.following.eraseRetired({ isOrdered: true })).toBe(true);
      expect(votesWith(again, keys)).toEqual([false, true]);
      again.keystore.close();
    }));

  test('an entry after it says that it was final', () =>
    withShown(async ({ dir, parent, keys, keystore, following }) => {
      // The home of the owner, where the first one is final already.
      const other = `${parent}/other`;
      cpSync(dir, other, { recursive: true });
      const owner = await openHome(other);
      const { entry, after } = owner.pending()!;
      await owner.settle(after, { succession: [entry.bytes], now: NOW });
      owner.close();
      const second = await prepare(other, ['network'], { now: NOW });
      // The first one is not told again: the signer has said that it knows it.
      await following.follow([second.entry.bytes]);
      expect([following.number, keystore.current.number]).toEqual([2, 2]);
      expect(votesWith({ keystore, following }, keys)).toEqual([false, true]);
    }));
});

test('without a word of a node the operator erases nothing', () =>
  withHome(async (dir) => {
    const { before } = await prepare(dir, ['consensus']);
    const started = await start(dir, { now: NOW });
    expect(await started.following.eraseRetired({ isOrdered: true })).toBe(false);
    expect(votesWith(started, [before.keys.consensusKey])).toEqual([true]);
    started.keystore.close();
  }));

test('a rotation that was prepared elsewhere erases nothing at once either', () =>
  withHome(async (dir, parent) => {
    const other = `${parent}/other`;
    cpSync(dir, other, { recursive: true });
    const { entry, before } = await prepare(other, ['consensus']);
    const started = await start(dir, { now: NOW });
    await started.following.follow([entry.bytes]);
    expect(votesWith(started, [before.keys.consensusKey])).toEqual([true]);
    expect([started.following.number, started.keystore.current.number]).toEqual([1, 0]);
    // Nobody makes a rival of it by mistake (S8).
    const pending = expect.objectContaining({ code: 'ROTATION_PENDING' });
    await expect(prepare(dir, ['consensus'])).rejects.toThrow(pending);
    started.keystore.close();
  }));

test('what retires nothing that is held here comes into force at once', () =>
  withHome(async (dir, parent) => {
    const other = `${parent}/other`;
    cpSync(dir, other, { recursive: true });
    const { entry } = await prepare(other, ['network']);
    const keystore = await Keystore.open({ dir, passphrase: 'p', behindSigner: ['network'] });
    const now = () => NOW;
    const following = await SignerFollow.open({ dir, keystore, log: silentLog, now });
    await following.follow([entry.bytes]);
    expect(keystore.current.number).toBe(1);
    keystore.close();
  }));
