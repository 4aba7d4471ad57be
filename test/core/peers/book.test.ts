import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LogEntry } from '../../../src/core/machine.ts';
import { PeerBook } from '../../../src/core/peers/book.ts';
import {
  DIAL_ALARM,
  type PeerBookOptions,
  type PeerInput,
  type PeerOutcome,
} from '../../../src/core/peers/book-io.ts';
import { type Instant, instant } from '../../../src/core/units.ts';

const SELF = 'm';
const at = (port: number): string => `/ip4/10.0.0.1/tcp/${port}`;

/** Drives a book on virtual time and keeps what it has asked for. */
class World {
  readonly book: PeerBook;
  readonly dials: { at: number; nodeId: string | undefined; address: string }[] = [];
  readonly others: PeerOutcome[] = [];
  readonly table = new Map<string, Uint8Array>();
  alarm: Instant | undefined;
  now = 1_000_000;

  constructor(options: Partial<PeerBookOptions> = {}, from: Map<string, Uint8Array> = new Map()) {
    this.book = new PeerBook({ self: SELF, ...options });
    this.book.recover([...from].map(([key, value]) => ({ key, value })));
    this.table = new Map(from);
  }

  step(input: PeerInput): PeerOutcome[] {
    const ready = this.book.step(input, instant(this.now));
    for (const entry of ready.entries) this.#write(entry);
    for (const { key, at: when } of ready.alarms) {
      expect(key).toBe(DIAL_ALARM);
      this.alarm = when;
    }
    const outcomes = ready.outcomes as PeerOutcome[];
    for (const outcome of outcomes) {
      if (outcome.type === 'dial') this.dials.push({ ...outcome, at: this.now });
      else this.others.push(outcome);
    }
    return outcomes;
  }

  /** Time goes on to the alarm, if there is one. */
  wake(): PeerOutcome[] {
    if (this.alarm === undefined) return [];
    this.now = Math.max(this.now, this.alarm);
    this.alarm = undefined;
    return this.step({ type: 'alarm', key: DIAL_ALARM });
  }

  fail(address: string): PeerOutcome[] {
    return this.step({ type: 'dial-failed', address, code: 'DIAL_FAILED', message: 'refused' });
  }

  #write({ key, value }: LogEntry): void {
    if (value === undefined) this.table.delete(key);
    else this.table.set(key, value);
  }
}

const member = (nodeId: string, ...ports: number[]): PeerInput => ({
  type: 'member',
  nodeId,
  addresses: ports.map(at),
});

describe('PeerBook', () => {
  it('dials at once when its id is smaller, and a little later when it is not', () => {
    const world = new World();
    world.step(member('z', 1));
    world.step(member('a', 2));
    expect(world.dials).toMatchObject([{ nodeId: 'z', address: at(1) }]);
    world.wake();
    expect(world.dials).toHaveLength(2);
    expect(world.now).toBeGreaterThanOrEqual(1_000_250);
    expect(world.now).toBeLessThanOrEqual(1_000_500);
  });

  it('dials again for ever, with growing pauses up to 30 s', () => {
    const world = new World();
    world.step(member('z', 1));
    for (let i = 0; i < 40; i += 1) {
      world.fail(at(1));
      world.wake();
    }
    const pauses = world.dials.slice(1).map((dial, i) => dial.at - world.dials[i]!.at);
    expect(pauses).toHaveLength(40);
    expect(pauses[0]).toBeGreaterThanOrEqual(250);
    expect(pauses[0]).toBeLessThanOrEqual(500);
    for (const pause of pauses.slice(10)) {
      expect(pause).toBeGreaterThanOrEqual(15_000);
      expect(pause).toBeLessThanOrEqual(30_000);
    }
    expect(new Set(pauses.slice(10)).size).toBeGreaterThan(10);
    expect(world.book.why('z')).toMatchObject({
      state: 'dialing',
      attempts: 40,
      lastError: { code: 'DIAL_FAILED', message: 'refused' },
    });
  });

  it('tries the addresses of a peer in turn and stays at the one that works', () => {
    const world = new World();
    world.step(member('z', 1, 2, 3));
    world.fail(at(1));
    world.wake();
    world.fail(at(2));
    world.wake();
    world.step({ type: 'up', nodeId: 'z' });
    world.step({ type: 'dialed', address: at(3), nodeId: 'z' });
    expect(world.book.why('z')).toMatchObject({ state: 'connected', lastError: undefined });
    expect(world.alarm).toBeUndefined();
    world.now += 60_000;
    world.step({ type: 'down', nodeId: 'z' });
    world.wake();
    expect(world.dials.map((dial) => dial.address)).toEqual([at(1), at(2), at(3), at(3)]);
    expect(world.book.why('z')?.attempts).toBe(0);
  });

  it('does not spin on a peer that comes and goes at once', () => {
    const world = new World();
    world.step(member('z', 1));
    for (let i = 0; i < 12; i += 1) {
      world.step({ type: 'up', nodeId: 'z' });
      world.step({ type: 'dialed', address: at(1), nodeId: 'z' });
      world.step({ type: 'down', nodeId: 'z' });
      world.wake();
    }
    const last = world.dials.at(-1)!.at - world.dials.at(-2)!.at;
    expect(last).toBeGreaterThanOrEqual(15_000);
  });

  it('dials at once when it is told that what kept a peer away is over', () => {
    const world = new World();
    world.step(member('z', 1));
    for (let i = 0; i < 8; i += 1) {
      world.fail(at(1));
      if (i < 7) world.wake();
    }
    const before = world.dials.length;
    world.now += 1;
    world.step({ type: 'retry', nodeId: 'z' });
    expect(world.dials.slice(before)).toEqual([expect.objectContaining({ at: world.now })]);
    expect(world.book.why('z')).toMatchObject({ attempts: 0, state: 'dialing' });
    world.step({ type: 'up', nodeId: 'z' });
    world.step({ type: 'dialed', address: at(1), nodeId: 'z' });
    for (const nodeId of ['z', 'nobody']) expect(world.step({ type: 'retry', nodeId })).toEqual([]);
    world.step({ type: 'remove', nodeId: 'z' });
    world.step({ type: 'down', nodeId: 'z' });
    expect(world.step({ type: 'retry', nodeId: 'z' })).toEqual([]);
  });

  it('learns whose a manual address is, and keeps it over a restart', () => {
    const world = new World();
    world.step({ type: 'add', address: at(9) });
    expect(world.dials).toMatchObject([{ nodeId: undefined, address: at(9) }]);
    expect([...world.table.keys()]).toEqual([at(9)]);
    world.step({ type: 'up', nodeId: 'q' });
    world.step({ type: 'dialed', address: at(9), nodeId: 'q' });
    expect([...world.table.keys()]).toEqual(['q']);
    expect(world.book.list()).toHaveLength(1);

    const again = new World({}, world.table);
    again.step({ type: 'start' });
    expect(again.dials).toMatchObject([{ nodeId: 'q', address: at(9) }]);
  });

  it('does not dial a removed peer, also after a restart, until it is added again', () => {
    const world = new World();
    world.step(member('z', 1));
    world.step({ type: 'up', nodeId: 'z' });
    world.step({ type: 'dialed', address: at(1), nodeId: 'z' });
    expect(world.step({ type: 'remove', nodeId: 'z' })).toEqual([{ type: 'hang-up', nodeId: 'z' }]);
    world.step({ type: 'down', nodeId: 'z' });
    expect(world.alarm).toBeUndefined();

    const again = new World({}, world.table);
    again.step({ type: 'start' });
    again.step(member('z', 1));
    again.step({ type: 'learned', nodeId: 'z', addresses: [at(2)] });
    again.wake();
    expect(again.dials).toEqual([]);
    expect(again.book.why('z')?.state).toBe('removed');
    again.step({ type: 'add', address: at(1), nodeId: 'z' });
    expect(again.dials).toHaveLength(1);
  });

  it('hangs up when a peer was removed while it was being dialled', () => {
    for (const known of [true, false]) {
      const world = new World();
      world.step(known ? member('z', 1) : { type: 'add', address: at(1) });
      world.step({ type: 'remove', nodeId: known ? 'z' : at(1) });
      const outcomes = world.step({ type: 'dialed', address: at(1), nodeId: 'z' });
      expect(outcomes).toEqual([{ type: 'hang-up', nodeId: 'z' }]);
      expect(world.book.pendingDials).toBe(0);
    }
  });

  it('notices that another node answers at an address', () => {
    const world = new World();
    world.step(member('z', 1));
    world.step({ type: 'dialed', address: at(1), nodeId: 'y' });
    expect(world.book.why('z')).toMatchObject({ state: 'waiting', attempts: 1 });
    world.wake();
    world.step({ type: 'dialed', address: at(1), nodeId: SELF });
    expect(world.book.why('z')?.lastError?.message).toContain('this node itself');
  });

  it('bounds peers and addresses and refuses what is no address', () => {
    const world = new World({ maxPeers: 3, maxAddresses: 2 });
    world.step(member('z', 1, 2, 3, 4));
    expect(world.book.why('z')?.addresses).toEqual([at(1), at(2)]);
    world.step({ type: 'learned', nodeId: 'z', addresses: [at(5), at(6), at(7), '/junk', ''] });
    expect(world.book.why('z')?.addresses).toEqual([at(1), at(2), at(5), at(6)]);
    world.step({ type: 'add', address: at(11) });
    world.step({ type: 'add', address: at(12) });
    world.step({ type: 'add', address: at(13) });
    world.step({ type: 'add', address: 'no address' });
    world.step({ type: 'up', nodeId: 'x' });
    const codes = world.others.map((o) => (o.type === 'refused' ? o.error.code : o.type));
    expect(codes).toEqual(['BUSY', 'BAD_REQUEST']);
    expect(world.book.list()).toHaveLength(3);
  });

  it('neither dials nor keeps a banned peer, until it is unbanned', () => {
    const world = new World();
    // Whatever comes first: the owner tells bans and members in any order.
    world.step({ type: 'ban', nodeId: 'z' });
    world.step(member('z', 1));
    world.step({ type: 'add', address: at(1), nodeId: 'z' });
    world.step({ type: 'retry', nodeId: 'z' });
    expect([world.dials, world.alarm]).toEqual([[], undefined]);
    expect(world.book.why('z')).toMatchObject({ state: 'unknown', banned: true });
    // It came by itself, or was on its way.
    expect(world.step({ type: 'up', nodeId: 'z' })).toEqual([{ type: 'hang-up', nodeId: 'z' }]);
    world.step({ type: 'down', nodeId: 'z' });
    expect([world.dials, world.alarm]).toEqual([[], undefined]);
    world.step({ type: 'unban', nodeId: 'z' });
    expect(world.dials).toMatchObject([{ nodeId: 'z', address: at(1) }]);
    expect(world.book.why('z')).toMatchObject({ state: 'dialing', banned: false });
    world.step({ type: 'ban', nodeId: 'z' });
    const dialed = world.step({ type: 'dialed', address: at(1), nodeId: 'z' });
    expect(dialed).toEqual([{ type: 'hang-up', nodeId: 'z' }]);
    // To unban one that is not banned calls for no dial.
    world.step(member('y', 2));
    world.fail(at(2));
    world.step({ type: 'unban', nodeId: 'y' });
    expect(world.dials.filter(({ nodeId }) => nodeId === 'y')).toHaveLength(1);
    world.step({ type: 'ban', nodeId: SELF });
    expect(world.book.list().map(({ nodeId }) => nodeId)).toEqual(['z', 'y']);
  });

  it('hangs up a connected peer that is banned, and dials it when it is unbanned', () => {
    const world = new World();
    world.step(member('z', 1));
    world.step({ type: 'up', nodeId: 'z' });
    world.step({ type: 'dialed', address: at(1), nodeId: 'z' });
    const banned = world.step({ type: 'ban', nodeId: 'z' });
    expect(banned).toEqual([{ type: 'hang-up', nodeId: 'z' }]);
    world.step({ type: 'down', nodeId: 'z' });
    expect(world.alarm).toBeUndefined();
    world.step({ type: 'unban', nodeId: 'z' });
    expect(world.dials).toHaveLength(2);
  });

  it('survives unreadable entries and forgets a dial of which nothing is heard', () => {
    const world = new World({ leaseMs: 5000 }, new Map([['z', Uint8Array.of(1, 2, 3)]]));
    world.step(member('z', 1));
    expect(world.dials).toHaveLength(1);
    world.wake();
    expect(world.book.why('z')).toMatchObject({ attempts: 1, lastError: { code: 'TIMEOUT' } });
    world.wake();
    expect(world.dials).toHaveLength(2);
  });
});

const OF_PEERS = ['down', 'up', 'remove', 'add', 'retry', 'ban', 'unban'] as const;
type Event =
  | { readonly kind: 'wake' | 'answer' | 'fail' | 'lose' | 'restart' }
  | { readonly kind: (typeof OF_PEERS)[number]; readonly peer: number };

const PEERS = 6;
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constantFrom('wake', 'answer', 'fail', 'lose', 'restart') }),
  fc.record({
    kind: fc.constantFrom(...OF_PEERS),
    peer: fc.nat({ max: PEERS - 1 }),
  }),
) as fc.Arbitrary<Event>;

const name = (peer: number): string => `p${peer}`;

/** A world with peers, whose dials are answered as the script says. */
class Script {
  world = new World({ maxPendingDials: 2 });
  pending: { nodeId: string | undefined; address: string }[] = [];
  readonly removed = new Set<string>();
  readonly banned = new Set<string>();

  constructor() {
    this.#begin();
  }

  play(step: Event): void {
    const { world } = this;
    const first = this.pending[0];
    if (step.kind === 'wake') world.wake();
    else if (step.kind === 'restart') {
      this.world = new World({ maxPendingDials: 2 }, world.table);
      this.world.now = world.now;
      this.#begin();
    } else if (step.kind === 'lose') this.pending.shift();
    else if (step.kind === 'answer' && first !== undefined) {
      const nodeId = name(Number(first.address.split('/').at(-1)));
      this.pending.shift();
      world.step({ type: 'up', nodeId });
      world.step({ type: 'dialed', address: first.address, nodeId });
    } else if (step.kind === 'fail' && first !== undefined) {
      this.pending.shift();
      world.fail(first.address);
    } else if ('peer' in step) this.#peer(step);
    this.collect();
  }

  /** Takes the new dials over and checks what must hold of them. */
  collect(): void {
    for (const dial of this.world.dials.splice(0)) {
      expect(this.removed.has(dial.nodeId ?? '')).toBe(false);
      expect(this.banned.has(dial.nodeId ?? '')).toBe(false);
      // One that was given up as lost is dialled anew.
      this.pending = this.pending.filter((one) => one.address !== dial.address);
      this.pending.push(dial);
    }
    expect(this.world.book.pendingDials).toBeLessThanOrEqual(2);
  }

  #begin(): void {
    this.pending = [];
    for (const nodeId of this.banned) this.world.step({ type: 'ban', nodeId });
    for (let i = 0; i < PEERS; i += 1) {
      this.world.step({ type: 'member', nodeId: name(i), addresses: [at(i)] });
    }
    this.world.step({ type: 'start' });
    this.collect();
  }

  #peer({ kind, peer }: Extract<Event, { peer: number }>): void {
    const nodeId = name(peer);
    if (kind === 'remove') this.removed.add(nodeId);
    if (kind === 'add') this.removed.delete(nodeId);
    if (kind === 'ban') this.banned.add(nodeId);
    if (kind === 'unban') this.banned.delete(nodeId);
    if (kind === 'add') this.world.step({ type: 'add', address: at(peer), nodeId });
    else this.world.step({ type: kind, nodeId });
  }
}

describe('PeerBook under any script', () => {
  it('never dials too many, nor anybody removed or banned, and forgets nobody who is down', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (steps) => {
        const script = new Script();
        for (const step of steps) script.play(step);
        // From here on everything fails: whoever is down and wanted must be dialled again.
        const wanted = new Set<string>();
        for (let i = 0; i < PEERS; i += 1) {
          const connected = script.world.book.why(name(i))?.state === 'connected';
          const unwanted = script.removed.has(name(i)) || script.banned.has(name(i));
          if (!connected && !unwanted) wanted.add(name(i));
        }
        for (let round = 0; round < 200 && wanted.size > 0; round += 1) {
          for (const dial of script.pending.splice(0)) {
            wanted.delete(dial.nodeId!);
            script.world.fail(dial.address);
          }
          script.collect();
          if (script.pending.length === 0) script.play({ kind: 'wake' });
        }
        expect([...wanted]).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('is deterministic: the same script asks for the same things', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (steps) => {
        const runs = [new Script(), new Script()];
        const traces = runs.map((script) => {
          for (const step of steps) script.play(step);
          return JSON.stringify([script.pending, script.world.book.list(), script.world.alarm]);
        });
        expect(traces[0]).toBe(traces[1]);
      }),
      { numRuns: 50 },
    );
  });
});
