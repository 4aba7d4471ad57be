/** H5 with real sockets: the network key of a running node changes, and nobody loses anybody. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Host } from '../../../src/core/network/host.ts';
import { Cluster, collect, type StartOptions, until } from './cluster.ts';
import { type Knowledge, Member } from './member.ts';

const addressOf = (host: Host): string => host.addresses()[0]!;
const bareOf = (host: Host): string => addressOf(host).replace(/\/p2p\/[^/]+$/, '');
const five = { timeoutMs: 5000 };

interface Node {
  readonly host: Host;
  readonly member: Member;
  readonly knowledge: Knowledge;
  /** `up` and `down` by name, in order. */
  readonly events: string[];
}

async function startNodes(
  cluster: Cluster,
  options: readonly StartOptions[] = cluster.members.map(() => ({})),
): Promise<Node[]> {
  const name = (nodeId: string): string =>
    cluster.members.find((member) => member.nodeId === nodeId)!.name;
  return Promise.all(
    cluster.members.map(async (member, index) => {
      const knowledge = cluster.knowledge();
      const { hello, ...more } = options[index] ?? {};
      const host = await cluster.start(index, {
        ...more,
        hello: { ...knowledge.context(), ...hello },
      });
      const events: string[] = [];
      host.onPeer(({ type, nodeId }) => void events.push(`${type} ${name(nodeId)}`));
      host.handle('echo', async (_from, body) => body);
      return { host, member, knowledge, events };
    }),
  );
}

/** Everybody dials everybody who comes after. */
async function connectAll(nodes: readonly Node[]): Promise<void> {
  for (const [index, { host }] of nodes.entries()) {
    for (const other of nodes.slice(index + 1)) await host.dial(addressOf(other.host), five);
  }
  await until(() => nodes.every(({ host }) => host.peers().length === nodes.length - 1));
}

/** All are connected by their newest keys, and by nothing else. */
const settled = (nodes: readonly Node[]): boolean =>
  nodes.every(
    ({ host, member }) =>
      host.stats().retiredKeys === 0 &&
      nodes.every(({ host: other, member: { nodeId } }) => {
        if (nodeId === member.nodeId) return true;
        const peer = host.peer(nodeId);
        return peer?.connections === 1 && peer.peerId === other.peerId;
      }),
  );

async function settle(nodes: readonly Node[]): Promise<void> {
  await until(() => settled(nodes), 15_000).catch((error: unknown) => {
    const state = nodes.map(({ host }) => ({ stats: host.stats(), peers: host.peers() }));
    throw new Error(JSON.stringify(state, null, 1), { cause: error });
  });
}

const echo = async ({ host }: Node, { member }: Node): Promise<void> => {
  const reply = await host.request(member.nodeId, 'echo', Uint8Array.of(7), five);
  expect([...reply]).toEqual([7]);
};

describe('rotate', () => {
  it('changes the peer id and keeps the ports, the peers and what they are told', async () => {
    await using cluster = new Cluster(3);
    const nodes = await startNodes(cluster);
    const [a, b, c] = nodes as [Node, Node, Node];
    await connectAll(nodes);
    const [before, port] = [a.host.peerId, bareOf(a.host)];
    const connectedAt = b.host.peer(a.member.nodeId)!.connectedAt;
    await a.host.rotate(a.member.rotate());
    expect(a.host.peerId).not.toBe(before);
    expect(a.host.addresses()).toEqual([`${port}/p2p/${a.host.peerId}`]);
    await settle(nodes);
    // H5: nobody went down, nobody came up again.
    expect(nodes.map(({ events }) => events.toSorted())).toEqual([
      ['up n1', 'up n2'],
      ['up n0', 'up n2'],
      ['up n0', 'up n1'],
    ]);
    expect(b.host.peer(a.member.nodeId)).toMatchObject({ connectedAt, name: 'n0' });
    await Promise.all([echo(a, b), echo(b, a), echo(c, a)]);
  });

  it('leaves those who come later the address, whatever peer id it names', async () => {
    await using cluster = new Cluster(3);
    const nodes = await startNodes(cluster);
    const [a, b, c] = nodes as [Node, Node, Node];
    const old = addressOf(a.host);
    for (let i = 0; i < 3; i += 1) await a.host.rotate(a.member.rotate());
    const { nodeId } = a.member;
    // Three keys later: b knows none of them and knocks.
    expect(b.knowledge.expects(a.member.networkKey)).toBe(false);
    expect((await b.host.dial(old, five)).nodeId).toBe(nodeId);
    expect((await b.host.dial(old, five)).nodeId).toBe(nodeId);
    expect(b.host.stats().connections).toBe(1);
    // And a knows the caller by all its keys, too.
    const stale = addressOf(c.host);
    await c.host.rotate(c.member.rotate());
    expect((await a.host.dial(stale, five)).nodeId).toBe(c.member.nodeId);
    await expect(a.host.dial(old, five)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    // An address of somebody else does not lead to it.
    const wrong = `${bareOf(a.host)}/p2p/${c.host.peerId}`;
    await c.host.stop();
    await until(() => a.host.peers().length === 1);
    await expect(b.host.dial(wrong, five)).rejects.toMatchObject({ code: 'DIAL_FAILED' });
  });

  it('takes no word of a member for the key of another', async () => {
    await using cluster = new Cluster(3);
    const nodes = await startNodes(cluster);
    const [a, liar, victim] = nodes as [Node, Node, Node];
    const { nodeId } = victim.member;
    const address = addressOf(victim.host);
    // It signs the key of another into its own succession; blocks would refuse that (S6).
    liar.member.claim(victim.member.networkSeed);
    await liar.host.rotate(liar.member.rotate());
    expect((await a.host.dial(addressOf(liar.host), five)).nodeId).toBe(liar.member.nodeId);
    expect((await a.host.dial(address, five)).nodeId).toBe(nodeId);
    await a.host.hangUp(nodeId);
    await a.host.hangUp(liar.member.nodeId);
    await until(() => a.host.peers().length === 0);
    const wrong = `${bareOf(liar.host)}/p2p/${victim.host.peerId}`;
    await expect(a.host.dial(wrong, five)).rejects.toMatchObject({ code: 'DIAL_FAILED' });
  });

  it('lets requests, envelopes and bulk streams under way come to their end', async () => {
    await using cluster = new Cluster(2);
    const nodes = await startNodes(cluster);
    const [a, b] = nodes as [Node, Node];
    await connectAll(nodes);
    const [idA, idB] = [a.member.nodeId, b.member.nodeId];
    const release = Promise.withResolvers<void>();
    const envelopes = new Set<number>();
    for (const { host } of nodes) {
      host.handle('hold', async (_from, body) => {
        await release.promise;
        return body;
      });
      host.onEnvelope(({ body }) => void envelopes.add(Buffer.from(body).readUInt32BE()));
    }
    const blob = randomBytes(3_000_000);
    a.host.handleBulk(async (_from, _request, out) => {
      await out.write(blob.subarray(0, 1_000_000));
      await release.promise;
      await out.write(blob.subarray(1_000_000));
    });
    const held = [
      a.host.request(idB, 'hold', Uint8Array.of(1), five),
      b.host.request(idA, 'hold', Uint8Array.of(2), five),
    ];
    const read = collect(await b.host.openBulk(idA, new Uint8Array(0)));
    let sent = 0;
    const send = (): void => {
      const body = Buffer.alloc(4);
      body.writeUInt32BE(sent);
      const [from, to] = sent % 2 === 0 ? [a.host, idB] : [b.host, idA];
      expect(from.send({ to, protocol: 'p', body })).toBe(true);
      sent += 1;
    };
    send();
    await a.host.rotate(a.member.rotate());
    await until(() => {
      send();
      return a.host.peer(idB)?.peerId !== undefined && b.host.peer(idA)!.peerId === a.host.peerId;
    });
    // On both connections: what is new has gone over, what is under way has not been cut.
    await Promise.all([echo(a, b), echo(b, a)]);
    expect(b.host.peer(idA)!.connections).toBe(2);
    for (let i = 0; i < 50; i += 1) send();
    release.resolve();
    expect((await Promise.all(held)).map((body) => body[0])).toEqual([1, 2]);
    expect(Buffer.compare(await read, blob)).toBe(0);
    await settle(nodes);
    await until(() => envelopes.size === sent);
  });

  it('cuts what takes too long on the connection of before', async () => {
    await using cluster = new Cluster(2);
    const limits = { drainTimeoutMs: 300 };
    const nodes = await startNodes(cluster, [{ limits }, { limits }]);
    const [a, b] = nodes as [Node, Node];
    await connectAll(nodes);
    a.host.handle('never', () => new Promise(() => undefined));
    const never = b.host.request(a.member.nodeId, 'never', new Uint8Array(0), five);
    const cut = expect(never).rejects.toMatchObject({ code: 'NOT_REACHABLE' });
    await a.host.rotate(a.member.rotate());
    await cut;
    await settle(nodes);
  });

  it('twice quickly ends with the last key', async () => {
    await using cluster = new Cluster(3);
    const nodes = await startNodes(cluster);
    const [a] = nodes as [Node, Node, Node];
    await connectAll(nodes);
    const rotations = [0, 1, 2].map(() => a.host.rotate(a.member.rotate()));
    await Promise.all(rotations);
    await settle(nodes);
    expect(nodes.flatMap(({ events }) => events).filter((event) => /down/.test(event))).toEqual([]);
    // The same key again is no change.
    const { peerId } = a.host;
    await a.host.rotate(a.member.networkSeed);
    expect([a.host.peerId, a.host.stats().retiredKeys]).toEqual([peerId, 0]);
  });

  it('of all at once loses nobody', async () => {
    await using cluster = new Cluster(4);
    const nodes = await startNodes(cluster);
    await connectAll(nodes);
    for (let round = 0; round < 2; round += 1) {
      await Promise.all(nodes.map(({ host, member }) => host.rotate(member.rotate())));
      await settle(nodes);
    }
    expect(nodes.flatMap(({ events }) => events).filter((event) => /down/.test(event))).toEqual([]);
    for (const one of nodes) {
      for (const other of nodes) if (one !== other) await echo(one, other);
    }
  });

  it('asks a peer that nobody can dial to dial again', async () => {
    await using cluster = new Cluster(2);
    const nodes = await startNodes(cluster, [{}, { listen: '' }]);
    const [a, b] = nodes as [Node, Node];
    await b.host.dial(addressOf(a.host), five);
    await until(() => a.host.peers().length === 1);
    await a.host.rotate(a.member.rotate());
    await settle(nodes);
    expect([a.events, b.events]).toEqual([['up n1'], ['up n0']]);
    // The other way round it dials by itself, though it does not listen anywhere.
    await b.host.rotate(b.member.rotate());
    await settle(nodes);
    expect([a.events, b.events]).toEqual([['up n1'], ['up n0']]);
  });

  it('keeps a connection of before that nothing replaces, until the grace is over', async () => {
    await using cluster = new Cluster(2);
    const limits = { drainTimeoutMs: 1500 };
    const nodes = await startNodes(cluster, [{ limits }, { listen: '' }]);
    const [a, b] = nodes as [Node, Node];
    await b.host.dial(addressOf(a.host), five);
    await until(() => a.host.peers().length === 1);
    // One that does not do what it is asked.
    b.host.handle('network/redial', async () => new Uint8Array(0));
    await a.host.rotate(a.member.rotate(), { graceMs: 0 });
    await echo(a, b);
    expect([a.host.stats().retiredKeys, a.events]).toEqual([1, ['up n1']]);
    await until(() => a.host.stats().retiredKeys === 0);
    await until(() => a.events.length === 2 && b.events.length === 2);
    expect([a.events, b.events]).toEqual([
      ['up n1', 'down n1'],
      ['up n0', 'down n0'],
    ]);
  });

  it('that fails leaves everything as it was', async () => {
    await using cluster = new Cluster(2);
    const nodes = await startNodes(cluster);
    const [a, b] = nodes as [Node, Node];
    await connectAll(nodes);
    const [before, address] = [a.host.peerId, addressOf(a.host)];
    await expect(a.host.rotate(new Uint8Array(31))).rejects.toMatchObject({ code: 'BAD_CONFIG' });
    expect([a.host.peerId, addressOf(a.host)]).toEqual([before, address]);
    await echo(b, a);
    await b.host.hangUp(a.member.nodeId);
    await until(() => a.host.peers().length === 0);
    await b.host.dial(address, five);
    await a.host.rotate(a.member.rotate());
    await settle(nodes);
  });

  it('while the node stops rejects, and leaves nothing behind', async () => {
    await using cluster = new Cluster(2);
    const nodes = await startNodes(cluster);
    const [a, b] = nodes as [Node, Node];
    await connectAll(nodes);
    const port = bareOf(a.host);
    const rotation = a.host.rotate(a.member.rotate());
    const stop = a.host.stop();
    await expect(rotation).rejects.toMatchObject({ code: 'STOPPING' });
    await stop;
    await expect(a.host.rotate(a.member.rotate())).rejects.toMatchObject({ code: 'STOPPING' });
    await until(() => b.host.peers().length === 0);
    // The port is free again.
    const [, , ip, , number] = port.split('/');
    const server = createServer().listen(Number(number), ip);
    await new Promise((resolve, reject) => {
      server.once('listening', resolve).once('error', reject);
    });
    server.close();
  });

  it('keeps what Kademlia knows', async () => {
    await using cluster = new Cluster(3);
    const nodes = await startNodes(cluster);
    const [a, b, c] = nodes as [Node, Node, Node];
    await a.host.dial(addressOf(b.host), five);
    await c.host.dial(addressOf(b.host), five);
    await expect.poll(async () => (await found(a, c)).length).toBeGreaterThan(0);
    await a.host.rotate(a.member.rotate());
    // From memory, before anybody is connected to the new identity.
    expect(await found(a, c)).toContain(bareOf(c.host));
    await until(() => settled([a, b]), 15_000);
    // And others find it by its new key.
    await expect.poll(async () => await found(c, a)).toContain(bareOf(a.host));
  });
});

const found = async ({ host }: Node, { host: wanted }: Node): Promise<string[]> => {
  const addresses = await host.findPeer(wanted.peerId, { timeoutMs: 2000 }).catch(() => []);
  return addresses.map((address) => address.replace(/\/p2p\/[^/]+$/, ''));
};

describe('review', () => {
  it('cuts at once what is accepted no more, also a stream under way', async () => {
    await using cluster = new Cluster(3);
    const nodes = await startNodes(cluster);
    const [a, b, c] = nodes as [Node, Node, Node];
    await connectAll(nodes);
    const idA = a.member.nodeId;
    a.host.handleBulk(async (_from, _request, out) => {
      await out.write(new Uint8Array(1000));
      await new Promise((resolve) => out.signal.addEventListener('abort', resolve));
    });
    const stream = await b.host.openBulk(idA, new Uint8Array(0));
    const reading = collect(stream);
    b.knowledge.banned.add(idA);
    const accepts = ({ nodeId, networkKey }: { nodeId: string; networkKey: Uint8Array }): boolean =>
      b.knowledge.accepts(nodeId, networkKey);
    const cut = expect(reading).rejects.toMatchObject({ code: 'NOT_REACHABLE' });
    expect(b.host.review(accepts)).toBe(1);
    expect(b.host.review(accepts)).toBe(0);
    await cut;
    expect(b.events).toEqual(expect.arrayContaining(['down n0']));
    expect(b.host.peers().map(({ nodeId }) => nodeId)).toEqual([c.member.nodeId]);
    await until(() => a.host.peers().length === 1);
    // A stranger here from now on (M4), in both directions.
    await expect(a.host.dial(addressOf(b.host), five)).rejects.toMatchObject({
      message: expect.stringContaining('without an answer') as string,
    });
    await expect(b.host.dial(addressOf(a.host), five)).rejects.toMatchObject({
      code: 'HELLO_REFUSED',
    });
    b.knowledge.banned.clear();
    await a.host.dial(addressOf(b.host), five);
  });

  it('ends the connections of a replaced key only', async () => {
    await using cluster = new Cluster(2);
    const nodes = await startNodes(cluster);
    const [a, b] = nodes as [Node, Node];
    await connectAll(nodes);
    const held = a.host.request(b.member.nodeId, 'hold', new Uint8Array(0), five);
    held.catch(() => undefined);
    b.host.handle('hold', () => new Promise(() => undefined));
    await a.host.rotate(a.member.rotate('compromised'));
    await until(
      () =>
        b.host.peer(a.member.nodeId)?.peerId === a.host.peerId &&
        a.host.peer(b.member.nodeId)?.connections === 2,
    );
    b.knowledge.learn(a.member);
    b.host.review(({ nodeId, networkKey }) => b.knowledge.accepts(nodeId, networkKey));
    await until(() => b.host.peer(a.member.nodeId)?.connections === 1);
    await settle(nodes);
    expect([a.events, b.events]).toEqual([['up n1'], ['up n0']]);
  });

  it('holds for those whose hello was judged before it and who connect after', async () => {
    await using cluster = new Cluster(2);
    const nodes = await startNodes(cluster);
    const [a, b] = nodes as [Node, Node];
    const judge = b.knowledge.judge.bind(b.knowledge);
    const judged = Promise.withResolvers<void>();
    b.knowledge.judge = (claim) => {
      const verdict = judge(claim);
      // In the very moment between the verdict and the connection.
      queueMicrotask(() => {
        b.host.review(() => false);
        judged.resolve();
      });
      return verdict;
    };
    await a.host.dial(addressOf(b.host), five).catch(() => undefined);
    await judged.promise;
    await until(() => a.host.peers().length === 0 && b.host.stats().connections === 0);
    expect(b.events).toEqual([]);
  });

  it('cuts a node of which there are two successions, and lets it in by neither', async () => {
    await using cluster = new Cluster(2);
    const nodes = await startNodes(cluster);
    const [a, b] = nodes as [Node, Node];
    const seed = randomBytes(32);
    const fork = a.member.prepare(seed);
    await connectAll(nodes);
    await a.host.rotate(a.member.rotate());
    await settle(nodes);
    // H4: whoever holds the other entry comes with it.
    const thief = new Member('thief', seed);
    const shown = { inception: a.member.inception, succession: [fork.bytes] };
    const stolen = await cluster.startAs(thief, { hello: { own: () => shown } });
    await expect(stolen.dial(addressOf(b.host), five)).rejects.toMatchObject({
      code: 'HELLO_REFUSED',
    });
    expect(b.knowledge.frozen).toEqual(new Set([a.member.nodeId]));
    b.host.review(({ nodeId, networkKey }) => b.knowledge.accepts(nodeId, networkKey));
    await until(() => a.host.peers().length === 0);
    await expect(a.host.dial(addressOf(b.host), five)).rejects.toMatchObject({
      code: 'HELLO_REFUSED',
      details: { refusal: 'FROZEN' },
    });
  });
});
