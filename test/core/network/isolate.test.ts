import { describe, expect, it } from 'vitest';
import type { Host } from '../../../src/core/network/host.ts';
import { Cluster, until } from './cluster.ts';

const addressOf = (host: Host): string => host.addresses()[0]!;
const isolated = { code: 'HELLO_REFUSED', details: { refusal: 'ISOLATED' } };

describe('isolate', () => {
  it('ends the connections with exactly these nodes', async () => {
    await using cluster = new Cluster(3);
    const [a, b, c] = [await cluster.start(0), await cluster.start(1), await cluster.start(2)];
    const [, idB, idC] = cluster.members.map((member) => member.nodeId);
    await a.dial(addressOf(b), { timeoutMs: 5000 });
    await c.dial(addressOf(a), { timeoutMs: 5000 });
    await until(() => a.peers().length === 2);
    const downs: string[] = [];
    a.onPeer(({ type, nodeId }) => void (type === 'down' && downs.push(nodeId)));
    expect(await a.isolate(new Set([idB!, 'aegis1nobody']))).toBe(1);
    await until(() => b.peers().length === 0);
    expect(a.peers().map((peer) => peer.nodeId)).toEqual([idC]);
    expect(downs).toEqual([idB]);
    expect(a.send({ to: idB!, protocol: 'p', body: new Uint8Array(1) })).toBe(false);
    await expect(a.request(idB!, 'echo', new Uint8Array())).rejects.toMatchObject({
      code: 'NOT_REACHABLE',
    });
  });

  it('lets nobody of them in, and says why', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = [await cluster.start(0), await cluster.start(1)];
    await a.isolate(new Set([cluster.members[1]!.nodeId]));
    await expect(b.dial(addressOf(a), { timeoutMs: 5000 })).rejects.toMatchObject(isolated);
    expect(a.peers()).toEqual([]);
    expect(b.peers()).toEqual([]);
  });

  it('dials none that it has met, and one that it meets only then does not stay', async () => {
    await using cluster = new Cluster(3);
    const [a, b] = await cluster.pair();
    const c = await cluster.start(2);
    await a.isolate(new Set(cluster.members.map((member) => member.nodeId)));
    await until(() => b.peers().length === 0);
    const ups: string[] = [];
    b.onPeer(({ nodeId }) => ups.push(nodeId));
    await expect(a.dial(addressOf(c), { timeoutMs: 5000 })).rejects.toMatchObject(isolated);
    await until(() => c.stats().connections === 0 && c.stats().pendingInbound === 0);
    await expect(a.dial(addressOf(b), { timeoutMs: 5000 })).rejects.toMatchObject(isolated);
    expect(a.peers()).toEqual([]);
    expect(ups).toEqual([]);
  });

  it('does not keep a connection that passed hello while the isolation began', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = [await cluster.start(0), await cluster.start(1)];
    const { nodeId } = cluster.members[1]!;
    // The other side opens the connection about when this one does, sometimes before it.
    const begun = new Promise<number>((resolve) => {
      b.onPeer(({ type }) => void (type === 'up' && resolve(a.isolate(new Set([nodeId])))));
    });
    await Promise.allSettled([a.dial(addressOf(b), { timeoutMs: 5000 }), begun]);
    await until(() => a.stats().connections === 0 && b.stats().connections === 0);
    await expect(a.dial(addressOf(b), { timeoutMs: 5000 })).rejects.toMatchObject(isolated);
  });

  it('ends with the next set', async () => {
    await using cluster = new Cluster(3);
    const [a, b, c] = [await cluster.start(0), await cluster.start(1), await cluster.start(2)];
    const [, idB, idC] = cluster.members.map((member) => member.nodeId);
    const set = new Set([idB!]);
    await a.isolate(set);
    // The caller's set is its own: what it does to it later changes nothing here.
    set.clear();
    await expect(b.dial(addressOf(a), { timeoutMs: 5000 })).rejects.toMatchObject(isolated);
    await a.isolate(new Set([idC!]));
    expect((await b.dial(addressOf(a), { timeoutMs: 5000 })).address).toBe(addressOf(a));
    await expect(c.dial(addressOf(a), { timeoutMs: 5000 })).rejects.toMatchObject(isolated);
    await a.isolate(new Set());
    await c.dial(addressOf(a), { timeoutMs: 5000 });
    await until(() => a.peers().length === 2);
  });
});
