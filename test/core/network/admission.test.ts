import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { encode } from '../../../src/core/model/cbor.ts';
import { encodeHello } from '../../../src/core/network/hello.ts';
import type { Host } from '../../../src/core/network/host.ts';
import { Cluster, createMember, until } from './cluster.ts';
import { createStranger, sayAndListen } from './stranger.ts';

const portOf = (host: Host): number => Number(host.addresses()[0]!.split('/')[4]);

/** Sends raw bytes and collects all that comes back until the other side closes. */
async function raw(port: number, bytes: Uint8Array): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const heard: Buffer[] = [];
  const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
  socket.on('data', (data) => heard.push(data));
  socket.on('error', () => undefined);
  socket.on('close', () => resolve(Buffer.concat(heard)));
  return promise;
}

describe('a stranger', () => {
  const wrongs = (cluster: Cluster): Record<string, { frame: Uint8Array; seed?: Uint8Array }> => {
    const [, a] = cluster.members;
    const outsider = createMember('outsider');
    const hello = (inception: Uint8Array, clusterId = cluster.clusterId): Uint8Array =>
      encodeHello({ clusterId, inception, admit: () => true }, 'aegis/0.1.0');
    return {
      'wrong cluster': { frame: hello(a!.inception, 'aegisc1other'), seed: a!.networkSeed },
      'wrong key': { frame: hello(a!.inception) },
      'no member': { frame: hello(outsider.inception), seed: outsider.networkSeed },
      garbage: { frame: randomBytes(300), seed: a!.networkSeed },
      empty: { frame: new Uint8Array(0), seed: a!.networkSeed },
      'other version': { frame: encode({ v: 2, type: 'hello' }), seed: a!.networkSeed },
      oversized: { frame: new Uint8Array(17_000), seed: a!.networkSeed },
    };
  };

  it('hears nothing and is cut, whatever its hello says', async () => {
    await using cluster = new Cluster(2);
    const host = await cluster.start(0);
    for (const [name, { frame, seed }] of Object.entries(wrongs(cluster))) {
      const heard: Uint8Array[] = [];
      const attack = sayAndListen(frame, (answer) => heard.push(answer));
      await using stranger = await createStranger(seed ?? randomBytes(32), attack);
      await expect(stranger.dial(host.addresses()[0]!), name).rejects.toThrow();
      expect(heard, name).toEqual([]);
    }
    expect(host.peers()).toEqual([]);
    await until(() => host.stats().pendingInbound === 0);
    const refusals = cluster.lines.filter((line) => line.fields['knob'] === 'hello');
    expect(refusals.length).toBeGreaterThan(0);
    expect(refusals[0]!.fields['peer']).toBe('127.0.0.1');
  });

  it('gets no answer from any protocol when it skips hello', async () => {
    await using cluster = new Cluster(2);
    const host = await cluster.start(0, { limits: { helloTimeoutMs: 1000 } });
    await using stranger = await createStranger(cluster.members[1]!.networkSeed, {
      run: async () => undefined,
    });
    // Its side believes that the muxer runs; nothing ever answers there.
    const connection = await stranger.dial(host.addresses()[0]!);
    const protocols = ['/ipfs/id/1.0.0', '/ipfs/ping/1.0.0', '/aegis/kad/1', '/aegis/rpc/1'];
    const streams = protocols.map((protocol) =>
      connection.newStream([protocol], { signal: AbortSignal.timeout(3000) }),
    );
    const results = await Promise.allSettled(streams);
    expect(results.map((result) => result.status)).toEqual(protocols.map(() => 'rejected'));
    expect(host.peers()).toEqual([]);
    await until(() => connection.status !== 'open');
  });

  it('cannot use plain Noise instead', async () => {
    await using cluster = new Cluster(1);
    const host = await cluster.start(0);
    await using stranger = await createStranger(
      randomBytes(32),
      { run: async () => undefined },
      '/noise',
    );
    await expect(stranger.dial(host.addresses()[0]!)).rejects.toThrow();
  });

  it('is cut when it is slow, and its place is free again', async () => {
    await using cluster = new Cluster(2);
    const limits = { helloTimeoutMs: 400, maxPendingInbound: 2 };
    const host = await cluster.start(0, { limits });
    const silent = [0, 1, 2].map(() => raw(portOf(host), new Uint8Array(0)));
    const heard = await Promise.all(silent);
    expect(heard.map((bytes) => bytes.length)).toEqual([0, 0, 0]);
    const knobs = cluster.lines.map((line) => line.fields['knob']);
    expect(knobs).toContain('maxPendingInbound');
    await until(() => host.stats().pendingInbound === 0);
    const member = await cluster.start(1);
    await member.dial(host.addresses()[0]!, { timeoutMs: 5000 });
  });

  it('that sends garbage hears at most which handshake is spoken', async () => {
    await using cluster = new Cluster(1);
    const host = await cluster.start(0, { limits: { helloTimeoutMs: 400 } });
    const multistream = '\x13/multistream/1.0.0\n';
    for (const bytes of [
      randomBytes(64),
      randomBytes(100_000),
      Buffer.from(`${multistream}\x03ls\n`),
      Buffer.from(`${multistream}\x0f/aegis/hello/1\n${'x'.repeat(5000)}`),
    ]) {
      const heard = (await raw(portOf(host), bytes)).toString('latin1');
      expect(heard.replace(/[^\x20-\x7e]/g, '')).toMatch(
        /^(\/multistream\/1\.0\.0)?(na)*(\/aegis\/hello\/1)*$/,
      );
    }
    expect(host.peers()).toEqual([]);
  });

  it('that comes too often is turned away, and one line says so', async () => {
    await using cluster = new Cluster(1);
    const limits = { inboundPerSecondPerAddress: 3, helloTimeoutMs: 300 };
    const host = await cluster.start(0, { limits });
    await Promise.all(Array.from({ length: 20 }, () => raw(portOf(host), randomBytes(10))));
    const lines = cluster.lines.filter(
      (line) => line.fields['knob'] === 'inboundPerSecondPerAddress',
    );
    expect(lines).toHaveLength(1);
    expect(lines[0]!.fields['peer']).toBe('127.0.0.1');
  });
});

describe('a member', () => {
  it('is told why when there is no place for another connection', async () => {
    await using cluster = new Cluster(2);
    const host = await cluster.start(0, { limits: { maxConnectionsPerPeer: 0 } });
    const member = await cluster.start(1);
    const dial = member.dial(host.addresses()[0]!, { timeoutMs: 5000 });
    await expect(dial).rejects.toMatchObject({
      code: 'HELLO_REFUSED',
      details: { refusal: 'BUSY' },
    });
    const line = cluster.lines.find((one) => one.fields['knob'] === 'maxConnectionsPerPeer');
    expect(line?.fields['peer']).toBe(cluster.members[1]!.nodeId);
  });

  it('is told when the number of all connections is used up', async () => {
    await using cluster = new Cluster(3);
    const host = await cluster.start(0, { limits: { maxConnections: 1 } });
    const [b, c] = [await cluster.start(1), await cluster.start(2)];
    await b.dial(host.addresses()[0]!, { timeoutMs: 5000 });
    await until(() => host.stats().connections === 1);
    await expect(c.dial(host.addresses()[0]!, { timeoutMs: 5000 })).rejects.toMatchObject({
      code: 'HELLO_REFUSED',
      details: { refusal: 'BUSY' },
    });
  });

  it('does not introduce itself to a node whose key nobody in the cluster has', async () => {
    await using cluster = new Cluster(2);
    const heard: string[] = [];
    const trap = await cluster.startAs(createMember('trap'), {
      hello: {
        admit: (nodeId) => {
          heard.push(nodeId);
          return true;
        },
      },
    });
    const known = cluster.members.map((member) => Buffer.from(member.networkKey).toString('hex'));
    const expects = (key: Uint8Array): boolean => known.includes(Buffer.from(key).toString('hex'));
    const member = await cluster.start(0, { hello: { expects } });
    await expect(member.dial(trap.addresses()[0]!, { timeoutMs: 5000 })).rejects.toMatchObject({
      code: 'HELLO_REFUSED',
    });
    expect(heard).toEqual([]);
  });

  it('learns that the other node does not know it', async () => {
    await using cluster = new Cluster(2);
    const host = await cluster.start(0, { hello: { admit: () => false } });
    const member = await cluster.start(1);
    await expect(member.dial(host.addresses()[0]!, { timeoutMs: 5000 })).rejects.toMatchObject({
      code: 'HELLO_REFUSED',
      message: expect.stringContaining('without an answer') as string,
    });
    expect([host.peers(), member.peers()]).toEqual([[], []]);
  });
});
