import { randomBytes } from 'node:crypto';
import type { Connection } from '@libp2p/interface';
import { describe, expect, it } from 'vitest';
import { encodeHello } from '../../../src/core/network/hello.ts';
import type { Host } from '../../../src/core/network/host.ts';
import { encodeFrame, encodeRequest, KIND } from '../../../src/core/network/rpc-frame.ts';
import { Cluster, until } from './cluster.ts';
import { createStranger, type Stranger } from './stranger.ts';

/** A member that passes hello and then speaks as it likes. */
async function rogue(
  cluster: Cluster,
  index: number,
  after: (send: (bytes: Uint8Array) => void) => void = () => undefined,
): Promise<Stranger> {
  const member = cluster.members[index]!;
  return createStranger(member.networkSeed, {
    async run(channel, secured) {
      channel.write(encodeHello(cluster.context(member), 'rogue/1', 32_768));
      await channel.read(AbortSignal.timeout(5000));
      after((bytes) => secured.connection.send(bytes));
    },
  });
}

async function open(connection: Connection, protocol: string, bytes: Uint8Array): Promise<void> {
  const stream = await connection.newStream([protocol], { signal: AbortSignal.timeout(5000) });
  const closed = new Promise<void>((resolve) => {
    stream.addEventListener('close', () => resolve());
  });
  stream.send(bytes);
  await closed;
}

/** The host still answers an honest peer. */
async function answers(cluster: Cluster, host: Host, honest: Host): Promise<void> {
  host.handle('echo', async (_from, body) => body);
  const reply = await honest.request(cluster.members[0]!.nodeId, 'echo', Uint8Array.of(7));
  expect([...reply]).toEqual([7]);
}

describe('a hostile member', () => {
  it('loses its stream for each broken frame, and nobody else notices', async () => {
    await using cluster = new Cluster(3);
    const limits = { rpcMaxBytes: 10_000, envelopeMaxBytes: 1000, bulkIdleTimeoutMs: 300 };
    const host = await cluster.start(0, { limits });
    const honest = await cluster.start(1);
    await honest.dial(host.addresses()[0]!, { timeoutMs: 5000 });
    await using stranger = await rogue(cluster, 2);
    const connection = await stranger.dial(host.addresses()[0]!);
    const broken: Record<string, Uint8Array> = {
      'an unknown kind': encodeFrame(99 as typeof KIND.ping, 1),
      'a reply nobody asked for': encodeFrame(KIND.reply, 1),
      'a ping with a body': encodeFrame(KIND.ping, 1, new Uint8Array(10)),
      'a frame over the limit': encodeFrame(KIND.request, 1, new Uint8Array(20_000)),
      'an envelope over the limit': encodeFrame(KIND.envelope, 0, new Uint8Array(5000)),
      'a request without a method': encodeFrame(KIND.request, 1, new Uint8Array(3)),
      'a length below the head': new Uint8Array(50),
      'an endless length': new Uint8Array(50).fill(0xff),
      noise: Buffer.concat([Uint8Array.of(0, 0, 0, 60), new Uint8Array(200).fill(0xee)]),
    };
    for (const [name, bytes] of Object.entries(broken)) {
      await expect(open(connection, '/aegis/rpc/1', bytes), name).resolves.toBeUndefined();
    }
    const twice = encodeRequest(5, { method: 'hold', timeoutMs: 5000, body: new Uint8Array(1) });
    host.handle('hold', () => new Promise(() => undefined));
    await open(connection, '/aegis/rpc/1', Buffer.concat([twice, twice]));
    await open(connection, '/aegis/car/1', Uint8Array.of(0xff, 0xff, 0xff, 0xff));
    expect(connection.status).toBe('open');
    await answers(cluster, host, honest);
  });

  it('that mutates frames at random breaks nothing', async () => {
    await using cluster = new Cluster(3);
    const host = await cluster.start(0);
    const honest = await cluster.start(1);
    host.handle('echo', async (_from, body) => body);
    await honest.dial(host.addresses()[0]!, { timeoutMs: 5000 });
    await using stranger = await rogue(cluster, 2);
    const connection = await stranger.dial(host.addresses()[0]!);
    const valid = encodeRequest(1, { method: 'echo', timeoutMs: 1000, body: randomBytes(40) });
    for (let i = 0; i < 40; i += 1) {
      const [at, byte, cut] = randomBytes(3);
      const bytes = Buffer.from(valid);
      bytes[at! % bytes.length] = byte!;
      const protocol = i % 4 === 0 ? '/aegis/car/1' : '/aegis/rpc/1';
      const stream = await connection.newStream([protocol]);
      stream.send(bytes.subarray(0, cut! % 3 === 0 ? cut! % bytes.length : bytes.length));
      stream.abort(new Error('enough'));
    }
    await answers(cluster, host, honest);
  });

  it('that announces an endless muxer frame is cut at the header', async () => {
    await using cluster = new Cluster(2);
    const host = await cluster.start(0);
    const header = Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 99, 0x7f, 0xff, 0xff, 0xff);
    await using stranger = await rogue(cluster, 1, (send) => send(header));
    await stranger.dial(host.addresses()[0]!).catch(() => undefined);
    await until(() => stranger.node.getConnections().length === 0);
    await until(() => host.peers().length === 0);
  });

  it('that does not read its answers is not read either, and is cut in the end', async () => {
    await using cluster = new Cluster(3);
    const limits = { rpcBufferBytes: 100_000, bulkIdleTimeoutMs: 300, rpcServing: 1000 };
    const host = await cluster.start(0, { limits });
    let served = 0;
    host.handle('large', async () => {
      served += 1;
      return new Uint8Array(1_000_000);
    });
    await using stranger = await rogue(cluster, 2);
    const connection = await stranger.dial(host.addresses()[0]!);
    const stream = await connection.newStream(['/aegis/rpc/1']);
    stream.pause();
    const closed = new Promise<void>((resolve) => {
      stream.addEventListener('close', () => resolve());
    });
    for (let id = 1; id <= 500; id += 1) {
      stream.send(encodeRequest(id, { method: 'large', timeoutMs: 9999, body: new Uint8Array(0) }));
      if (id % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      if (stream.status !== 'open') break;
    }
    await closed;
    expect(served).toBeLessThan(500);
    const line = cluster.lines.find((one) => one.fields['knob'] === 'limits.bytesWaiting');
    expect(line?.fields['peer']).toBe(cluster.members[2]!.nodeId);
  });

  it('that opens too many streams is refused them', async () => {
    await using cluster = new Cluster(2);
    const host = await cluster.start(0, { limits: { maxStreamsPerConnection: 8 } });
    await using stranger = await rogue(cluster, 1);
    const connection = await stranger.dial(host.addresses()[0]!);
    const opened = await Promise.allSettled(
      Array.from({ length: 30 }, () =>
        connection.newStream(['/aegis/rpc/1'], { signal: AbortSignal.timeout(1500) }),
      ),
    );
    const fulfilled = opened.filter((one) => one.status === 'fulfilled');
    expect(fulfilled.length).toBeLessThanOrEqual(8);
    expect(host.peers()).toHaveLength(1);
  });
});
