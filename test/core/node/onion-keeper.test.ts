/** When the onion services of a node are made anew, for whom, and whom that cuts (O14 to O18). */
import { describe, expect, test } from 'vitest';
import { type OnionKey, onionAddressOf, onionKeyOf } from '../../../src/core/crypto/onion.ts';
import { AegisError } from '../../../src/core/errors.ts';
import { OnionKeeper } from '../../../src/core/node/onion-keeper.ts';
import { handClock, settle } from '../tor/onion/hand-clock.ts';
import { log } from './support/node.ts';
import { DAY, MIDST, OnionWorld, onionOf } from './support/onion-world.ts';

/** What is asked of the services, in order. */
class Asked {
  readonly said: string[] = [];
  current: { address: string } | undefined;
  refusal: AegisError | undefined;
  readonly #names: Map<string, string>;

  constructor(names: Record<string, string>) {
    this.#names = new Map(Object.entries(names).map(([name, address]) => [address, name]));
  }

  async use(key: { address: string }, { graceMs = 0 } = {}): Promise<void> {
    this.said.push(`use ${this.#names.get(key.address)} ${graceMs}`);
    this.current = { address: key.address };
  }

  async keep(key: { address: string }, { graceMs }: { graceMs: number }): Promise<void> {
    this.said.push(`keep ${this.#names.get(key.address)} ${graceMs}`);
  }

  async end(publicKey: Uint8Array): Promise<void> {
    this.said.push(`end ${this.#names.get(onionAddressOf(publicKey))}`);
    this.current = undefined;
  }

  async renew({ cut }: { cut: boolean }): Promise<void> {
    this.said.push(cut ? 'cut' : 'renew');
    if (this.refusal !== undefined) throw this.refusal;
  }

  /** What was asked since this was called last. */
  take(): string[] {
    return this.said.splice(0);
  }
}

function setUp({ isOpen = false } = {}) {
  const world = new OnionWorld();
  const [ana, bea, eve] = world.owners;
  const [first, second] = [onionOf(ana), onionKeyOf(new Uint8Array(32).fill(9))];
  const hands = handClock();
  const own = {
    current: first,
    retired: undefined as { key: typeof first; until: number } | undefined,
    isLost: false,
  };
  const clock = {
    ...hands.clock,
    now: () => world.now as ReturnType<typeof hands.clock.now>,
  };
  const keeper = new OnionKeeper(
    { isOpen },
    {
      ...{ clients: world.keysOf(ana), log, clock },
      own: {
        address: () => own.current.address,
        current: () => {
          if (own.isLost) return undefined;
          return copyOf(own.current);
        },
        retired: () => own.retired && { ...own.retired, key: copyOf(own.retired.key) },
      },
      hasLeft: (nodeId) => world.members.roster.get(nodeId)?.status === 'left',
    },
  );
  const services = new Asked({ first: first.address, second: second.address });
  const wakes = (): number[] => [...hands.wakes].map(({ at }) => at);
  /** Time passes, and what waits for it is done. */
  const pass = async (ms: number): Promise<void> => {
    world.now += ms;
    for (const one of [...hands.wakes].filter(({ at }) => at <= world.now)) {
      hands.wakes.delete(one);
      one.wake();
    }
    await settle();
  };
  return { world, keeper, services, own, first, second, pass, wakes, bea, eve };
}

/** The keeper wipes what it is given. */
const copyOf = (key: OnionKey): OnionKey => ({
  ...key,
  expandedSecret: key.expandedSecret.slice(),
});

describe('the services of a node', () => {
  test('are published with the key in force, and left alone while nothing changes', async () => {
    const { keeper, services } = setUp();
    keeper.open(services as never);
    expect(services.take()).toEqual(['use first 0']);
    for (let n = 0; n < 3; n += 1) keeper.look();
    expect(services.take()).toEqual([]);
    keeper.close();
    keeper.look();
    expect(services.take()).toEqual([]);
  });

  test('are made anew: with a cut for who is banned, without for who comes (O17)', async () => {
    const { keeper, services, world, bea, pass } = setUp();
    keeper.open(services as never);
    services.take();
    world.invitations.push({ id: 'one', expiresAt: world.now + DAY });
    keeper.look();
    await pass(249);
    expect(services.take()).toEqual([]);
    await pass(1);
    expect(services.take()).toEqual(['renew']);
    world.banned.add(bea.nodeId);
    keeper.look();
    expect(services.take()).toEqual(['cut']);
    world.banned.delete(bea.nodeId);
    keeper.look();
    await pass(3000);
    expect(services.take()).toEqual(['renew']);
  });

  test('are made anew once for many who come together', async () => {
    const { keeper, services, world, pass } = setUp();
    keeper.open(services as never);
    services.take();
    for (let n = 0; n < 40; n += 1) {
      world.invitations.push({ id: `${n}`, expiresAt: world.now + DAY });
      keeper.look();
      await pass(100);
    }
    expect(services.take()).toEqual(['renew', 'renew']);
    await pass(3000);
    expect(services.take()).toEqual(['renew']);
    await pass(3000);
    expect(services.take()).toEqual([]);
  });

  test('cut a network key that is revoked, and not one whose grace ends (H2)', async () => {
    const { keeper, services, world, bea, eve, pass } = setUp();
    keeper.open(services as never);
    services.take();
    const key = bea.state.keys.networkKey;
    bea.rotate(['network']);
    world.finalise(bea, { retiredNetworkKey: { key, until: world.now + 10_000 } });
    keeper.look();
    await pass(250);
    expect(services.take()).toEqual(['renew']);
    await pass(10_000);
    await pass(250);
    expect(services.take()).toEqual(['renew']);
    eve.rotate(['network'], { reason: 'compromised', graceMs: 0 });
    world.finalise(eve);
    keeper.look();
    expect(services.take()).toEqual(['cut']);
  });

  test('are not cut again and again by a member that goes on changing its keys', async () => {
    const { keeper, services, world, bea, eve, pass } = setUp();
    keeper.open(services as never);
    services.take();
    const hour = 3600 * 1000;
    for (let n = 0; n < 24; n += 1) {
      bea.rotate(['network'], { reason: 'compromised', graceMs: 0 });
      world.finalise(bea);
      keeper.look();
      await pass(1000);
    }
    expect(services.take()).toEqual(['cut', 'cut', 'cut', 'cut']);
    // It waits alone: others are cut at once.
    world.banned.add(eve.nodeId);
    keeper.look();
    expect(services.take()).toEqual(['cut']);
    // What it has become at last is followed.
    await pass(hour);
    expect(services.take()).toEqual(['cut']);
    await pass(hour);
    expect(services.take()).toEqual([]);
    world.banned.add(bea.nodeId);
    keeper.look();
    expect(services.take()).toEqual(['cut']);
  });

  test('let one that has left hear of it, and then cut it (M3)', async () => {
    const { keeper, services, world, bea, pass } = setUp();
    keeper.open(services as never);
    services.take();
    world.finalise(bea, { status: 'left' });
    keeper.look();
    expect(services.take()).toEqual([]);
    await pass(1999);
    expect(services.take()).toEqual([]);
    await pass(1);
    expect(services.take()).toEqual(['cut']);
  });

  test('change all keys around the end of an epoch, and cut nobody (O14)', async () => {
    const { keeper, services, pass, wakes } = setUp();
    keeper.open(services as never);
    services.take();
    const hour = 3600 * 1000;
    expect(wakes()).toEqual([MIDST + 4 * DAY - 2 * hour]);
    await pass(4 * DAY - 2 * hour);
    await pass(250);
    expect(services.take()).toEqual(['renew']);
    expect(wakes()).toEqual([MIDST + 4 * DAY + 2 * hour]);
    await pass(4 * hour);
    await pass(250);
    expect(services.take()).toEqual(['renew']);
  });

  test('follow a new onion key at once, and keep the one before for its grace (O18)', () => {
    const { keeper, services, own, first, second, world } = setUp();
    keeper.open(services as never);
    services.take();
    own.current = second;
    own.retired = { key: first, until: world.now + DAY };
    keeper.look();
    expect(services.take()).toEqual([`use second ${DAY}`]);
    // The same after a restart: nothing of before runs then.
    services.current = undefined;
    keeper.open(services as never);
    expect(services.take()).toEqual([`use second ${DAY}`, `keep first ${DAY}`]);
    // A compromised one has no grace.
    own.retired = undefined;
    own.current = first;
    keeper.look();
    expect(services.take()).toEqual(['use first 0']);
  });

  test('end with a key that the home lacks, but for the grace of the one before (K3)', async () => {
    const { keeper, services, own, first, second, world, pass } = setUp();
    keeper.open(services as never);
    services.take();
    own.current = second;
    own.isLost = true;
    own.retired = { key: first, until: world.now + DAY };
    keeper.look();
    await settle();
    expect(services.take()).toEqual(['end first', `keep first ${DAY}`]);
    expect(keeper.clients()).toEqual([]);
    own.isLost = false;
    await pass(60_000);
    expect(services.take()[0]).toBe(`use second ${DAY - 60_000}`);
  });

  test('stay as they were with too many clients, and it is tried again (O15)', async () => {
    const { keeper, services, world, pass } = setUp();
    keeper.open(services as never);
    services.take();
    services.refusal = new AegisError('ONION_CLIENTS_FULL', 'too many');
    world.invitations.push({ id: 'one', expiresAt: world.now + DAY });
    keeper.look();
    await pass(250);
    expect(services.take()).toEqual(['renew']);
    services.refusal = undefined;
    await pass(60_000);
    await pass(250);
    expect(services.take()).toEqual(['renew']);
    await pass(60_000);
    expect(services.take()).toEqual([]);
  });

  test('cut once who is let in no more, where others have no room (O15, O17)', async () => {
    const { keeper, services, world, bea, pass } = setUp();
    keeper.open(services as never);
    services.take();
    services.refusal = new AegisError('ONION_CLIENTS_FULL', 'too many');
    world.banned.add(bea.nodeId);
    world.invitations.push({ id: 'one', expiresAt: world.now + DAY });
    keeper.look();
    await settle();
    expect(services.take()).toEqual(['cut']);
    await pass(60_000);
    await pass(250);
    expect(services.take()).toEqual(['renew']);
  });

  test('are for everybody where the operator wants it, and nobody is looked at then', () => {
    const { keeper, services, world, bea, first } = setUp({ isOpen: true });
    keeper.open(services as never);
    services.take();
    expect(keeper.clientsOf(first)).toBe('open');
    expect(keeper.clients()).toEqual([]);
    world.banned.add(bea.nodeId);
    keeper.look();
    expect(services.take()).toEqual([]);
  });
});

test('whoever is shown as a client is what the service is given', () => {
  const { keeper, first, world } = setUp();
  world.invitations.push({ id: 'one', expiresAt: world.now + DAY });
  const keys = keeper.clients().flatMap((client) => client.keys);
  expect(keeper.clientsOf(first)).toEqual(keys);
  expect(keeper.clients().map(({ kind }) => kind)).toEqual([
    ...['member', 'member', 'member', 'invitation'],
  ]);
});
