/** O11: connections for bulk streams beside the one that talks, over a fake Tor. */
import type { Stream } from '@libp2p/interface';
import { describe, expect, it } from 'vitest';
import { onionKeyOf, onionMultiaddr } from '../../../src/core/crypto/onion.ts';
import type { FrameChannel } from '../../../src/core/network/frame-channel.ts';
import { encodeHello } from '../../../src/core/network/hello.ts';
import type { Host } from '../../../src/core/network/host.ts';
import { Lanes } from '../../../src/core/network/lanes.ts';
import { type HostLimits, limitsOf } from '../../../src/core/network/limits.ts';
import type { Link } from '../../../src/core/network/links.ts';
import { instant } from '../../../src/core/units.ts';
import { collect, memoryLog, until } from './cluster.ts';
import { nodeIdOf, type Scene, scene } from './onion-scene.ts';
import { createStranger } from './stranger.ts';

const REQUEST = Uint8Array.of(1);

interface Pair extends AsyncDisposable {
  readonly all: Scene;
  readonly a: Host;
  readonly b: Host;
  readonly ids: readonly [string, string];
  /** Lets the streams that `b` serves end. */
  finish(): void;
  /** Begins to read a stream from `b`. */
  read(): Promise<Reading>;
}

interface Reading {
  readonly all: Promise<number[]>;
}

/** `a` has dialled `b`, which sends a byte at once and another when it is told to finish. */
async function pair(limits: Partial<HostLimits> = {}, ofB = limits): Promise<Pair> {
  const all = scene(3);
  const a = await all.hidden(0, { laneAfterMs: 1, ...limits });
  const b = await all.hidden(1, { laneAfterMs: 1, ...ofB });
  const ids = [nodeIdOf(all, 0), nodeIdOf(all, 1)] as const;
  await a.dial(all.onions.addressOf(1));
  const finishing = Promise.withResolvers<void>();
  b.handleBulk(async (_from, _request, out) => {
    await out.write(Uint8Array.of(1));
    await finishing.promise;
    await out.write(Uint8Array.of(2));
  });
  return {
    ...{ all, a, b, ids },
    finish: () => finishing.resolve(),
    async read() {
      const bytes = collect(await a.openBulk(ids[1], REQUEST));
      const reading = bytes.then((got) => [...got]);
      reading.catch(() => undefined);
      return { all: reading };
    },
    [Symbol.asyncDispose]: () => all[Symbol.asyncDispose](),
  };
}

const lanesOf = ({ a, ids }: Pair): number => a.peer(ids[1])!.lanes;

/** Opens streams until the peer has so many lanes: one for each. */
async function widen(one: Pair, lanes: number): Promise<Reading[]> {
  const streams: Reading[] = [];
  for (let i = 1; i <= lanes; i += 1) {
    streams.push(await one.read());
    await until(() => lanesOf(one) === i);
  }
  return streams;
}

describe('a lane', () => {
  /** As much of a peer as lanes look at, with so many bulk streams. */
  function talking(streams: number) {
    const wakes: (() => void)[] = [];
    const dialled: string[] = [];
    const open = Array.from({ length: streams }, () => ({ protocol: '/aegis/car/1' }));
    const link = { connection: { status: 'open', streams: open } } as unknown as Link;
    const lanes = new Lanes(
      { limits: limitsOf('network') },
      {
        clock: {
          now: () => instant(0),
          wakeAt(_at, wake) {
            wakes.push(wake);
            return () => void wakes.pop();
          },
        },
        log: memoryLog(),
        onionTalk: () => link,
        addressesOf: () => [onionMultiaddr(onionKeyOf(new Uint8Array(32)).publicKey)],
        dial: async (address) => {
          dialled.push(address.toString());
          throw new Error('nobody is there');
        },
        openStream: () => Promise.reject(new Error('there is no lane')),
        openTalk: async () => ({}) as Stream,
      },
    );
    return { lanes, wakes, dialled, open };
  }

  it('is not dialled for what is over before', async () => {
    const { lanes, wakes, dialled, open } = talking(1);
    await lanes.open('peer');
    await lanes.open('peer');
    expect([wakes.length, dialled.length]).toEqual([1, 0]);
    open.pop();
    wakes.pop()!();
    expect(dialled).toEqual([]);
    // The next one that lasts is looked at again.
    await lanes.open('peer');
    open.push({ protocol: '/aegis/car/1' });
    wakes.pop()!();
    expect(dialled).toHaveLength(1);
  });

  it('is not waited for when the peer has gone', async () => {
    const { lanes, wakes } = talking(1);
    await lanes.open('peer');
    lanes.abort(new Error('it went down'), 'other');
    expect(wakes).toHaveLength(1);
    lanes.abort(new Error('it went down'), 'peer');
    expect(wakes).toHaveLength(0);
  });
});

describe('lanes', () => {
  it('are as many as streams, each by a circuit of its own, and carry them', async () => {
    await using one = await pair();
    const { all, a, b, ids } = one;
    const streams = await widen(one, 3);
    const service = all.onions.addressOf(1);
    expect(all.onions.dialled).toEqual([
      service,
      ...[1, 2, 3].map((number) => `${service}/memory/bulk-${number}`),
    ]);
    // Later ones share them: there are no more.
    for (let i = 0; i < 4; i += 1) streams.push(await one.read());
    expect(all.onions.dialled).toHaveLength(4);
    one.finish();
    for (const stream of streams) expect(await stream.all).toEqual([1, 2]);
    // They are no twins and no second daemon, and count apart.
    await until(() => b.peer(ids[0])?.lanes === 3);
    expect(a.peer(ids[1])).toMatchObject({ connections: 1, lanes: 3, runsTwice: false });
    expect(b.peer(ids[0])).toMatchObject({ connections: 1, lanes: 3, runsTwice: false });
    expect(a.stats()).toMatchObject({ peers: 1, connections: 1, lanes: 3 });
  });

  it('end when nothing uses them, by the side that has dialled', async () => {
    await using one = await pair({ laneIdleMs: 100 });
    const streams = await widen(one, 2);
    one.finish();
    await Promise.all(streams.map((stream) => stream.all));
    await until(() => lanesOf(one) === 0 && one.b.peer(one.ids[0])!.lanes === 0);
    expect(one.a.peer(one.ids[1])).toMatchObject({ connections: 1 });
  });

  it('go down with the connection that talks', async () => {
    await using one = await pair();
    const streams = await widen(one, 2);
    const ended = Promise.allSettled(streams.map((stream) => stream.all));
    await one.a.hangUp(one.ids[1]);
    await until(() => one.b.peers().length === 0);
    expect((await ended).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await until(() => one.a.stats().lanes === 0 && one.b.stats().lanes === 0);
    await until(() => one.all.onions.sockets.size === 0);
  });

  it('are cut with their identity', async () => {
    await using one = await pair();
    await widen(one, 1);
    expect(one.a.review(({ nodeId }) => nodeId !== one.ids[1])).toBe(2);
    await until(() => one.a.stats().lanes === 0 && one.b.stats().lanes === 0);
  });

  it('leave with a key that is replaced, and others come with the new one', async () => {
    await using one = await pair({ drainTimeoutMs: 500 });
    const { all, a, b, ids } = one;
    await widen(one, 1);
    await a.rotate(all.cluster.members[0]!.rotate(), { graceMs: 0 });
    await until(() => b.peer(ids[0])?.peerId === a.peerId && a.stats().retiredKeys === 0);
    await until(() => lanesOf(one) === 0);
    await widen(one, 1);
    expect(all.onions.dialled.at(-1)).toContain('bulk-1');
  });

  it('are none where the operator wants none, and a failed one is no failure', async () => {
    await using one = await pair({ lanesPerPeer: 0 });
    const streams = [await one.read(), await one.read()];
    one.finish();
    for (const stream of streams) expect(await stream.all).toEqual([1, 2]);
    expect(one.all.onions.dialled).toHaveLength(1);
    await using other = await pair();
    other.all.onions.isDown = true;
    const stream = await other.read();
    await until(() => other.all.cluster.lines.some(({ message }) => /lane was not/.test(message)));
    // It rests before the next try.
    await other.read();
    expect(other.all.onions.dialled).toHaveLength(2);
    other.finish();
    expect(await stream.all).toEqual([1, 2]);
  });

  it('of a member that wants too many are refused, and carry no requests', async () => {
    await using one = await pair({ lanesPerPeer: 2 }, { lanesPerPeer: 1 });
    const { all, a, b, ids } = one;
    await widen(one, 1);
    await one.read();
    await until(() => all.cluster.lines.some(({ message }) => /lane was not/.test(message)));
    const knobs = all.cluster.lines.map(({ fields }) => fields['knob']);
    expect(knobs).toContain('limits.lanesPerPeer');
    expect([a.stats().lanes, b.stats().lanes]).toEqual([1, 1]);
    expect(b.peer(ids[0])).toMatchObject({ connections: 1 });
  });

  it('carry no requests, and none comes without a connection that talks', async () => {
    await using one = await pair();
    const { all, b } = one;
    b.handle('echo', async (_from, body) => body);
    const member = all.cluster.members[2]!;
    const greeting = Buffer.concat([Uint8Array.of(0, 0, 0, 32), Buffer.alloc(32)]);
    const make = all.onions.transport({ greeting });
    const say = (purpose: 'talk' | 'lane') => ({
      async run(channel: FrameChannel) {
        const context = all.cluster.context(member);
        channel.write(encodeHello(context, 'rogue/1', 32_768, undefined, purpose));
        await channel.read(AbortSignal.timeout(5000));
      },
    });
    const rogue = (purpose: 'talk' | 'lane') =>
      createStranger(member.networkSeed, say(purpose), '/aegis/hello/2', () =>
        make({ door: { admits: () => true } }),
      );
    await using lane = await rogue('lane');
    await using talk = await rogue('talk');
    const service = all.onions.addressOf(1);
    // It is told that there is no place, whatever it makes of that.
    const refused = await lane.dial(service).catch(() => undefined);
    await until(() => (refused?.status ?? 'closed') !== 'open');
    expect(all.cluster.lines.map(({ fields }) => fields['knob'])).toContain('limits.lanesPerPeer');
    expect(b.stats()).toMatchObject({ peers: 1, lanes: 0 });
    await talk.dial(service);
    await until(() => b.stats().peers === 2);
    const connection = await lane.dial(service);
    await until(() => b.stats().lanes === 1);
    const signal = AbortSignal.timeout(5000);
    const stream = await connection.newStream('/aegis/rpc/1', { signal });
    await until(() => stream.status !== 'open');
    expect(connection.status).toBe('open');
  });
});
