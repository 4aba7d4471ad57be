import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Cluster, collect, until } from './cluster.ts';

const utf8 = new TextEncoder();

describe('Host', () => {
  it('dials, says hello, answers requests and carries envelopes and bulk streams', async () => {
    await using cluster = new Cluster(2);
    const [a, b] = await cluster.pair();
    const [idA, idB] = cluster.members.map((member) => member.nodeId) as [string, string];
    await until(() => b.peers().length === 1);
    expect(a.peers().map((peer) => peer.nodeId)).toEqual([idB]);
    expect(b.peers()[0]).toMatchObject({ nodeId: idA, direction: 'inbound', name: 'n0' });
    expect(b.peers()[0]!.agent).toBe('aegis/0.1.0');

    b.handle('echo', async (from, body) => Buffer.concat([utf8.encode(from), body]));
    const reply = await a.request(idB, 'echo', utf8.encode('!'));
    expect(Buffer.from(reply).toString()).toBe(`${idA}!`);

    const envelopes: string[] = [];
    a.onEnvelope((e) =>
      envelopes.push(`${e.from} ${e.protocol} ${Buffer.from(e.body).toString()}`),
    );
    expect(b.send({ to: idA, protocol: 'kb', body: utf8.encode('hi') })).toBe(true);
    await until(() => envelopes.length === 1);
    expect(envelopes).toEqual([`${idB} kb hi`]);

    const blob = randomBytes(5_000_000);
    b.handleBulk(async (_from, request, out) => {
      await out.write(request);
      for (let at = 0; at < blob.length; at += 300_000) {
        await out.write(blob.subarray(at, at + 300_000));
      }
    });
    const bytes = await collect(await a.openBulk(idB, utf8.encode('car')));
    expect(Buffer.compare(bytes, Buffer.concat([utf8.encode('car'), blob]))).toBe(0);
    expect(await a.ping(idB)).toBeGreaterThan(0);
    expect(a.stats()).toMatchObject({ peers: 1, bulkStreams: 0 });
  });
});
