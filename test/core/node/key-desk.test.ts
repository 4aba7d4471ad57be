import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { ChainOutcome } from '../../../src/core/chain/chain.ts';
import { firstMembers, Roster } from '../../../src/core/chain/roster.ts';
import { publicKeyOf } from '../../../src/core/crypto/sign.ts';
import type { Keystore } from '../../../src/core/keys/keystore.ts';
import { restoredPath } from '../../../src/core/keys/layout.ts';
import { renderRestored } from '../../../src/core/keys/restored.ts';
import { discardRotation, type PreparedRotation } from '../../../src/core/keys/rotation.ts';
import { HURRY_MS, KeyDesk, SEAL_MS } from '../../../src/core/node/key-desk.ts';
import { followChain, usableNetworkKey } from '../../../src/core/node/own-keys.ts';
import type { Log } from '../../../src/core/ports.ts';
import { SimClock } from '../../../src/core/sim/clock.ts';
import { type Instant, instant, SECOND } from '../../../src/core/units.ts';
import { BEGIN, HOUR, openHome, prepare, withHome } from '../keys/support/rotations.ts';

const DAY = 24 * HOUR;
const never = new AbortController().signal;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Knows how many timers would keep a process from ending. */
class CountingClock extends SimClock {
  armed = 0;

  override wakeAt(at: Instant, wake: () => void): () => void {
    let isArmed = true;
    const end = () => {
      if (isArmed) this.armed -= 1;
      isArmed = false;
    };
    this.armed += 1;
    const cancel = super.wakeAt(at, () => {
      end();
      wake();
    });
    return () => {
      end();
      cancel();
    };
  }
}

/** One home, and a chain that decides when the test says so. */
class World {
  readonly keystore: Keystore;
  readonly roster: Roster;
  readonly clock = new CountingClock(instant(BEGIN + HOUR));
  readonly submitted: Uint8Array[] = [];
  /** Public keys that the host was given. */
  readonly rotated: string[] = [];
  readonly said: string[] = [];
  readonly log: Log = {
    write: (level, message) => void this.said.push(`${level}: ${message}`),
    child: () => this.log,
  };
  readonly desk: KeyDesk;
  barrier: () => Promise<void> = () => Promise.reject(new Error('nobody asks'));
  versions = 5;
  holds = 0;
  sessions = 0;

  constructor(keystore: Keystore) {
    this.keystore = keystore;
    const { nodeId: self, inceptionBytes, current: keys } = keystore;
    const names = { nodeId: self, name: 'n', zone: 'z', region: 'r', role: 'custodian' as const };
    const facts = { keys, addresses: [], storageWeight: 1, inceptionBytes, succession: [] };
    this.roster = new Roster(firstMembers([{ ...names, ...facts }]));
    this.desk = new KeyDesk({
      ...{ self, keystore, roster: this.roster, clock: this.clock, log: this.log },
      networkKey: keys.keys.networkKey,
      introductions: { accepts: () => true, settle: () => {}, nextEnd: () => undefined },
      sessions: { settle: async () => void (this.sessions += 1) },
      host: {
        rotate: async (seed) => void this.rotated.push(hex(publicKeyOf(seed))),
        review: () => 0,
      },
      submit: (bytes) => void this.submitted.push(bytes),
      hold: async () => {
        this.holds += 1;
        return { versions: this.versions, release: () => void (this.holds -= 1) };
      },
      heightOf: async () => 7,
      addressesOf: () => [],
      barrier: () => this.barrier(),
      changed: () => {},
      reviewed: () => {},
    });
    onTestFinished(() => {
      this.desk.stop();
      keystore.close();
    });
  }

  get #member() {
    return this.roster.get(this.keystore.nodeId)!;
  }

  finalise({ entry, before, after }: PreparedRotation): void {
    const { nodeId } = this.keystore;
    const until = BEGIN + 2 * HOUR;
    const retired = { retiredNetworkKey: { key: before.keys.networkKey, until } };
    this.roster.apply([
      {
        ...this.#member,
        keys: after,
        history: [...this.#member.history, after],
        succession: [...this.#member.succession, entry],
        ...(entry.succession.replaced.includes('network') ? retired : {}),
      },
    ]);
    this.desk.tell({ type: 'roster', height: 7, nodeIds: [nodeId] });
  }

  refuse({ entry }: PreparedRotation, reason: string): void {
    const { digest: id } = entry;
    const receipt = { id, author: this.keystore.nodeId, sequence: 0, height: 7, index: 0 };
    const receipts = [{ ...receipt, statement: 'succession', result: 'refused', reason }];
    this.desk.tell({ type: 'finalised', receipts, signed: [] } as unknown as ChainOutcome);
  }
}

const inWorld = (use: (world: World, dir: string) => Promise<void>): Promise<void> =>
  withHome(async (dir) => await use(new World(await openHome(dir)), dir));

test('what is prepared is handed in, and when it is final the home and the network follow', () =>
  inWorld(async (world, dir) => {
    const prepared = await prepare(dir, ['network', 'consensus']);
    const done = world.desk.rotate(never);
    await expect.poll(() => world.submitted).toEqual([prepared.entry.bytes]);
    expect(world.desk.isSubmitted).toBe(true);
    expect(world.keystore.current.number).toBe(0);
    world.finalise(prepared);
    expect(await done).toMatchObject({
      ...{ number: 1, digest: prepared.entry.digest, keyEpoch: 0, height: 7 },
      ...{ replaced: ['network', 'consensus'], retiredNetworkUntil: BEGIN + 2 * HOUR },
    });
    const { current } = world.keystore;
    expect(current.digest).toBe(prepared.entry.digest);
    expect(world.rotated).toEqual([hex(current.keys.networkKey)]);
    expect(world.desk.isSubmitted).toBe(false);
    // A4: the retired consensus key is gone, the network key stays for its grace.
    expect(world.keystore.heldConsensusKeys()).toEqual([hex(current.keys.consensusKey)]);
    expect(world.keystore.retiredNetwork(BEGIN + HOUR)).toBeDefined();
    expect(world.holds).toBe(0);
  }));

test('nothing prepared is not found; a second call while one waits hands the same in', () =>
  inWorld(async (world, dir) => {
    await expect(world.desk.rotate(never)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const prepared = await prepare(dir, ['consensus']);
    const both = [world.desk.rotate(never), world.desk.rotate(never)];
    await expect.poll(() => world.submitted.length).toBe(2);
    world.finalise(prepared);
    const [one, other] = await Promise.all(both);
    expect(one).toEqual(other);
  }));

test('what the custodians refuse stays prepared, and says why', () =>
  inWorld(async (world, dir) => {
    const prepared = await prepare(dir, ['identity'], { sealed: 5 });
    const done = world.desk.rotate(never);
    done.catch(() => {});
    await expect.poll(() => world.submitted.length).toBe(1);
    expect(world.holds).toBe(1);
    world.refuse(prepared, 'key-taken');
    await expect(done).rejects.toMatchObject({
      code: 'CHECK_FAILED',
      message: expect.stringContaining('key-taken'),
    });
    expect(world.holds).toBe(0);
    expect(world.keystore.pending()?.entry.digest).toBe(prepared.entry.digest);
    expect(world.keystore.current.number).toBe(0);
  }));

test('a caller who gives up is told so, and the rotation goes on', () =>
  inWorld(async (world, dir) => {
    const prepared = await prepare(dir, ['consensus']);
    const controller = new AbortController();
    const done = world.desk.rotate(controller.signal);
    done.catch(() => {});
    await expect.poll(() => world.submitted.length).toBe(1);
    controller.abort(new Error('too late'));
    await expect(done).rejects.toMatchObject({ code: 'NOT_FINAL' });
    world.finalise(prepared);
    await expect.poll(() => world.keystore.current.number).toBe(1);
  }));

test('versions are held from the seal until the change of identity is final', () =>
  inWorld(async (world, dir) => {
    expect(await world.desk.seal()).toMatchObject({ versions: 5 });
    expect(world.holds).toBe(1);
    const prepared = await prepare(dir, ['identity'], { sealed: 5 });
    const done = world.desk.rotate(never);
    await expect.poll(() => world.submitted.length).toBe(1);
    world.clock.runUntil(instant(world.clock.now() + 2 * SEAL_MS));
    expect(world.holds).toBe(1);
    world.finalise(prepared);
    expect(await done).toMatchObject({ keyEpoch: 1 });
    expect(world.holds).toBe(0);
    expect(world.sessions).toBeGreaterThan(0);
  }));

test('a seal that is not followed by a rotation ends by itself', () =>
  inWorld(async (world) => {
    const { until } = await world.desk.seal();
    expect(until).toBe(world.clock.now() + SEAL_MS);
    world.clock.runUntil(instant(until - 1));
    expect(world.holds).toBe(1);
    const again = await world.desk.seal();
    world.clock.runUntil(instant(again.until - 1));
    expect(world.holds).toBe(1);
    world.clock.runUntil(instant(again.until));
    expect(world.holds).toBe(0);
  }));

test('an entry that seals fewer versions than there are is not handed in', () =>
  inWorld(async (world, dir) => {
    await prepare(dir, ['identity'], { sealed: 3 });
    await expect(world.desk.rotate(never)).rejects.toMatchObject({
      code: 'CHECK_FAILED',
      message: expect.stringContaining('2 versions have been signed since'),
    });
    expect(world.submitted).toEqual([]);
    expect(world.holds).toBe(0);
  }));

test('an entry that does not follow the chain is not handed in', () =>
  inWorld(async (world, dir) => {
    const first = await prepare(dir, ['network']);
    const { before } = first;
    const other = { ...first, after: { ...first.after, digest: 'f'.repeat(64) }, before };
    world.finalise(other);
    await expect(world.desk.rotate(never)).rejects.toMatchObject({ code: 'CHECK_FAILED' });
    expect(world.submitted).toEqual([]);
  }));

test('a rotation that waits in the home is taken up at the start', () =>
  inWorld(async (_, dir) => {
    const prepared = await prepare(dir, ['consensus']);
    const world = new World(await openHome(dir));
    world.desk.start();
    await expect.poll(() => world.submitted).toEqual([prepared.entry.bytes]);
    world.finalise(prepared);
    await expect.poll(() => world.keystore.current.number).toBe(1);
  }));

test('a restored home hands nothing in before it knows what is final (S8)', () =>
  inWorld(async ({ keystore }, dir) => {
    const brought = hex(keystore.current.keys.consensusKey);
    await writeFile(restoredPath(dir), renderRestored([brought]));
    const world = new World(await openHome(dir));
    // The owner has changed keys after the backup; this home has not heard of it.
    const elsewhere = await prepare(dir, ['network']);
    await rm(join(dir, 'pending'), { recursive: true });
    await prepare(dir, ['consensus']);
    let answers = 0;
    world.barrier = () => {
      answers += 1;
      if (answers < 3) return Promise.reject(new Error('no quorum answers'));
      world.finalise(elsewhere);
      return Promise.resolve();
    };
    const done = world.desk.rotate(never);
    done.catch(() => {});
    for (const expected of [1, 2, 3]) {
      await expect.poll(() => answers).toBe(expected);
      world.clock.runUntil(instant(world.clock.now() + SECOND));
    }
    await expect(done).rejects.toThrow(/does not follow the chain/);
    expect(world.submitted).toEqual([]);
  }));

test('a restored home that nobody answers hands nothing in', () =>
  inWorld(async ({ keystore }, dir) => {
    const brought = hex(keystore.current.keys.consensusKey);
    await writeFile(restoredPath(dir), renderRestored([brought]));
    const world = new World(await openHome(dir));
    await prepare(dir, ['consensus']);
    const ended = new AbortController();
    const done = world.desk.rotate(ended.signal);
    ended.abort();
    await expect(done).rejects.toMatchObject({ code: 'TRY_AGAIN' });
    expect(world.submitted).toEqual([]);
  }));

test('a compromised network key is left at once, and kept if its change is refused', () =>
  inWorld(async (world, dir) => {
    const prepared = await prepare(dir, ['network'], { reason: 'compromised' });
    const { before, after } = prepared;
    const done = world.desk.rotate(never);
    done.catch(() => {});
    const keys = [hex(after.keys.networkKey)];
    await expect.poll(() => world.rotated).toEqual(keys);
    expect(world.desk.listening).toEqual(after.keys.networkKey);
    expect(world.keystore.current.number).toBe(0);
    world.refuse(prepared, 'key-taken');
    keys.push(hex(before.keys.networkKey));
    await expect.poll(() => world.rotated).toEqual(keys);
    expect(world.desk.listening).toEqual(before.keys.networkKey);
  }));

test.each([
  ['key-taken', true],
  ['bad-succession', false],
])('one that is refused as %s can be given up, and made anew (S6): %s', (reason, isFree) =>
  inWorld(async (world, dir) => {
    const prepared = await prepare(dir, ['network']);
    const done = world.desk.rotate(never);
    done.catch(() => {});
    await expect.poll(() => world.desk.isSubmitted).toBe(true);
    await expect(discardRotation(dir)).rejects.toMatchObject({ code: 'ROTATION_PENDING' });
    world.refuse(prepared, reason);
    await expect(done).rejects.toMatchObject({ code: 'CHECK_FAILED' });
    await expect.poll(() => world.keystore.pending()?.isHandedIn).toBe(!isFree);
    if (isFree) await discardRotation(dir);
    else await expect(discardRotation(dir)).rejects.toMatchObject({ code: 'ROTATION_PENDING' });
  }),
);

test('any other is left when nothing is decided for a while, and once only', () =>
  inWorld(async (world, dir) => {
    const prepared = await prepare(dir, ['network']);
    const done = world.desk.rotate(never);
    await expect.poll(() => world.submitted.length).toBe(1);
    world.clock.runUntil(instant(world.clock.now() + HURRY_MS - 1));
    expect(world.desk.listening).toEqual(prepared.before.keys.networkKey);
    world.clock.runUntil(instant(world.clock.now() + 1));
    const keys = [hex(prepared.after.keys.networkKey)];
    await expect.poll(() => world.rotated).toEqual(keys);
    world.finalise(prepared);
    await done;
    expect(world.rotated).toEqual(keys);
  }));

test('what is to be done later is not done once the node stops', () =>
  inWorld(async (world, dir) => {
    await prepare(dir, ['network']);
    const done = world.desk.rotate(never);
    done.catch(() => {});
    await expect.poll(() => world.submitted.length).toBe(1);
    world.desk.stop();
    world.clock.runUntil(instant(world.clock.now() + 2 * HURRY_MS));
    await Promise.resolve();
    expect(world.rotated).toEqual([]);
    expect(world.clock.armed).toBe(0);
  }));

test('a home that lacks entries follows the chain, and says what it lacks (K3)', () =>
  inWorld(async (world, dir) => {
    const prepared = await prepare(dir, ['network', 'consensus']);
    await rm(join(dir, 'pending'), { recursive: true });
    world.finalise(prepared);
    await expect.poll(() => world.keystore.current.number).toBe(1);
    expect(world.keystore.missing().toSorted()).toEqual(['consensus', 'network', 'vrf']);
    await expect
      .poll(() => world.said)
      .toContain('error: keys in force are not in this home: it does what it can');
    expect(world.rotated).toEqual([]);
    // Its owner replaces what is lost; the entry itself says whose the new key is (H1).
    const next = await prepare(dir, ['network']);
    expect(await usableNetworkKey(world.keystore)).toEqual(next.after.keys.networkKey);
  }));

test('a home may know more than its chain does yet', () =>
  inWorld(async (world, dir) => {
    const { log } = world;
    const [before] = world.roster.members();
    const prepared = await prepare(dir, ['network']);
    world.finalise(prepared);
    await expect.poll(() => world.keystore.current.number).toBe(1);
    await followChain(before, { keystore: world.keystore, log, now: BEGIN + HOUR });
    expect(world.keystore.current.number).toBe(1);
  }));

test('people are warned of an expiry, once a step, and every day when it is over', () =>
  inWorld(async ({ desk, keystore, clock, said }) => {
    const { network } = keystore.current.expiresAt;
    const warned = () => said.filter((line) => line.includes('the network key')).length;
    clock.runUntil(instant(network - 31 * DAY));
    desk.start();
    const after = [30, 29, 7, 6, 1, 0, -1, -2].map((days) => {
      clock.runUntil(instant(network - days * DAY + 2 * HOUR));
      return warned();
    });
    expect(after).toEqual([1, 1, 2, 2, 3, 4, 5, 6]);
  }));
