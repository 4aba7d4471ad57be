import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { decode, encode } from '../../../src/core/model/cbor.ts';
import type { FrameChannel } from '../../../src/core/network/frame-channel.ts';
import {
  encodeHello,
  encodeKnock,
  encodeRefusal,
  encodeWelcome,
} from '../../../src/core/network/hello.ts';
import type { Host } from '../../../src/core/network/host.ts';
import { limitsOf } from '../../../src/core/network/limits.ts';
import { Cluster, until } from './cluster.ts';
import { Knowledge, Member } from './member.ts';
import { type Attack, createStranger, sayAndListen } from './stranger.ts';

const MAX = limitsOf('network').helloMaxBytes;
const decodeMap = (frame: Uint8Array): object => decode(frame, { maxBytes: MAX }) as object;
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
    const outsider = new Member('outsider');
    const hello = (member: Member, clusterId = cluster.clusterId): Uint8Array =>
      encodeHello({ ...cluster.context(member), clusterId }, 'aegis/0.1.0', MAX);
    const foreign = new Member('foreign');
    foreign.rotate();
    const borrowed = { ...decodeMap(hello(a!)), succession: [foreign.entries[0]!.bytes] };
    const knock = (dialer: Uint8Array, listener: Uint8Array, id = cluster.clusterId): Uint8Array =>
      encodeKnock(id, { dialer, listener });
    const [host] = cluster.members;
    return {
      'wrong cluster': { frame: hello(a!, 'aegisc1other'), seed: a!.networkSeed },
      'wrong key': { frame: hello(a!) },
      'no member': { frame: hello(outsider), seed: outsider.networkSeed },
      'succession of another': { frame: encode(borrowed), seed: a!.networkSeed },
      'knock without the genesis': {
        frame: knock(a!.networkKey, host!.networkKey, 'aegisc1other'),
        seed: a!.networkSeed,
      },
      // Both ends are under the MAC: what somebody else has said here, or this one elsewhere.
      'knock of another': { frame: knock(a!.networkKey, host!.networkKey) },
      'knock for another': {
        frame: knock(a!.networkKey, outsider.networkKey),
        seed: a!.networkSeed,
      },
      'knock backwards': { frame: knock(host!.networkKey, a!.networkKey), seed: a!.networkSeed },
      'welcome first': { frame: encodeWelcome(), seed: a!.networkSeed },
      'refusal first': { frame: encodeRefusal('BUSY'), seed: a!.networkSeed },
      garbage: { frame: randomBytes(300), seed: a!.networkSeed },
      empty: { frame: new Uint8Array(0), seed: a!.networkSeed },
      'other version': { frame: encode({ v: 1, type: 'hello' }), seed: a!.networkSeed },
      oversized: { frame: new Uint8Array(MAX + 1), seed: a!.networkSeed },
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
    const refusals = cluster.lines.filter((line) => line.message === 'refused a hello');
    expect(refusals.length).toBeGreaterThan(0);
    expect(refusals[0]!.fields['peer']).toBe('addr-unnamed');
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
    expect(knobs).toContain('limits.pendingInbound');
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
      Buffer.from(`${multistream}\x0f/aegis/hello/2\n${'x'.repeat(5000)}`),
    ]) {
      const heard = (await raw(portOf(host), bytes)).toString('latin1');
      expect(heard.replace(/[^\x20-\x7e]/g, '')).toMatch(
        /^(\/multistream\/1\.0\.0)?(na)*(\/aegis\/hello\/2)*$/,
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
      (line) => line.fields['knob'] === 'limits.inboundPerSecondPerAddress',
    );
    expect(lines).toHaveLength(1);
    expect(lines[0]!.fields['peer']).toBe('addr-unnamed');
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
    const line = cluster.lines.find((one) => one.fields['knob'] === 'limits.connectionsPerPeer');
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

  it('only knocks at a node whose key nobody in the cluster has', async () => {
    await using cluster = new Cluster(2);
    const strange = new Member('trap');
    const lured = new Knowledge([...cluster.members, strange]);
    const member = await cluster.start(0);
    // One without the genesis hears a knock that tells it nothing, and one with it no more.
    for (const clusterId of ['aegisc1other', cluster.clusterId]) {
      const hello = { clusterId, ...lured.context() };
      const trap = await cluster.startAs(strange, { hello });
      await expect(member.dial(trap.addresses()[0]!, { timeoutMs: 5000 })).rejects.toMatchObject({
        code: 'HELLO_REFUSED',
        message: expect.stringMatching(/not? a? ?member/) as string,
      });
      await trap.stop();
    }
    expect(lured.heard).toEqual([]);
  });

  it('learns that the other node does not know it', async () => {
    await using cluster = new Cluster(2);
    const host = await cluster.start(0, { hello: new Knowledge([]).context() });
    const member = await cluster.start(1);
    await expect(member.dial(host.addresses()[0]!, { timeoutMs: 5000 })).rejects.toMatchObject({
      code: 'HELLO_REFUSED',
      message: expect.stringContaining('without an answer') as string,
    });
    expect([host.peers(), member.peers()]).toEqual([[], []]);
  });
});

describe('a listener', () => {
  /** What dialling it ends in. */
  const dialTrap = async (
    cluster: Cluster,
    seed: Uint8Array,
    answer: Attack['answer'],
  ): Promise<unknown> => {
    const member = await cluster.start(0);
    await using trap = await createStranger(seed, {
      run: async () => undefined,
      ...(answer === undefined ? {} : { answer }),
    });
    const address = String(trap.node.getMultiaddrs()[0]);
    const error: unknown = await member.dial(address, { timeoutMs: 5000 }).catch((e: unknown) => e);
    expect(member.peers()).toEqual([]);
    return error;
  };

  it('in the middle gets a knock that opens no door', async () => {
    await using cluster = new Cluster(2);
    const host = await cluster.start(1);
    const seed = randomBytes(32);
    const heard: Uint8Array[] = [];
    // It says to the host what the dialer has said to it.
    const error = await dialTrap(cluster, seed, async (channel) => {
      const knock = await channel.read(AbortSignal.timeout(5000));
      const attack = sayAndListen(knock, (answer) => heard.push(answer));
      await using relay = await createStranger(seed, attack);
      await relay.dial(host.addresses()[0]!).catch(() => undefined);
      channel.write(encodeWelcome());
    });
    expect(error).toMatchObject({ code: 'HELLO_REFUSED' });
    expect(heard).toEqual([]);
  });

  it('with the network key of before of a member is refused, and so is its hello', async () => {
    await using cluster = new Cluster(2);
    const [, victim] = cluster.members;
    const [stolen] = victim!.seeds;
    victim!.rotate('compromised');
    const knowledge = cluster.knowledge();
    knowledge.learn(victim!);
    const member = await cluster.start(0, { hello: knowledge.context() });
    const shown = { inception: victim!.inception, succession: [] };
    const context = { ...cluster.context(victim!), own: () => shown };
    const frame = encodeHello(context, 'thief/1', MAX);
    const said: Uint8Array[] = [];
    const answers: Uint8Array[] = [];
    await using thief = await createStranger(stolen!, {
      ...sayAndListen(frame, (answer) => answers.push(answer)),
      async answer(channel) {
        said.push(await channel.read(AbortSignal.timeout(5000)));
        channel.write(frame);
        said.push(await channel.read(AbortSignal.timeout(5000)));
      },
    });
    const address = String(thief.node.getMultiaddrs()[0]);
    await expect(member.dial(address, { timeoutMs: 5000 })).rejects.toMatchObject({
      code: 'HELLO_REFUSED',
      message: expect.stringContaining('has been replaced') as string,
    });
    // It heard a knock, which it can make itself, and nothing after that.
    expect(said.map((bytes) => Reflect.get(decodeMap(bytes), 'type'))).toEqual(['knock']);
    // As the dialer it has proved to have been that member (H2).
    await thief.dial(member.addresses()[0]!).catch(() => undefined);
    expect(answers).toEqual([encodeRefusal('RETIRED')]);
    expect(member.peers()).toEqual([]);
  });

  it('that breaks off or speaks out of turn is left', async () => {
    const member = new Member('x');
    const wrongs: Record<string, (channel: FrameChannel) => Promise<void>> = {
      'half a frame': async (channel) => channel.write(new Uint8Array(0)),
      'welcome instead of a hello': async (channel) => channel.write(encodeWelcome()),
      'its own knock': async (channel) =>
        channel.write(await channel.read(AbortSignal.timeout(5000))),
      'refusal without a reason': async (channel) =>
        channel.write(encode({ v: 2, type: 'refusal', reason: 'MOOD' })),
      'noise as long as a hello may be': async (channel) => channel.write(randomBytes(MAX)),
    };
    for (const [name, answer] of Object.entries(wrongs)) {
      await using cluster = new Cluster(1);
      const error = await dialTrap(cluster, member.networkSeed, answer);
      expect(error, name).toMatchObject({ code: 'HELLO_REFUSED' });
    }
  });

  it('of the hello before this one is named, and so is the dialer of it', async () => {
    await using cluster = new Cluster(1);
    const host = await cluster.start(0);
    const old = '/aegis/hello/1';
    await using stranger = await createStranger(
      randomBytes(32),
      { run: async () => undefined, answer: async () => undefined },
      old,
    );
    await expect(stranger.dial(host.addresses()[0]!)).rejects.toThrow(/protocol|encrypt/i);
    const address = String(stranger.node.getMultiaddrs()[0]);
    await expect(host.dial(address, { timeoutMs: 5000 })).rejects.toMatchObject({
      code: 'HELLO_REFUSED',
      message: expect.stringContaining('another hello') as string,
      hint: expect.stringContaining('Upgrade') as string,
    });
  });
});

describe('a dialer that knocks', () => {
  /** A member whose newest key the host does not know; says these frames, hears those. */
  async function knocking(
    cluster: Cluster,
    frames: (member: Member, host: Member) => (Uint8Array | 'read')[],
  ): Promise<string[]> {
    const [first, member] = cluster.members;
    const host = await cluster.start(0);
    const heard: string[] = [];
    await using stranger = await createStranger(member!.networkSeed, {
      async run(channel) {
        for (const frame of frames(member!, first!)) {
          if (frame !== 'read') channel.write(frame);
          else {
            const answer = decodeMap(await channel.read(AbortSignal.timeout(5000)));
            heard.push(String(Reflect.get(answer, 'type')));
          }
        }
      },
    });
    await stranger.dial(host.addresses()[0]!).catch(() => undefined);
    return heard;
  }
  const knock = (member: Member, host: Member): Uint8Array =>
    encodeKnock('aegisc1test', { dialer: member.networkKey, listener: host.networkKey });
  const hello = (cluster: Cluster, member: Member): Uint8Array =>
    encodeHello(cluster.context(member), 'aegis/1', MAX);

  it('hears a hello, and then a welcome for its own', async () => {
    await using cluster = new Cluster(2);
    const heard = await knocking(cluster, (member, host) => {
      return [knock(member, host), 'read', hello(cluster, member), 'read'];
    });
    expect(heard).toEqual(['hello', 'welcome']);
  });

  it('and does not say hello then hears no more', async () => {
    await using cluster = new Cluster(2);
    const outsider = new Member('outsider');
    for (const second of [
      (member: Member, host: Member) => knock(member, host),
      () => encodeWelcome(),
      () => hello(cluster, outsider),
      () => randomBytes(100),
      () => new Uint8Array(0),
    ]) {
      await using fresh = new Cluster(2);
      const heard = await knocking(fresh, (member, host) => {
        return [knock(member, host), 'read', second(member, host), 'read'];
      });
      expect(heard).toEqual(['hello']);
    }
  });

  it('and stalls then gives its place back', async () => {
    await using cluster = new Cluster(2);
    const [first, member] = cluster.members;
    const host = await cluster.start(0, { limits: { helloTimeoutMs: 400 } });
    const heard: string[] = [];
    const part = hello(cluster, member!).subarray(0, 100);
    await using stranger = await createStranger(member!.networkSeed, {
      async run(channel, { connection }) {
        channel.write(knock(member!, first!));
        await channel.read(AbortSignal.timeout(5000));
        // The length of a whole hello, and a part of it.
        connection.send(Uint8Array.of(0, 0, 4, 0, ...part));
        await channel.read(AbortSignal.timeout(5000)).catch((error: unknown) => {
          heard.push(String(Reflect.get(Object(error), 'code')));
        });
      },
    });
    await stranger.dial(host.addresses()[0]!).catch(() => undefined);
    expect(heard).toEqual(['DIAL_FAILED']);
    await until(() => host.stats().pendingInbound === 0);
    expect(host.peers()).toEqual([]);
  });

  it('or says hello, and says more than that, is cut', async () => {
    await using cluster = new Cluster(3);
    const [first, member] = cluster.members;
    const host = await cluster.start(0);
    const frames = {
      'a hello twice': (one: Member) => [hello(cluster, one), hello(cluster, one)],
      'a knock behind a hello': (one: Member) => [hello(cluster, one), knock(one, first!)],
      'all at once': (one: Member) => [knock(one, first!), hello(cluster, one), encodeWelcome()],
    };
    for (const say of Object.values(frames)) {
      await using stranger = await createStranger(member!.networkSeed, {
        async run(channel) {
          for (const frame of say(member!)) channel.write(frame);
          await channel.read(AbortSignal.timeout(5000));
        },
      });
      await stranger.dial(host.addresses()[0]!).catch(() => undefined);
      await until(() => stranger.node.getConnections().length === 0);
      await until(() => host.stats().connections === 0 && host.stats().pendingInbound === 0);
    }
    const honest = await cluster.start(2);
    await honest.dial(host.addresses()[0]!, { timeoutMs: 5000 });
  });
});

describe('a dialer', () => {
  it('gives up a listener that answers a knock with nothing', async () => {
    await using cluster = new Cluster(1);
    const member = await cluster.start(0, { limits: { helloTimeoutMs: 300 } });
    const stalled = Promise.withResolvers<void>();
    await using trap = await createStranger(randomBytes(32), {
      run: async () => undefined,
      answer: () => stalled.promise,
    });
    const dial = member.dial(String(trap.node.getMultiaddrs()[0]), { timeoutMs: 5000 });
    await expect(dial).rejects.toMatchObject({ code: 'TIMEOUT' });
    stalled.resolve();
    expect(member.stats().pendingDials).toBe(0);
  });
});
