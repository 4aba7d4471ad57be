import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Cluster, until } from './cluster.ts';
import { Member } from './member.ts';

const address = (host: { addresses(): string[] }): string => host.addresses()[0]!;
const bare = (host: { addresses(): string[] }): string =>
  address(host).replace(/\/p2p\/[^/]+$/, '');

describe('dialling', () => {
  it('explains what went wrong', async () => {
    await using cluster = new Cluster(3);
    const a = await cluster.start(0);
    const dial = (text: string, timeoutMs = 3000): Promise<unknown> => a.dial(text, { timeoutMs });
    for (const wrong of ['nonsense', '/ip4/127.0.0.1/udp/1/quic-v1', '/ip4/127.0.0.1/tcp/1/ws']) {
      await expect(dial(wrong)).rejects.toMatchObject({
        code: 'BAD_REQUEST',
        hint: expect.stringContaining('/tcp/') as string,
      });
    }
    await expect(dial(address(a))).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    await expect(dial('/ip4/127.0.0.1/tcp/1')).rejects.toMatchObject({ code: 'DIAL_FAILED' });
    const b = await cluster.start(1);
    const other = `${bare(b)}/p2p/${(await cluster.start(2)).peerId}`;
    await expect(dial(other)).rejects.toMatchObject({ code: 'DIAL_FAILED' });
    const mute = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => mute.once('listening', resolve));
    const { port } = mute.address() as { port: number };
    await expect(dial(`/ip4/127.0.0.1/tcp/${port}`, 200)).rejects.toMatchObject({
      code: 'TIMEOUT',
    });
    mute.close();
    expect(a.stats().pendingDials).toBe(0);
  });

  it('is one dial for many callers, and none when connected', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = [await cluster.start(0), await cluster.start(1)];
    const { nodeId } = cluster.members[1]!;
    const dials = Array.from({ length: 8 }, () => a.dial(bare(b), { timeoutMs: 3000 }));
    for (const dialed of await Promise.all(dials)) expect(dialed.nodeId).toBe(nodeId);
    expect((await a.dial(address(b), { timeoutMs: 3000 })).nodeId).toBe(nodeId);
    expect((await a.dial(bare(b), { timeoutMs: 3000 })).nodeId).toBe(nodeId);
    expect(a.stats().connections).toBe(1);
  });

  it('is bounded', async () => {
    await using cluster = new Cluster(1);
    const a = await cluster.start(0, { limits: { maxPendingDials: 2 } });
    const targets = [1, 2, 3].map((port) =>
      a.dial(`/ip4/127.0.0.1/tcp/${port}`, { timeoutMs: 900 }),
    );
    const codes = (await Promise.allSettled(targets)).map((result) =>
      result.status === 'rejected' ? (result.reason as { code: string }).code : 'fulfilled',
    );
    expect(codes).toEqual(['DIAL_FAILED', 'DIAL_FAILED', 'BUSY']);
  });
});

describe('peers', () => {
  it('that dial each other at once come up once and end with one connection', async () => {
    for (let round = 0; round < 2; round += 1) {
      await using cluster = new Cluster(2);
      const [a, b] = [await cluster.start(0), await cluster.start(1)];
      const events: string[] = [];
      a.onPeer((event) => events.push(`a ${event.type}`));
      b.onPeer((event) => events.push(`b ${event.type}`));
      b.handle('echo', async (_from, body) => body);
      await Promise.all([
        a.dial(address(b), { timeoutMs: 5000 }),
        b.dial(address(a), { timeoutMs: 5000 }),
      ]);
      await until(() => a.stats().connections === 1 && b.stats().connections === 1);
      expect(events.toSorted()).toEqual(['a up', 'b up']);
      await a.request(cluster.members[1]!.nodeId, 'echo', new Uint8Array(1));
    }
  });

  it('are measured and counted, and go down when they leave', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair();
    const { nodeId } = cluster.members[1]!;
    const events: string[] = [];
    a.onPeer((event) => events.push(`${event.type} ${event.nodeId}`));
    await until(() => a.peer(nodeId)?.rttMs !== undefined);
    expect(a.peer(nodeId)).toMatchObject({ direction: 'outbound', connections: 1 });
    b.handle('echo', async (_from, body) => body);
    await a.request(nodeId, 'echo', new Uint8Array(10_000));
    expect(a.peer(nodeId)!.bytesOut).toBeGreaterThan(10_000);
    expect(a.peer(nodeId)!.bytesIn).toBeGreaterThan(10_000);
    await b.stop();
    await until(() => events.length === 1);
    expect(events).toEqual([`down ${nodeId}`]);
    await expect(a.ping(nodeId)).rejects.toMatchObject({ code: 'NOT_REACHABLE' });
  });

  it('say where they listen, and are found by others through Kademlia', async () => {
    await using cluster = new Cluster(3);
    const [a, b, c] = [await cluster.start(0), await cluster.start(1), await cluster.start(2)];
    const learned = new Map<string, readonly string[]>();
    b.onAddresses((one) => learned.set(one.nodeId, one.addresses));
    await a.dial(address(b), { timeoutMs: 5000 });
    await c.dial(address(b), { timeoutMs: 5000 });
    await until(() => learned.size === 2);
    expect(learned.get(cluster.members[0]!.nodeId)).toEqual([bare(a)]);
    let found: string[] = [];
    await expect
      .poll(async () => {
        found = await a.findPeer(c.peerId, { timeoutMs: 2000 }).catch(() => []);
        return found.length;
      })
      .toBeGreaterThan(0);
    expect(found.map((one) => one.replace(/\/p2p\/[^/]+$/, ''))).toContain(bare(c));
    await expect(a.findPeer('nonsense')).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    const nobody = (await cluster.startAs(new Member('x'))).peerId;
    await expect(a.findPeer(nobody, { timeoutMs: 1000 })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('that were hung up stay away until somebody dials', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair();
    const { nodeId } = cluster.members[1]!;
    // Kademlia must have had the time to tag the peer, or libp2p would not dial it again anyhow.
    await until(() => a.peer(nodeId)?.rttMs !== undefined);
    await expect.poll(async () => (await a.findPeer(b.peerId)).length).toBeGreaterThan(0);
    const events: string[] = [];
    a.onPeer((event) => events.push(event.type));
    await a.hangUp(nodeId);
    await until(() => a.peers().length === 0 && b.peers().length === 0);
    await expect(a.findPeer(b.peerId, { timeoutMs: 300 })).resolves.toBeDefined();
    expect(events).toEqual(['down']);
    await a.dial(address(b), { timeoutMs: 3000 });
    expect(events).toEqual(['down', 'up']);
  });

  it('that say nothing any more are cut', async () => {
    await using cluster = new Cluster(2);
    const limits = { heartbeatMs: 50, heartbeatTimeoutMs: 2000 };
    const b = await cluster.start(1, { limits });
    const a = await cluster.start(0);
    // A wire that carries bytes until it is cut in silence.
    const port = Number(address(b).split('/')[4]);
    const sockets: Socket[] = [];
    const wire = createServer((left) => {
      const right = connect(port, '127.0.0.1');
      sockets.push(left, right);
      left.on('data', (data) => right.write(data)).on('error', () => undefined);
      right.on('data', (data) => left.write(data)).on('error', () => undefined);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => wire.once('listening', resolve));
    const at = (wire.address() as { port: number }).port;
    await a.dial(`/ip4/127.0.0.1/tcp/${at}`, { timeoutMs: 5000 });
    await until(() => b.peers()[0]?.rttMs !== undefined);
    for (const socket of sockets) socket.removeAllListeners('data').pause();
    await until(() => b.peers().length === 0, 15_000);
    for (const socket of sockets) socket.destroy();
    wire.close();
    expect(cluster.lines.some((line) => line.message.includes('does not answer'))).toBe(true);
  });
});

describe('listening', () => {
  it('at a taken port says which', async () => {
    await using cluster = new Cluster(2);
    const a = await cluster.start(0);
    await expect(cluster.start(1, { listen: bare(a) })).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      message: expect.stringContaining(bare(a)) as string,
    });
    await expect(cluster.start(1, { listen: '/ip4/127.0.0.1/udp/0' })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
    });
    await expect(cluster.start(1, { listen: '/ip4/192.0.2.1/tcp/0' })).rejects.toMatchObject({
      code: 'BAD_CONFIG',
    });
  });

  it('ends with stop, which may be called twice', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair();
    await a.stop();
    await a.stop();
    expect(a.peers()).toEqual([]);
    expect(a.addresses()).toEqual([]);
    await until(() => b.peers().length === 0);
    await expect(a.request(cluster.members[1]!.nodeId, 'x', new Uint8Array(0))).rejects.toThrow();
  });
});
