import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { encodeHello } from '../../../src/core/network/hello.ts';
import { Cluster, collect, until } from './cluster.ts';
import { createStranger } from './stranger.ts';

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

  it('says of itself where it listens and what it is, and of others nothing (O2)', async () => {
    await using cluster = new Cluster(2);
    const a = await cluster.start(0);
    const member = cluster.members[1]!;
    await using peer = await createStranger(member.networkSeed, {
      async run(channel) {
        channel.write(encodeHello(cluster.context(member), 'peer/1', 32_768));
        await channel.read(AbortSignal.timeout(5000));
      },
    });
    const connection = await peer.dial(a.addresses()[0]!);
    const signal = AbortSignal.timeout(5000);
    const stream = await connection.newStream('/ipfs/id/1.0.0', { signal });
    const said: Uint8Array[] = [];
    stream.addEventListener('message', ({ data }) => void said.push(data.subarray()));
    await until(() => stream.readableEnded || stream.status !== 'open');
    const bytes = Buffer.concat(said);
    expect(bytes.includes('aegis/0.1.0')).toBe(true);
    expect(bytes.includes('libp2p') || bytes.includes('node/')).toBe(false);
    // Tag 4 of the message: the address at which the other one was seen.
    expect(fieldsOf(bytes)).toEqual(expect.arrayContaining([1, 2, 3, 6]) as unknown);
    expect(fieldsOf(bytes)).not.toContain(4);
  });
});

/** Tags of the length-prefixed protobuf messages, all of whose fields are byte strings. */
function fieldsOf(bytes: Uint8Array): number[] {
  const tags: number[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at]!;
      at += 1;
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    for (const end = varint() + at; at < end; ) {
      tags.push(varint() >> 3);
      const length = varint();
      at += length;
    }
  }
  return tags;
}
