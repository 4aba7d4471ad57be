/** Members that flood, on real hosts: each is slowed by its limit, and others are served. */
import type { Connection, MessageStream, Stream } from '@libp2p/interface';
import { describe, expect, it } from 'vitest';
import { encodeHello } from '../../../src/core/network/hello.ts';
import type { Host } from '../../../src/core/network/host.ts';
import type { HostLimits } from '../../../src/core/network/limits.ts';
import { encodeEnvelope, encodeRequest } from '../../../src/core/network/rpc-frame.ts';
import { Cluster, until } from './cluster.ts';
import { createStranger, type Stranger } from './stranger.ts';

const KNOBS = {
  requests: 'limits.requestsPerSecond',
  envelopes: 'limits.envelopesPerSecond',
  streams: 'limits.streamsPerSecond',
} as const;

interface Scene extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly host: Host;
  readonly honest: Host;
  readonly connection: Connection;
  /** Below the muxer of the rogue. */
  readonly wire: MessageStream;
  /** Whether the log names the rogue and the setting. */
  isNamed(knob: string, message?: string): boolean;
}

async function scene(limits: Partial<HostLimits>): Promise<Scene> {
  const cluster = new Cluster(3);
  const host = await cluster.start(0, { limits });
  const honest = await cluster.start(1);
  host.handle('echo', async (_from, body) => body);
  await honest.dial(host.addresses()[0]!, { timeoutMs: 5000 });
  const member = cluster.members[2]!;
  let wire: MessageStream | undefined;
  const rogue: Stranger = await createStranger(member.networkSeed, {
    async run(channel, secured) {
      wire = secured.connection;
      channel.write(encodeHello(cluster.context(member), 'rogue/1', 32_768));
      await channel.read(AbortSignal.timeout(5000));
    },
  });
  const connection = await rogue.dial(host.addresses()[0]!);
  return {
    ...{ cluster, host, honest, connection, wire: wire! },
    isNamed: (knob, message) =>
      cluster.lines.some(
        (line) =>
          line.fields['knob'] === knob &&
          [line.fields['peer'], line.fields['nodeId']].includes(member.nodeId) &&
          (message === undefined || line.message.includes(message)),
      ),
    async [Symbol.asyncDispose]() {
      await rogue[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
    },
  };
}

const open = (connection: Connection, protocol: string): Promise<Stream> =>
  connection.newStream([protocol], { signal: AbortSignal.timeout(5000) });

async function served({ cluster, honest }: Scene): Promise<void> {
  for (let i = 0; i < 5; i += 1) {
    const reply = await honest.request(cluster.members[0]!.nodeId, 'echo', Uint8Array.of(i));
    expect([...reply]).toEqual([i]);
  }
  // However much the rogue did, the honest one is not named.
  const mine = cluster.lines.filter(
    (line) =>
      line.fields['peer'] === cluster.members[1]!.nodeId && line.fields['knob'] !== undefined,
  );
  expect(mine).toEqual([]);
}

const times = (count: number, frame: (id: number) => Uint8Array): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => frame(i + 1)));

describe('a member that floods', () => {
  it('with envelopes is slowed, then not read, and in the end cut and kept out', async () => {
    const limits = { envelopesPerSecond: 100, muteAfterMs: 1000, muteMs: 50, cutAfterMs: 4000 };
    await using all = await scene(limits);
    const got: number[] = [];
    all.host.onEnvelope(({ body }) => got.push(body.byteLength));
    const envelope = encodeEnvelope('consensus', new Uint8Array(10));
    const stream = await open(all.connection, '/aegis/rpc/1');
    stream.send(times(2000, () => envelope));
    await until(() => all.isNamed(KNOBS.envelopes, 'cut off'));
    expect(all.isNamed(KNOBS.envelopes, 'does not read')).toBe(true);
    // What came in one piece with the burst was looked at, the rest was not.
    expect(got.length).toBeLessThan(1000);
    await until(() => all.connection.status !== 'open');
    await until(() => all.host.peers().length === 1);
    await served(all);
  });

  it('with requests is told BUSY or waits, and others are answered', async () => {
    await using all = await scene({ requestsPerSecond: 50 });
    const stream = await open(all.connection, '/aegis/rpc/1');
    const request = (id: number): Uint8Array =>
      encodeRequest(id, { method: 'echo', timeoutMs: 1000, body: new Uint8Array(8) });
    stream.send(times(500, request));
    await until(() => all.isNamed(KNOBS.requests));
    await served(all);
  });

  it('with Kademlia is counted by what it says', async () => {
    await using all = await scene({ requestsPerSecond: 20, muteAfterMs: 100, muteMs: 50 });
    const stream = await open(all.connection, '/aegis/kad/1');
    const message = Buffer.concat([Buffer.of(2), Buffer.of(0x08, 0x05)]);
    stream.send(times(3000, () => message));
    await until(() => all.isNamed(KNOBS.requests));
    await served(all);
  });

  it('with streams is not read until it has earned them', async () => {
    await using all = await scene({ streamsPerSecond: 5, streamTimeoutMs: 200 });
    const streams = Array.from({ length: 30 }, () => open(all.connection, '/aegis/car/1'));
    const opened = Promise.allSettled(streams);
    await until(() => all.isNamed(KNOBS.streams));
    await served(all);
    all.connection.abort(new Error('enough'));
    await opened;
  });

  it('with hundreds of streams at once loses its connection before they are answered', async () => {
    await using all = await scene({});
    const opening = (i: number): Uint8Array => {
      const frame = Buffer.alloc(12);
      // A window update with SYN, of an odd stream that its own muxer does not use.
      frame.set([0, 1, 0, 1]);
      frame.writeUInt32BE(10_001 + 2 * i, 4);
      return frame;
    };
    all.wire.send(times(1000, opening));
    await until(() => all.connection.status !== 'open');
    expect(all.isNamed(KNOBS.streams)).toBe(true);
    await served(all);
  });
});
