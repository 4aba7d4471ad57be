/** Hosts behind onion services, and what tells them from direct ones: over a fake Tor. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it } from 'vitest';
import type { Host } from '../../../src/core/network/host.ts';
import { until } from './cluster.ts';
import type { FakeOnions } from './fake-onions.ts';
import { nodeIdOf, scene, tcpOf } from './onion-scene.ts';

describe('a host behind an onion service', () => {
  it('has no address inside, and tells nobody another than its service (O2, O20)', async () => {
    await using all = scene(3);
    const [a, b, c] = [await all.hidden(0), await all.hidden(1), await all.hidden(2)];
    const learned: string[][] = [];
    b.onAddresses(({ addresses }) => void learned.push([...addresses]));
    await a.dial(all.onions.addressOf(1));
    await a.dial(all.onions.addressOf(2));
    expect(a.transports()).toEqual(['fake-tor']);
    expect(a.addresses()).toEqual([`${all.onions.addressOf(0)}/p2p/${a.peerId}`]);
    expect(a.peer(nodeIdOf(all, 1))).toMatchObject({
      ...{ class: 'onion', direction: 'outbound', agent: 'aegis/0.1.0', lanes: 0 },
      address: `${all.onions.addressOf(1)}/p2p/${b.peerId}`,
    });
    await until(() => b.peer(nodeIdOf(all, 0)) !== undefined);
    const inside = b.peer(nodeIdOf(all, 0))!;
    expect(inside.class).toBe('onion');
    expect(inside.address).toMatch(/^\/memory\/onion-\d+\/p2p\//);
    await until(() => learned.length > 0);
    expect(learned).toEqual([[all.onions.addressOf(0)]]);
    // What Kademlia tells of others is where they listen, and not where they came in.
    await until(() => c.peers().length === 1);
    const found = await b.findPeer(c.peerId, { timeoutMs: 5000 });
    expect(found).toEqual([all.onions.addressOf(2)]);
  });

  it('dials nothing else: no IP address, no name, no dnsaddr (O1)', async () => {
    await using all = scene(2);
    const a = await all.hidden(0);
    const b = await all.cluster.start(1);
    const texts = [b.addresses()[0]!, '/dns4/localhost/tcp/4001', '/ip6/::1/tcp/4001'];
    for (const text of texts) {
      await expect(a.dial(text), text).rejects.toMatchObject({ code: 'ROUTE_FORBIDS' });
    }
    expect(texts.map((text) => a.classOf(text))).toEqual([undefined, undefined, undefined]);
    await expect(a.dial('/dnsaddr/example.org')).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    expect(all.onions.dialled).toEqual([]);
  });

  it('says why a service was not reached', async () => {
    await using all = scene(2);
    const a = await all.hidden(0);
    const address = all.onions.addressOf(1);
    await expect(a.dial(address)).rejects.toMatchObject({ code: 'ONION_NOT_FOUND' });
    all.onions.isDown = true;
    await expect(a.dial(address)).rejects.toMatchObject({ code: 'TOR_UNREACHABLE' });
  });

  it('keeps its service through a change of its network key (H5)', async () => {
    await using all = scene(2);
    const [a, b] = [await all.hidden(0), await all.hidden(1)];
    await b.dial(all.onions.addressOf(0));
    const [server] = all.onions.servers;
    await a.rotate(all.cluster.members[0]!.rotate());
    await until(() => b.peer(nodeIdOf(all, 0))?.peerId === a.peerId, 10_000);
    expect(all.onions.servers.has(server!)).toBe(true);
    expect(a.addresses()).toEqual([`${all.onions.addressOf(0)}/p2p/${a.peerId}`]);
  });
});

describe('a peer that is connected directly', () => {
  it('is dialled again by its service, and keeps that connection only (O4)', async () => {
    await using all = scene(2);
    const [a, b] = [await all.both(0), await all.both(1)];
    await a.dial(tcpOf(b));
    const events: string[] = [];
    for (const host of [a, b]) host.onPeer(({ type }) => void events.push(type));
    await a.redial(all.onions.addressOf(1));
    const settled = (): boolean => [a, b].every((host) => host.peers()[0]?.connections === 1);
    await until(() => settled() && a.peers()[0]?.class === 'onion');
    // The other way round, the direct one is the one that goes.
    await b.redial(tcpOf(a));
    await until(settled);
    expect([a, b].map((host) => host.peers()[0]?.class)).toEqual(['onion', 'onion']);
    expect(events).toEqual([]);
  });
});

describe('times (O24)', () => {
  it('of an onion connection are its own', async () => {
    await using all = scene(2);
    const limits = { helloTimeoutMs: 1, streamTimeoutMs: 1, rpcTimeoutMs: 1, dialTimeoutMs: 1 };
    const a = await all.both(0, limits);
    const b = await all.both(1, limits);
    b.handle('echo', async (_from, body) => body);
    await expect(a.dial(tcpOf(b))).rejects.toMatchObject({ code: 'TIMEOUT' });
    await a.dial(all.onions.addressOf(1));
    expect([...(await a.request(nodeIdOf(all, 1), 'echo', Uint8Array.of(7)))]).toEqual([7]);
  });

  it('end who says nothing through the service, with or without a ticket', async () => {
    await using all = scene(1);
    const a = await all.hidden(0, { onionHelloTimeoutMs: 100 });
    const [silent, half] = await Promise.all([
      all.onions.raw(all.onions.addressOf(0)),
      all.onions.raw(all.onions.addressOf(0)),
    ]);
    half.write(Buffer.concat([Uint8Array.of(0, 0, 0, 32), Buffer.alloc(32)]));
    await Promise.all([once(silent.resume(), 'close'), once(half.resume(), 'close')]);
    expect(a.stats()).toMatchObject({ pendingInbound: 0, connections: 0 });
    const told = all.cluster.lines.filter(({ fields }) => fields['peer'] === 'onion');
    expect(told.map(({ fields }) => fields['knob'])).toContain('limits.onionHelloTimeoutMs');
  });

  it('cut a silent peer by its class only', async () => {
    await using all = scene(3);
    const limits = { heartbeatMs: 50, heartbeatTimeoutMs: 500, onionHeartbeatMs: 50 };
    const [a, b, c] = [await all.both(0, limits), await all.both(1), await all.both(2)];
    using wire = await wireTo(Number(tcpOf(a).split('/')[4]));
    await b.dial(wire.address);
    await c.dial(all.onions.addressOf(0));
    await until(() => a.peers().length === 2);
    for (const socket of [...wire.sockets, ...all.onions.sockets]) socket.pause();
    await until(() => a.peers().length === 1);
    expect(a.peers()[0]).toMatchObject({ nodeId: nodeIdOf(all, 2), class: 'onion' });
    for (const socket of all.onions.sockets) socket.resume();
    expect(await c.ping(nodeIdOf(all, 0))).toBeGreaterThan(0);
  });
});

describe('places (O4)', () => {
  it('of the two sides are apart', async () => {
    await using all = scene(5);
    const limits = { maxConnections: 1, maxOnionConnections: 1 };
    const a = await all.both(0, limits);
    const others = [];
    for (let i = 1; i < 5; i += 1) others.push(await all.both(i));
    const [b, c, d, e] = others as [Host, Host, Host, Host];
    await b.dial(tcpOf(a));
    await c.dial(all.onions.addressOf(0));
    await until(() => a.peers().length === 2);
    expect(
      a
        .peers()
        .map((peer) => peer.class)
        .toSorted(),
    ).toEqual(['direct', 'onion']);
    await expect(d.dial(tcpOf(a))).rejects.toMatchObject({ code: 'HELLO_REFUSED' });
    await expect(e.dial(all.onions.addressOf(0))).rejects.toMatchObject({ code: 'HELLO_REFUSED' });
    const knobs = all.cluster.lines.map(({ fields }) => fields['knob']);
    expect(knobs).toContain('limits.connections');
    expect(knobs).toContain('limits.onionConnections');
  });

  it('of dials are apart', async () => {
    await using all = scene(2);
    const limits = { maxPendingOnionDials: 1, maxPendingDials: 1 };
    const a = await all.both(0, limits);
    const b = await all.both(1);
    // Nobody answers there: the dial waits for a hello.
    const [service, address] = [all.onions.addressOf(7), all.onions.addressOf(8)];
    using _mute = await muteService(all.onions, service);
    const waiting = expect(a.dial(service)).rejects.toMatchObject({ code: 'STOPPING' });
    await until(() => a.stats().pendingDials === 1);
    await expect(a.dial(address)).rejects.toMatchObject({
      details: { knob: 'limits.pendingOnionDials' },
    });
    expect((await a.dial(tcpOf(b))).nodeId).toBe(nodeIdOf(all, 1));
    await a.stop();
    await waiting;
  });
});

/** A service that takes connections and says nothing. */
async function muteService(onions: FakeOnions, address: string): Promise<Disposable> {
  const server = createServer((socket) => void onions.hold(socket));
  server.listen(onions.pathOf(multiaddr(address)));
  await once(server, 'listening');
  return { [Symbol.dispose]: () => void server.close() };
}

interface Wire extends Disposable {
  readonly address: string;
  readonly sockets: readonly Socket[];
}

/** A way to a port of the loopback that can be silenced. */
async function wireTo(port: number): Promise<Wire> {
  const sockets: Socket[] = [];
  const server = createServer((left) => {
    const right = connect(port, '127.0.0.1');
    sockets.push(left, right);
    left.on('data', (data) => right.write(data)).on('error', () => undefined);
    right.on('data', (data) => left.write(data)).on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`,
    sockets,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
