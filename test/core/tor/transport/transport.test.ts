/** Two libp2p nodes and a fake Tor between them; test/tor/transport.test.ts has the real one. */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import type { Libp2p, Transport } from '@libp2p/interface';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { onionKeyOf, onionMultiaddr } from '../../../../src/core/crypto/onion.ts';
import { AegisError } from '../../../../src/core/errors.ts';
import { systemClock } from '../../../../src/core/node/clock.ts';
import { silentLogger } from '../../../../src/core/silent-logger.ts';
import { TorLink } from '../../../../src/core/tor/control/link.ts';
import { Isolation } from '../../../../src/core/tor/isolation.ts';
import { OnionServices } from '../../../../src/core/tor/onion/services.ts';
import {
  type TorTransport,
  type TorTransportDeps,
  torTransport,
} from '../../../../src/core/tor/transport/transport.ts';
import { FakeTor } from '../../../helpers/fake-tor.ts';
import { memoryLog } from '../../network/cluster.ts';

const key = onionKeyOf(new Uint8Array(32).fill(1));
const ONION = onionMultiaddr(key.publicKey);
const PUBLIC = '/ip4/93.184.216.34/tcp/4001';

let tor: FakeTor;
let link: TorLink;
let services: OnionServices;
const undo: (() => unknown)[] = [];

beforeEach(async () => {
  tor = await FakeTor.start();
  undo.push(() => tor.stop());
  const deps = { log: memoryLog(), clock: systemClock(), random: { bytes: randomBytes } };
  link = new TorLink({ endpoint: tor.control, auth: { cookieFile: tor.cookieFile } }, deps);
  await link.start();
  undo.push(() => link.stop());
  services = new OnionServices(
    { target: { host: '127.0.0.1', port: 0 }, socketsMax: 8 },
    { ...deps, link, clientsOf: () => 'open' },
  );
  await services.open();
  undo.push(() => services.close());
});
afterEach(async () => {
  for (const one of undo.splice(0).toReversed()) await one();
});

interface NodeOptions {
  readonly listen?: string;
  readonly exits?: boolean;
  readonly direct?: Transport;
  readonly admits?: (address: string) => boolean;
  readonly deps?: Partial<TorTransportDeps>;
  readonly dialTimeoutMs?: number;
}

async function node(
  options: NodeOptions = {},
): Promise<{ libp2p: Libp2p; transport: TorTransport }> {
  const { exits = false, direct, admits = () => true, dialTimeoutMs = 10_000 } = options;
  const isolation = new Isolation(randomBytes(32));
  const transport = torTransport(
    { exits, dialTimeoutMs, ...(direct === undefined ? {} : { direct }) },
    {
      proxy: () => tor.socks,
      isolation,
      clientKeys: () => [],
      install: async () => undefined,
      refetch: async () => undefined,
      listeners: services,
      log: memoryLog(),
      ...options.deps,
    },
  )({ door: { admits } });
  const libp2p = await createLibp2p({
    addresses: { listen: options.listen === undefined ? [] : [options.listen] },
    transports: [() => transport],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    logger: silentLogger(),
  });
  undo.push(() => libp2p.stop());
  return { libp2p, transport };
}

/** A node that is found at the onion. */
async function published(options: NodeOptions = {}) {
  const one = await node({ listen: ONION, ...options });
  await services.use(key);
  tor.targets.set(`${key.address}:4001`, services.target);
  return one;
}

async function plain(): Promise<{ libp2p: Libp2p; port: number }> {
  const libp2p = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    logger: silentLogger(),
  });
  undo.push(() => libp2p.stop());
  return { libp2p, port: Number(libp2p.getMultiaddrs()[0]!.getComponents()[1]!.value) };
}

const direct = (): Transport => tcp()({ logger: silentLogger() });

describe('a listener behind onion services', () => {
  test('has an address when the service is up, another one with another key', async () => {
    const { libp2p } = await node({ listen: ONION });
    const addresses = (): string[] =>
      libp2p.getMultiaddrs().map((address) => address.toString().replace(/\/p2p\/.*/, ''));
    expect(addresses()).toEqual([]);
    await services.use(key);
    expect(addresses()).toEqual([ONION]);
    const other = onionKeyOf(new Uint8Array(32).fill(2));
    await services.use(other, { graceMs: 60_000 });
    expect(addresses()).toEqual([onionMultiaddr(other.publicKey)]);
    tor.cut();
    await vi.waitFor(() => expect(addresses()).toEqual([]));
    await vi.waitFor(() => expect(addresses()).toEqual([onionMultiaddr(other.publicKey)]));
  });

  test('takes what comes, knows no address of it, and ends it when it is closed', async () => {
    const { libp2p } = await published();
    const { libp2p: dialler } = await node();
    const connection = await dialler.dial(multiaddr(ONION));
    await vi.waitFor(() => expect(libp2p.getConnections()).toHaveLength(1));
    expect(libp2p.getConnections()[0]!.remoteAddr.toString()).toMatch(
      /^\/memory\/onion-\d+\/p2p\//,
    );
    const closed = new Promise((resolve) => connection.addEventListener('close', resolve));
    await libp2p.stop();
    await closed;
    await expect(dialler.dial(multiaddr(ONION))).rejects.toThrow();
  });

  test('asks the door first, which knows all of Tor by one name (O20)', async () => {
    const asked: string[] = [];
    const { libp2p } = await published({
      admits: (address) => {
        asked.push(address);
        return asked.length > 1;
      },
    });
    const { libp2p: dialler } = await node();
    await expect(dialler.dial(multiaddr(ONION))).rejects.toThrow();
    expect(libp2p.getConnections()).toEqual([]);
    await dialler.dial(multiaddr(ONION));
    expect(asked).toEqual(['onion', 'onion']);
  });
});

describe('a dial through Tor', () => {
  test('asks for the onion with the credentials of the peer and the purpose (O11)', async () => {
    await published();
    const { libp2p, transport } = await node();
    const talk = await libp2p.dial(multiaddr(ONION));
    const bulk = await libp2p.dial(multiaddr(`${ONION}/memory/bulk-1`), { force: true });
    const [first, second] = tor.requests;
    expect(first).toMatchObject({ host: key.address, port: 4001 });
    expect(second).toMatchObject({ host: key.address, port: 4001 });
    expect(first!.credentials).not.toBe(second!.credentials);
    for (const connection of [talk, bulk]) {
      expect(transport.classOf(connection.remoteAddr)).toBe('onion');
      expect(connection.remoteAddr.toString()).toMatch(new RegExp(`^${ONION}/p2p/`));
    }
  });

  test('tries the next client key when one is refused, and no more once one is right', async () => {
    await published();
    const installed: number[] = [];
    const { libp2p } = await node({
      deps: {
        clientKeys: (service) => {
          expect(service).toEqual(key.publicKey);
          return [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
        },
        install: async (address, secret) => {
          expect(address).toBe(key.address);
          installed.push(secret[0]!);
          tor.fault = secret[0] === 2 ? 'none' : 'socks-f5';
        },
      },
    });
    await libp2p.dial(multiaddr(ONION));
    await libp2p.dial(multiaddr(ONION), { force: true });
    expect(installed).toEqual([1, 2]);
  });

  test('says why it failed in the words of Tor, and asks nobody when there is no Tor', async () => {
    const { libp2p } = await node();
    const codeOf = (fault: string) => {
      tor.fault = fault;
      return expect(libp2p.dial(multiaddr(ONION))).rejects;
    };
    await codeOf('socks-f0').toMatchObject({ code: 'ONION_NOT_FOUND' });
    await codeOf('socks-f4').toMatchObject({ code: 'ONION_AUTH' });
    await codeOf('socks-05').toMatchObject({ code: 'ONION_UNREACHABLE' });
    const { length } = tor.requests;
    const unreachable = new Error('there is no Tor');
    const { libp2p: lonely } = await node({
      deps: {
        proxy: () => {
          throw unreachable;
        },
      },
    });
    await expect(lonely.dial(multiaddr(ONION))).rejects.toBe(unreachable);
    expect(tor.requests).toHaveLength(length);
  });

  test('takes another circuit after one that led nowhere or fell silent', async () => {
    await published();
    const { libp2p } = await node();
    const used = async (): Promise<string> => {
      const connection = await libp2p.dial(multiaddr(ONION), { force: true });
      undo.push(() => connection.close());
      return tor.requests.at(-1)!.credentials!;
    };
    const first = await used();
    expect(await used()).toBe(first);
    tor.fault = 'socks-06';
    await expect(libp2p.dial(multiaddr(ONION), { force: true })).rejects.toThrow();
    tor.fault = 'none';
    const second = await used();
    expect(second).not.toBe(first);
    // What is closed in good order, by either side, was a good circuit.
    const [last] = libp2p.getConnections().slice(-1);
    await last!.close();
    expect(await used()).toBe(second);
    libp2p.getConnections().at(-1)!.abort(new Error('no heartbeat'));
    expect(await used()).not.toBe(second);
  });

  test('has Tor look again for a service that cannot be reached, and for no other', async () => {
    const looked: string[] = [];
    const refetch = async (address: string): Promise<void> => {
      looked.push(address);
      throw new Error('and nothing comes of it');
    };
    const { libp2p } = await node({ exits: true, deps: { refetch } });
    for (const fault of ['socks-f0', 'socks-f4', 'socks-f3', 'socks-01']) {
      tor.fault = fault;
      await expect(libp2p.dial(multiaddr(ONION))).rejects.toThrow();
    }
    await expect(libp2p.dial(multiaddr(PUBLIC))).rejects.toThrow();
    expect(looked).toEqual([key.address, key.address]);
    tor.fault = 'none';
    await published();
    const connection = await libp2p.dial(multiaddr(ONION));
    connection.abort(new Error('no heartbeat'));
    expect(looked).toHaveLength(3);
  });

  test('ends when it is given up', async () => {
    tor.fault = 'socks-hang';
    const { libp2p } = await node();
    const stop = new AbortController();
    const dial = libp2p.dial(multiaddr(ONION), { signal: stop.signal });
    await vi.waitFor(() => expect(tor.requests).toHaveLength(1));
    stop.abort();
    await expect(dial).rejects.toThrow();
  });

  test('ends the connection of a peer that does not shake hands', async () => {
    const server = createServer((socket) =>
      socket.on('error', () => undefined).end('HTTP/1.1 400'),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    undo.push(() => server.close());
    const { port } = server.address() as { port: number };
    tor.targets.set(`${key.address}:4001`, { host: '127.0.0.1', port });
    const { libp2p } = await node();
    await expect(libp2p.dial(multiaddr(ONION))).rejects.toThrow();
    expect(libp2p.getConnections()).toEqual([]);
  });
});

describe('the ways of a route', () => {
  const addresses = [ONION, PUBLIC, '/ip4/192.168.1.7/tcp/1', '/dns4/node.example.org/tcp/1'];
  const ways = async (options: NodeOptions) => {
    const { transport } = await node(options);
    const all = addresses.map((text) => multiaddr(text));
    const dialled = transport.dialFilter(all).map(String);
    return addresses.map((text, at) => {
      expect(dialled.includes(text)).toBe(transport.classOf(all[at]!) !== undefined);
      return transport.classOf(all[at]!);
    });
  };

  test('are the onion only, in `require` without exits (O1, O5)', async () => {
    expect(await ways({})).toEqual(['onion', undefined, undefined, undefined]);
  });

  test('are exits, too, where they are wanted, into no private network', async () => {
    expect(await ways({ exits: true })).toEqual(['onion', 'exit', undefined, 'exit']);
  });

  test('are direct in `prefer` for private networks, and for all without exits (O4)', async () => {
    expect(await ways({ exits: true, direct: direct() })).toEqual([
      'onion',
      'exit',
      'direct',
      'exit',
    ]);
    expect(await ways({ direct: direct() })).toEqual(['onion', 'direct', 'direct', 'direct']);
  });

  test('never lead to an onion by way of a name server, an exit or a socket', async () => {
    const { transport } = await node({ exits: true, direct: direct() });
    const disguised = multiaddr(`/dns4/${key.address}/tcp/4001`);
    const wrong = multiaddr(ONION.replace(/.:4001/, (end) => `${end[0] === 'd' ? 'e' : 'd'}:4001`));
    expect(transport.dialFilter([disguised, wrong])).toEqual([]);
    expect(transport.listenFilter([disguised, wrong, multiaddr(PUBLIC)])).toEqual([]);
    expect(transport.classOf(disguised)).toBeUndefined();
  });

  test('through an exit: Tor is asked for the address or name as it is', async () => {
    const { libp2p: far, port } = await plain();
    const { libp2p, transport } = await node({ exits: true });
    for (const [text, host] of [
      [PUBLIC, '93.184.216.34'],
      ['/dns4/node.example.org/tcp/4001', 'node.example.org'],
    ] as const) {
      tor.targets.set(`${host}:4001`, { host: '127.0.0.1', port });
      const connection = await libp2p.dial(multiaddr(text), { force: true });
      expect(connection.remotePeer.toString()).toBe(far.peerId.toString());
      expect(transport.classOf(connection.remoteAddr)).toBe('exit');
      expect(tor.requests.at(-1)).toMatchObject({ host, port: 4001 });
    }
  });

  test('in `prefer`: directly when the exit fails, and the class says so', async () => {
    const dialled: string[] = [];
    const { libp2p: far, port } = await plain();
    const way = direct();
    const dial = way.dial.bind(way);
    way.dial = async (address, options) => {
      dialled.push(address.toString());
      const loopback = multiaddr(`/ip4/127.0.0.1/tcp/${port}`);
      // The public address of this test is on this machine; the object stays that of the dial.
      return dial(
        Object.assign(address, { getComponents: () => loopback.getComponents() }),
        options,
      );
    };
    const { libp2p, transport } = await node({ exits: true, direct: way });
    tor.fault = 'socks-05';
    const connection = await libp2p.dial(multiaddr(PUBLIC));
    expect(connection.remotePeer.toString()).toBe(far.peerId.toString());
    expect(dialled).toEqual([PUBLIC]);
    expect(tor.requests).toHaveLength(1);
    expect(transport.classOf(connection.remoteAddr)).toBe('direct');
  });

  test('in `prefer`: directly, in time, when the exit is silent or there is no Tor', async () => {
    const way = direct();
    const dialled = new Error('dialled directly');
    way.dial = async () => Promise.reject(dialled);
    const silent = await node({ exits: true, direct: way, dialTimeoutMs: 100 });
    tor.fault = 'socks-hang';
    await expect(silent.libp2p.dial(multiaddr(PUBLIC))).rejects.toBe(dialled);
    const proxy = (): never => {
      throw new AegisError('TOR_UNREACHABLE', 'there is no Tor');
    };
    const without = await node({ exits: true, direct: way, deps: { proxy } });
    await expect(without.libp2p.dial(multiaddr(PUBLIC))).rejects.toBe(dialled);
    await expect(without.libp2p.dial(multiaddr(ONION))).rejects.toMatchObject({
      code: 'TOR_UNREACHABLE',
    });
  });

  test('end where a peer was reached: who is refused there is not dialled again', async () => {
    const server = createServer((socket) => socket.on('error', () => undefined).end('no'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    undo.push(() => server.close());
    const { port } = server.address() as { port: number };
    tor.targets.set('93.184.216.34:4001', { host: '127.0.0.1', port });
    const way = direct();
    const dial = vi.spyOn(way, 'dial');
    const { libp2p } = await node({ exits: true, direct: way });
    await expect(libp2p.dial(multiaddr(PUBLIC))).rejects.toThrow();
    expect(dial).not.toHaveBeenCalled();
  });

  test('have none for what they do not know', async () => {
    const { transport } = await node();
    const options = { signal: new AbortController().signal } as Parameters<Transport['dial']>[1];
    await expect(transport.dial(multiaddr(PUBLIC), options)).rejects.toMatchObject({
      code: 'ROUTE_FORBIDS',
    });
  });
});
