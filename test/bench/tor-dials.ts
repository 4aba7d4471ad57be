/**
 * Dials to onion services, each on a circuit of its own: 25 services that only one client key
 * opens, at one Tor; the client at another. Half of the dials need the descriptor first, because
 * NEWNYM has made Tor forget it. What is behind the service only sends back what it gets.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { agreementKeyOf } from '../../src/core/crypto/agree.ts';
import { onionKeyOf } from '../../src/core/crypto/onion.ts';
import { toAegisError } from '../../src/core/errors.ts';
import { systemRandom } from '../../src/core/keys/random.ts';
import { systemClock } from '../../src/core/node/clock.ts';
import { addClientKey, signal } from '../../src/core/tor/control/commands.ts';
import { TorLink } from '../../src/core/tor/control/link.ts';
import { OnionService } from '../../src/core/tor/onion/service.ts';
import { socksConnect } from '../../src/core/tor/socks/connect.ts';
import { SystemTor } from '../tor/support/system-tor.ts';
import type { Figure } from './figures.ts';
import { pause, residentMib } from './processes.ts';
import { share, silent, withTor } from './tor-network.ts';

const SERVICES = 25;
/** Each dials every service twice: before and after its descriptor is there. */
const ROUNDS = share(10);
const PARALLEL = 4;
/** O24. */
const DIAL_MS = 90_000;
/** Tor puts off a NEWNYM that comes sooner than 10 s after the one before. */
const NEWNYM_MS = 11_000;
const PINGS = 5;
const MIB = 1024 * 1024;
const BULK_BYTES = 8 * MIB;
const BULK_ROUNDS = share(5);
const LANES = 4;

interface Seen {
  readonly coldMs: number[];
  readonly warmMs: number[];
  readonly rttMs: number[];
  readonly failed: Map<string, number>;
}

export const dials = (): Promise<Figure[]> =>
  withTor(async ({ dir, torrc }) => {
    const [near, far] = ['near', 'far'].map((name) => new SystemTor(join(dir, name), torrc));
    const links: TorLink[] = [];
    const echo = await echoServer();
    try {
      for (const tor of [near!, far!]) {
        await tor.start();
        links.push(await linkTo(tor));
      }
      const [client, server] = links;
      const services = await publish(server!, (echo.address() as { port: number }).port);
      const seen: Seen = { coldMs: [], warmMs: [], rttMs: [], failed: new Map() };
      for (let round = 0; round < ROUNDS; round += 1) {
        const begun = performance.now();
        await signal(client!, 'NEWNYM');
        // It forgets the keys of clients, too.
        for (const { address, secret } of services) await addClientKey(client!, address, secret);
        await each(services, ({ address }) => dialOnce(near!, address, seen, seen.coldMs));
        await each(services, ({ address }) => dialOnce(near!, address, seen, seen.warmMs));
        await pause(Math.max(0, NEWNYM_MS - (performance.now() - begun)));
      }
      const bulk = await throughput(near!, services[0]!.address);
      const memory = [near!, far!].map(({ pid }) => residentMib(pid));
      return [...dialFigures(seen), ...bulk, ...memoryFigures(memory)];
    } finally {
      await Promise.all(links.map((link) => link.stop()));
      await Promise.all([near!.kill(), far!.kill()]);
      echo.close();
    }
  });

function dialFigures({ coldMs, warmMs, rttMs, failed }: Seen): Figure[] {
  const dialled = coldMs.length + warmMs.length;
  const bad = [...failed.values()].reduce((sum, count) => sum + count, 0);
  for (const [code, count] of failed) console.error(`${count} dials failed at first: ${code}`);
  return [
    {
      name: `${dialled + bad} dials of ${SERVICES} services, right at the first attempt`,
      unit: '%',
      samples: [(100 * dialled) / (dialled + bad)],
      goal: { least: 99 },
    },
    { name: '  without the descriptor', unit: 'ms', samples: coldMs, of: 'p95' },
    { name: '  with the descriptor, a new circuit', unit: 'ms', samples: warmMs, of: 'p95' },
    { name: '  RTT on that circuit', unit: 'ms', samples: rttMs, of: 'p95' },
  ];
}

const memoryFigures = ([near, far]: readonly number[]): Figure[] => [
  { name: '  resident, the Tor that dialled', unit: 'MiB', samples: [near!] },
  { name: `  resident, the Tor of ${SERVICES} services`, unit: 'MiB', samples: [far!] },
];

/** Sends back what it gets. */
async function echoServer(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function linkTo(tor: SystemTor): Promise<TorLink> {
  const link = new TorLink(
    { endpoint: { path: tor.controlPath }, auth: {} },
    { log: silent, clock: systemClock(), random: systemRandom },
  );
  await link.start();
  return link;
}

interface Service {
  readonly address: string;
  /** Of the one client that it lets in. */
  readonly secret: Uint8Array;
}

/** Resolves when all descriptors are published. */
async function publish(server: TorLink, port: number): Promise<Service[]> {
  const indices = Array.from({ length: SERVICES }, (_, i) => i);
  const services: Service[] = [];
  await each(indices, async () => {
    const key = onionKeyOf(randomBytes(32));
    const secret = randomBytes(32);
    const target = { host: '127.0.0.1', port };
    const service = new OnionService(
      { key, port: 4001, target },
      { link: server, log: silent, clock: systemClock() },
    );
    await service.publish([agreementKeyOf(secret)]);
    if (service.status.state !== 'published') throw new Error(`not up: ${service.status.why}`);
    services.push({ address: key.address, secret });
  });
  return services;
}

/** All of them, so many at a time. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

let isolated = 0;

/** Nobody else's circuit: Tor isolates streams with other SOCKS credentials. */
function connect(tor: SystemTor, host: string): Promise<Socket> {
  isolated += 1;
  const isolation = { username: `bench-${isolated}`, password: 'x' };
  const proxy = { path: tor.socksPath };
  return socksConnect({ proxy, host, port: 4001, isolation }, { timeoutMs: DIAL_MS });
}

async function dialOnce(tor: SystemTor, host: string, seen: Seen, took: number[]): Promise<void> {
  const from = performance.now();
  let socket: Socket;
  try {
    socket = await connect(tor, host);
  } catch (error) {
    const { code } = toAegisError(error);
    seen.failed.set(code, (seen.failed.get(code) ?? 0) + 1);
    return;
  }
  took.push(performance.now() - from);
  for (let i = 0; i < PINGS; i += 1) seen.rttMs.push(await echoed(socket, 1));
  socket.destroy();
}

/** Milliseconds until so many bytes are back. */
async function echoed(socket: Socket, bytes: number): Promise<number> {
  const from = performance.now();
  let left = bytes;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const take = (chunk: Buffer): void => {
    left -= chunk.length;
    if (left <= 0) resolve();
  };
  socket.on('data', take).once('error', reject);
  socket.write(Buffer.alloc(bytes));
  await promise;
  socket.off('data', take).off('error', reject);
  return performance.now() - from;
}

/** O11: one circuit against several at once, to one service. */
async function throughput(tor: SystemTor, address: string): Promise<Figure[]> {
  const rates: Record<'one' | 'several', number[]> = { one: [], several: [] };
  const rate = async (lanes: number): Promise<number> => {
    const sockets = await Promise.all(Array.from({ length: lanes }, () => connect(tor, address)));
    const from = performance.now();
    await Promise.all(sockets.map((socket) => echoed(socket, BULK_BYTES)));
    const seconds = (performance.now() - from) / 1000;
    for (const socket of sockets) socket.destroy();
    return (lanes * BULK_BYTES) / MIB / seconds;
  };
  for (let round = 0; round < BULK_ROUNDS; round += 1) {
    rates.one.push(await rate(1));
    rates.several.push(await rate(LANES));
  }
  return [
    { name: '  bytes there and back, one circuit', unit: 'MiB/s', samples: rates.one },
    { name: `  the same, ${LANES} circuits at once`, unit: 'MiB/s', samples: rates.several },
  ];
}
