/** O6: a change of route on a running host leaves nothing of before. */
import { connect } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { Host } from '../../../src/core/network/host.ts';
import type { Route } from '../../../src/core/network/host-types.ts';
import { type MakeTransport, tcpTransport } from '../../../src/core/network/transports.ts';
import { until } from './cluster.ts';
import { nodeIdOf, type Scene, scene, tcpOf } from './onion-scene.ts';

const requireOf = ({ onions }: Scene, index: number): Route => ({
  transports: [onions.transport()],
  listen: [onions.addressOf(index)],
  profile: 'network',
});
const OFF: Route = {
  transports: [tcpTransport],
  listen: ['/ip4/127.0.0.1/tcp/0'],
  profile: 'loopback',
};

const portOf = (host: Host): number => Number(tcpOf(host).split('/')[4]);

/** TCP sockets and listeners of this process, of whomever. */
const tcpHandles = (): number =>
  process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCP')).length;

const isListening = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

/** As `tcpTransport`, and tells what was made of it. */
function watched(made: WeakRef<object>[]): MakeTransport {
  return (parts) => {
    const transport = tcpTransport(parts);
    made.push(new WeakRef(transport));
    return transport;
  };
}

describe('reroute', () => {
  it('to require ends all connections and listeners, then begins by the service', async () => {
    await using all = scene(3);
    const [a, b] = [await all.both(0), await all.both(1)];
    const before = tcpHandles();
    const c = await all.cluster.start(2);
    await c.dial(tcpOf(a));
    await c.dial(tcpOf(b));
    // One that has said nothing yet, and one that a dial of ours waits for.
    const silent = connect(portOf(c), '127.0.0.1').on('error', () => undefined);
    await until(() => c.stats().pendingInbound === 1);
    const events: string[] = [];
    c.onPeer(({ type }) => void events.push(type));
    const port = portOf(c);
    await c.reroute(requireOf(all, 2));
    expect(events).toEqual(['down', 'down']);
    expect(c.transports()).toEqual(['fake-tor']);
    expect(c.stats()).toMatchObject({ peers: 0, connections: 0, lanes: 0, retiredKeys: 0 });
    expect(c.addresses()).toEqual([`${all.onions.addressOf(2)}/p2p/${c.peerId}`]);
    expect(await isListening(port)).toBe(false);
    await until(() => silent.destroyed);
    await until(() => tcpHandles() === before);
    await expect(c.dial(tcpOf(a))).rejects.toMatchObject({ code: 'ROUTE_FORBIDS' });
    // And it is found there, as the same node.
    expect((await a.dial(all.onions.addressOf(2))).nodeId).toBe(nodeIdOf(all, 2));
    expect((await c.dial(all.onions.addressOf(1))).nodeId).toBe(nodeIdOf(all, 1));
    expect(c.peers().map((peer) => peer.class)).toEqual(['onion', 'onion']);
  });

  it('leaves no transport object behind', async () => {
    await using all = scene(2);
    const made: WeakRef<object>[] = [];
    const [a, b] = [await all.both(0), await all.both(1)];
    await b.reroute({ ...OFF, transports: [watched(made)] });
    await b.dial(tcpOf(a));
    expect(made).toHaveLength(1);
    await b.reroute(requireOf(all, 1));
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    await until(() => {
      collectGarbage();
      return made[0]!.deref() === undefined;
    });
  });

  it('and back, with a rotation and dials meanwhile', async () => {
    await using all = scene(2);
    const [a, b] = [await all.both(0), await all.cluster.start(1)];
    await b.dial(tcpOf(a));
    const seed = all.cluster.members[1]!.rotate();
    const dials: Promise<unknown>[] = [];
    const [first, rotated, second] = [b.reroute(requireOf(all, 1)), b.rotate(seed), b.reroute(OFF)];
    for (let i = 0; i < 3; i += 1) {
      dials.push(b.dial(tcpOf(a)).catch((error: { code: string }) => error.code));
      await new Promise(setImmediate);
    }
    await Promise.all([first, rotated, second]);
    for (const outcome of await Promise.all(dials)) {
      if (typeof outcome !== 'string') continue;
      expect(['NOT_REACHABLE', 'DIAL_FAILED', 'ROUTE_FORBIDS']).toContain(outcome);
    }
    expect(b.transports()).toEqual(['@libp2p/tcp']);
    expect((await b.dial(tcpOf(a))).nodeId).toBe(nodeIdOf(all, 0));
    await until(() => a.peer(nodeIdOf(all, 1))?.peerId === b.peerId);
    expect(b.stats().retiredKeys).toBe(0);
  });

  it('that cannot begin leaves the host closed, until another one can', async () => {
    await using all = scene(2);
    const [a, b] = [await all.both(0), await all.cluster.start(1)];
    await b.dial(tcpOf(a));
    const broken: MakeTransport = (parts) => {
      const transport = all.onions.transport()(parts);
      const fail = () => Promise.reject(new Error('there is no Tor'));
      const create = transport.createListener.bind(transport);
      transport.createListener = (options) => Object.assign(create(options), { listen: fail });
      return transport;
    };
    const route = requireOf(all, 1);
    await expect(b.reroute({ ...route, transports: [broken] })).rejects.toMatchObject({
      code: 'BAD_CONFIG',
    });
    expect(b.stats()).toMatchObject({ peers: 0, connections: 0 });
    expect(b.addresses()).toEqual([]);
    await expect(b.dial(tcpOf(a))).rejects.toMatchObject({ code: 'ROUTE_FORBIDS' });
    await expect(b.dial(all.onions.addressOf(0))).rejects.toMatchObject({ code: 'DIAL_FAILED' });
    // A key that is replaced meanwhile is that of the next route.
    await b.rotate(all.cluster.members[1]!.rotate());
    await b.reroute(route);
    await b.dial(all.onions.addressOf(0));
    await until(() => a.peer(nodeIdOf(all, 1))?.peerId === b.peerId);
    expect(a.peer(nodeIdOf(all, 1))?.class).toBe('onion');
  });

  it('refuses a bad address before it ends anything, and a host that is stopping', async () => {
    await using all = scene(2);
    const [a, b] = [await all.both(0), await all.cluster.start(1)];
    await b.dial(tcpOf(a));
    await expect(b.reroute({ ...OFF, listen: ['/ip4/127.0.0.1'] })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
    });
    expect(b.peers()).toHaveLength(1);
    const stopping = expect(b.reroute(requireOf(all, 1))).rejects.toMatchObject({
      code: 'STOPPING',
    });
    await Promise.all([b.stop(), stopping]);
    await expect(b.reroute(OFF)).rejects.toMatchObject({ code: 'STOPPING' });
    expect([...all.onions.servers]).toHaveLength(1);
    expect(b.peers()).toEqual([]);
  });
});
