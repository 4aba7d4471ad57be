import { beforeEach, describe, expect, test } from 'vitest';
import {
  createSession,
  type Session,
  type SignedSession,
} from '../../../src/core/model/session.ts';
import {
  BAD_SESSIONS_MAX,
  KEYS_PROTOCOL,
  SessionKeeper,
} from '../../../src/core/node/session-keeper.ts';
import { SimClock } from '../../../src/core/sim/clock.ts';
import { instant, MINUTE } from '../../../src/core/units.ts';
import { Owner } from '../../helpers/owner.ts';
import { Members } from './support/members.ts';
import { log } from './support/node.ts';

const DAY = 24 * 60 * MINUTE;
const START = Date.UTC(2026, 10, 21);

/** The session keys of a home, without a disk. */
class Home {
  readonly #owner: Owner;
  readonly held: SignedSession[] = [];
  /** Kept from making any, as by a full disk. */
  isBlocked = false;
  made = 0;

  constructor(owner: Owner) {
    this.#owner = owner;
  }

  get current() {
    return this.#owner.state;
  }

  sessions(): readonly SignedSession[] {
    return this.held;
  }

  async newSession({ startsAt, expiresAt }: { startsAt: number; expiresAt: number }) {
    if (this.isBlocked) throw new Error('the disk is full');
    this.made += 1;
    const made = sessionOf(this.#owner, { number: this.made, startsAt, expiresAt });
    this.held.unshift(made);
    return made;
  }

  async dropSessions(now: number): Promise<void> {
    while ((this.held.at(-1)?.session.expiresAt ?? Infinity) <= now) this.held.pop();
  }
}

function sessionOf(owner: Owner, more: Partial<Session> = {}): SignedSession {
  const { nodeId } = owner;
  const { keyEpoch } = owner.state;
  const sessionKey = new Uint8Array(32).fill(more.number ?? 1);
  const times = { startsAt: START, expiresAt: START + DAY };
  const session = { nodeId, keyEpoch, number: 1, sessionKey, ...times, ...more };
  return createSession(session, owner.identity);
}

class World {
  readonly ana = new Owner(1);
  readonly bea = new Owner(2);
  readonly cid = new Owner(3);
  readonly members = new Members(this.ana, this.bea, this.cid);
  readonly clock = new SimClock(instant(START));
  readonly home = new Home(this.ana);
  readonly sent: { to: string; body: Uint8Array }[] = [];
  readonly keeper = new SessionKeeper({
    ...{ self: this.ana.nodeId, keystore: this.home, roster: this.members.roster },
    ...{ clock: this.clock, log },
    peers: () => [this.bea.nodeId, this.cid.nodeId],
    send: (to, _protocol, body) => void this.sent.push({ to, body }),
  });

  take(from: Owner, body: Uint8Array): void {
    this.keeper.take({ from: from.nodeId, protocol: KEYS_PROTOCOL, body });
  }

  /** What is due is done, and all that it waits for. */
  async run(ms: number): Promise<void> {
    this.clock.runUntil(instant(this.clock.now() + ms));
    for (let n = 0; n < 10; n += 1) await Promise.resolve();
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});

describe('the own session key', () => {
  test('is made at the start, every day, and told to all peers', async () => {
    await world.keeper.start();
    expect(world.keeper.own?.number).toBe(1);
    expect(world.sent.map(({ to }) => to)).toEqual([world.bea.nodeId, world.cid.nodeId]);
    for (let day = 1; day <= 3; day += 1) {
      await world.run(DAY - 1);
      expect(world.keeper.own?.number).toBe(day);
      await world.run(1);
      expect(world.keeper.own?.number).toBe(day + 1);
    }
    // The one before opens what was begun with it.
    expect(world.home.held.map(({ session }) => session.number)).toEqual([4, 3]);
  });

  test('of a run before goes on, unless the clock stands before it', async () => {
    const startsAt = START - DAY / 2;
    world.home.held.push(sessionOf(world.ana, { startsAt, expiresAt: START + DAY }));
    await world.keeper.start();
    expect(world.home.made).toBe(0);
    await world.run(DAY / 2);
    expect(world.home.made).toBe(1);

    const later = new World();
    const future = { startsAt: START + 9 * DAY, expiresAt: START + 10 * DAY };
    later.home.held.push(sessionOf(later.ana, future));
    await later.keeper.start();
    expect(later.home.made).toBe(1);
  });

  test('that cannot be made is tried again', async () => {
    world.home.isBlocked = true;
    await world.keeper.start();
    expect(world.keeper.own).toBeUndefined();
    await expect(world.keeper.rotate()).rejects.toThrow('the disk is full');
    world.home.isBlocked = false;
    await world.run(MINUTE);
    expect(world.keeper.own?.number).toBe(1);
  });

  test('is replaced with the identity key, and by hand', async () => {
    await world.keeper.start();
    await world.keeper.settle();
    expect(world.home.made).toBe(1);
    world.ana.rotate(['identity']);
    await world.keeper.settle();
    expect(world.keeper.own).toMatchObject({ number: 2, keyEpoch: 1 });
    expect(await world.keeper.rotate()).toMatchObject({ number: 3 });
    world.keeper.stop();
    await world.run(10 * DAY);
    expect(world.home.made).toBe(3);
  });
});

describe('those of others', () => {
  test('are kept, the latest of each, and passed on once', () => {
    const { bea, cid, keeper } = world;
    const one = sessionOf(bea);
    const two = sessionOf(bea, { number: 2 });
    world.take(bea, one.bytes);
    world.take(bea, two.bytes);
    world.take(cid, one.bytes);
    world.take(cid, two.bytes);
    expect(keeper.of(bea.nodeId)?.session.number).toBe(2);
    expect(keeper.count).toBe(1);
    const passedOn = [one, two].map(({ bytes: body }) => ({ to: cid.nodeId, body }));
    expect(world.sent).toEqual(passedOn);
  });

  test('are told to a peer that comes, with the own one', async () => {
    await world.keeper.start();
    const known = sessionOf(world.cid);
    world.take(world.cid, known.bytes);
    world.sent.length = 0;
    world.keeper.greet(world.bea.nodeId);
    const [own] = world.home.held;
    expect(world.sent.map(({ body }) => body)).toEqual([own!.bytes, known.bytes]);
    world.sent.length = 0;
    world.keeper.greet(world.cid.nodeId);
    expect(world.sent).toHaveLength(1);
  });

  test('that are early wait for the key, forged ones for nothing', () => {
    const { bea, cid, keeper, members } = world;
    bea.rotate(['identity']);
    const early = sessionOf(bea);
    world.take(bea, early.bytes);
    expect(keeper.count).toBe(0);
    members.finalise(bea);
    void keeper.settle();
    expect(keeper.of(bea.nodeId)).toEqual(early);

    const forged = sessionOf(bea, { number: 7 }).bytes.slice();
    forged[forged.length - 1]! ^= 1;
    for (let n = 0; n < BAD_SESSIONS_MAX; n += 1) world.take(cid, forged);
    // Who sends much that does not hold is not read for a while.
    const sound = sessionOf(cid);
    world.take(cid, sound.bytes);
    expect(keeper.of(cid.nodeId)).toBeUndefined();
    world.clock.runUntil(instant(START + 2 * MINUTE));
    world.take(cid, sound.bytes);
    expect(keeper.of(cid.nodeId)).toEqual(sound);
    expect(keeper.of(bea.nodeId)?.session.number).toBe(1);
  });

  test('of an identity key of before count no more, whoever tells them first', () => {
    const { ana, bea, cid, keeper, members } = world;
    const theirs = sessionOf(bea);
    world.take(bea, theirs.bytes);
    // Whoever has the identity key of before signs on with it.
    const stolen = sessionOf(bea, { number: 9 });
    bea.rotate(['identity']);
    members.finalise(bea);
    void keeper.settle();
    expect(keeper.of(bea.nodeId)).toBeUndefined();
    world.sent.length = 0;
    for (const from of [cid, bea]) world.take(from, stolen.bytes);
    expect([keeper.of(bea.nodeId), world.sent]).toEqual([undefined, []]);
    const fresh = sessionOf(bea);
    world.take(bea, fresh.bytes);
    expect(keeper.of(bea.nodeId)).toEqual(fresh);
    expect(ana.state.keyEpoch).toBe(0);
  });

  test('of strangers, and words of its own, are not kept', () => {
    world.take(world.bea, sessionOf(new Owner(7)).bytes);
    world.take(world.bea, sessionOf(world.ana, { number: 9 }).bytes);
    world.take(world.bea, new Uint8Array(100));
    expect(world.keeper.count).toBe(0);
    expect(world.sent).toEqual([]);
  });
});
