import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { onionKeyOf, onionMultiaddr } from '../../src/core/crypto/onion.ts';
import { circuits } from '../../src/core/tor/control/circuits.ts';
import { signal } from '../../src/core/tor/control/commands.ts';
import { MIB } from '../../src/core/units.ts';
import { describeOverTor, torNetwork } from './support/network.ts';
import { OnionNode } from './support/onion-node.ts';

describeOverTor('libp2p through onion services', () => {
  let dir: string;
  let service: OnionNode;
  let near: OnionNode;
  let far: OnionNode;

  beforeAll(async () => {
    const { torrc } = await torNetwork();
    dir = await mkdtemp('/tmp/ao-');
    [service, near, far] = (await Promise.all(
      ['s', 'n', 'f'].map((name) => new OnionNode(join(dir, name), torrc).start()),
    )) as [OnionNode, OnionNode, OnionNode];
    service.clients = [near.clientKey, far.clientKey];
    await service.services.use(service.onionKey);
  });

  afterAll(async () => {
    await Promise.all([service, near, far].map((node) => node?.stop()));
    await rm(dir, { recursive: true, force: true });
  });

  test('carry 8 MiB between members, who see nothing of each other but the onion', async () => {
    expect(service.services.current).toMatchObject({ state: 'published', clients: 2 });
    expect(service.libp2p.getMultiaddrs().map((address) => address.toString())).toEqual([
      `${service.address.toString()}/p2p/${service.libp2p.peerId.toString()}`,
    ]);
    const connection = await near.dial(service.address);
    const sent = randomBytes(8 * MIB);
    expect(Buffer.compare(await near.echo(connection, sent), sent)).toBe(0);
    expect(near.transport.classOf(connection.remoteAddr)).toBe('onion');
    const [inbound] = service.libp2p.getConnections(near.libp2p.peerId);
    expect(inbound!.remoteAddr.toString()).toMatch(/^\/memory\/onion-\d+\/p2p\//);
    expect(service.transport.classOf(inbound!.remoteAddr)).toBe('onion');
  });
  test('are found by nobody without a client key, or with a wrong one (O13)', async () => {
    const refused = async (secrets: readonly Uint8Array[], socks: number): Promise<void> => {
      far.secrets = secrets;
      await expect(far.dial(service.address)).rejects.toMatchObject({
        code: 'ONION_AUTH',
        details: { socks },
      });
    };
    await refused([], 0xf4);
    await refused([randomBytes(32)], 0xf5);
    // The key of another epoch is tried next (O14), by one dial for all.
    far.secrets = [randomBytes(32), far.clientSecret];
    const dials = ['', '/memory/bulk-1', '/memory/bulk-2'].map((lane) =>
      far.dial(multiaddr(`${service.address.toString()}${lane}`), { force: true }),
    );
    for (const connection of await Promise.all(dials)) {
      expect(await far.echo(connection, Buffer.from('x'))).toEqual(Buffer.from('x'));
      expect(connection.remoteAddr.toString()).not.toContain('memory');
    }
    far.secrets = [far.clientSecret];
  });

  test('have a circuit for each peer and purpose, and new ones when asked (O11)', async () => {
    const purposes = async (): Promise<Record<string, number>> => {
      const counts: Record<string, number> = {};
      for (const { purpose, socksUsername = '' } of await circuits(far.link)) {
        const isolated = far.isolation.whoIs(socksUsername);
        if (purpose !== 'HS_CLIENT_REND' || isolated === undefined) continue;
        counts[isolated.purpose] = (counts[isolated.purpose] ?? 0) + 1;
      }
      return counts;
    };
    expect(await purposes()).toEqual({ 'bulk-1': 1, 'bulk-2': 1, talk: 1 });
    far.isolation.renew();
    // Tor forgets all client keys with that; whoever else uses it can send it.
    await signal(far.link, 'NEWNYM');
    await far.dial(service.address, { force: true });
    expect(await purposes()).toEqual({ 'bulk-1': 1, 'bulk-2': 1, talk: 2 });
  });

  test('made anew, keep whoever is there, and know the clients of now', async () => {
    const [connection] = near.libp2p.getConnections(service.libp2p.peerId);
    await service.services.renew({ cut: false });
    expect(service.services.current?.state).toBe('published');
    expect(await near.echo(connection!, Buffer.from('still'))).toEqual(Buffer.from('still'));
  });

  test('cut everybody off when a client goes; the others come back (O17)', async () => {
    const gone = [...near.libp2p.getConnections(), ...far.libp2p.getConnections()].map(
      (connection) => new Promise((resolve) => connection.addEventListener('close', resolve)),
    );
    expect(gone.length).toBe(5);
    service.clients = [far.clientKey];
    await service.services.renew({ cut: true });
    await Promise.all(gone);
    // The circuit of before is gone, too, and with it what Tor knew of the service.
    await expect(near.dial(service.address)).rejects.toMatchObject({ code: 'ONION_AUTH' });
    const connection = await far.dial(service.address);
    expect(await far.echo(connection, Buffer.from('back'))).toEqual(Buffer.from('back'));
    service.clients = [near.clientKey, far.clientKey];
    await service.services.renew({ cut: false });
    await near.dial(service.address);
  });

  test('are found at the keys of before and of now, until the grace is over (O18)', async () => {
    const next = onionKeyOf(randomBytes(32));
    const changed = new Promise((resolve) =>
      service.libp2p.addEventListener('self:peer:update', resolve, { once: true }),
    );
    await service.services.use(next, { graceMs: 60_000 });
    await changed;
    const at = multiaddr(onionMultiaddr(next.publicKey));
    expect(service.libp2p.getMultiaddrs()[0]!.toString()).toContain(at.toString());
    await far.dial(at, { force: true });
    far.isolation.renew();
    await far.dial(service.address, { force: true });
    await service.services.end(service.onionKey.publicKey);
    expect(service.services.list()).toMatchObject([{ address: next.address, isCurrent: true }]);
    service.onionKey = next;
  });

  test('are found again when they died without a word, after one dial that fails', async () => {
    const { torrc } = await torNetwork();
    const of = (name: string) => new OnionNode(join(dir, name), torrc);
    const client = of('c');
    const [lost, again] = await Promise.all([
      of('l').start(),
      of('a').start(),
      client.start({ dialTimeoutMs: 4000 }),
    ]);
    try {
      again.onionKey = lost.onionKey;
      lost.clients = [client.clientKey];
      again.clients = [client.clientKey];
      await lost.services.use(lost.onionKey);
      await client.dial(lost.address);
      // Its relays go on believing in it, as in a machine without power.
      process.kill(lost.tor.pid, 'SIGSTOP');
      await again.services.use(again.onionKey);
      await expect(client.dial(lost.address)).rejects.toThrow();
      await vi.waitFor(() => client.dial(lost.address), { timeout: 30_000 });
    } finally {
      process.kill(lost.tor.pid, 'SIGCONT');
      await Promise.all([lost, again, client].map((node) => node.stop()));
    }
  });

  test('are there again when Tor is (O3, O9)', async () => {
    const down = service.libp2p
      .getConnections()
      .map((connection) => new Promise((resolve) => connection.addEventListener('close', resolve)));
    await service.tor.kill();
    await Promise.all(down);
    await vi.waitFor(() => expect(service.services.current?.state).toBe('down'));
    expect(service.libp2p.getMultiaddrs()).toEqual([]);
    await service.tor.start();
    const isPublished = () => expect(service.services.current?.state).toBe('published');
    await vi.waitFor(isPublished, { timeout: 60_000 });
    await near.dial(service.address);
  });
});

describeOverTor('libp2p through exits (O5)', () => {
  test('reaches an address, which is dialled by nobody else', async () => {
    const { torrc } = await torNetwork();
    const dir = await mkdtemp('/tmp/ao-');
    const node = await new OnionNode(join(dir, 'x'), torrc, { exits: true }).start({ exits: true });
    const plain = await createLibp2p({
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
    });
    try {
      const port = plain.getMultiaddrs()[0]!.getComponents()[1]!.value!;
      // Tor alone knows where that address is.
      await node.link.command('MAPADDRESS 93.184.216.34=127.0.0.1');
      const connection = await node.dial(multiaddr(`/ip4/93.184.216.34/tcp/${port}`));
      expect(connection.remotePeer.toString()).toBe(plain.peerId.toString());
      expect(node.transport.classOf(connection.remoteAddr)).toBe('exit');
      // No exit leads into a private network, and there is no other way.
      await expect(node.dial(multiaddr(`/ip4/127.0.0.1/tcp/${port}`))).rejects.toThrow();
    } finally {
      await plain.stop();
      await node.stop();
      await rm(dir, { recursive: true, force: true });
    }
  });
});
