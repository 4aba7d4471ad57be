/**
 * What lanes gain (docs/tor.md, O11): two hosts behind onion services, each with a Tor of its own,
 * and bulk streams from one to the other, by the one connection that talks and by lanes beside it.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type OnionKey, onionKeyOf, onionMultiaddr } from '../../src/core/crypto/onion.ts';
import { Host } from '../../src/core/network/host.ts';
import { systemClock } from '../../src/core/node/clock.ts';
import { TorLink } from '../../src/core/tor/control/link.ts';
import { Isolation } from '../../src/core/tor/isolation.ts';
import { OnionServices } from '../../src/core/tor/onion/services.ts';
import { torTransport } from '../../src/core/tor/transport/transport.ts';
import { KIB, MIB } from '../../src/core/units.ts';
import { Cluster, noMetrics } from '../core/network/cluster.ts';
import { SystemTor } from '../tor/support/system-tor.ts';
import type { Figure } from './figures.ts';
import { until } from './processes.ts';
import { share, silent, withTor } from './tor-network.ts';

const STREAMS = 4;
const STREAM_BYTES = 2 * MIB;
const ROUNDS = share(10);
const WAIT_MS = 120_000;
const CHUNK = randomBytes(64 * KIB);
const random = { bytes: (length: number) => randomBytes(length) };

class Place {
  readonly #tor: SystemTor;
  readonly #link: TorLink;
  readonly #services: OnionServices;
  readonly #key: OnionKey = onionKeyOf(randomBytes(32));
  readonly #isolation = new Isolation(randomBytes(32));
  #host: Host | undefined;

  constructor(dir: string, torrc: string) {
    this.#tor = new SystemTor(dir, torrc);
    const deps = { log: silent, clock: systemClock() };
    const endpoint = { path: this.#tor.controlPath };
    this.#link = new TorLink({ endpoint, auth: {} }, { ...deps, random });
    this.#services = new OnionServices(
      { target: { path: join(dir, 'target') }, socketsMax: 64 },
      { ...deps, link: this.#link, clientsOf: () => 'open' },
    );
  }

  get address(): string {
    return onionMultiaddr(this.#key.publicKey);
  }

  async start(): Promise<void> {
    await this.#tor.start();
    await this.#link.start();
    await this.#services.open();
    await this.#services.use(this.#key);
    const isUp = () => (this.#services.current?.state === 'published' ? true : undefined);
    await until('the service', async () => isUp(), WAIT_MS);
  }

  /** A host at this place; the one of before is gone. */
  async host(cluster: Cluster, index: number, lanesPerPeer: number): Promise<Host> {
    await this.#host?.stop();
    const member = cluster.members[index]!;
    const transport = torTransport(
      { exits: false, dialTimeoutMs: 90_000 },
      {
        proxy: () => ({ path: this.#tor.socksPath }),
        isolation: this.#isolation,
        clientKeys: () => [],
        install: () => Promise.resolve(),
        refetch: () => Promise.resolve(),
        listeners: this.#services,
        log: silent,
      },
    );
    const { networkSeed } = member;
    const host = await Host.create(
      {
        ...{ networkSeed, profile: 'network', limits: { lanesPerPeer } },
        ...{ listen: [this.address], transports: [transport] },
        hello: cluster.context(member),
      },
      { log: silent, metrics: noMetrics, clock: systemClock(), random },
    );
    await host.start();
    this.#host = host;
    return host;
  }

  async stop(): Promise<void> {
    await this.#host?.stop();
    await this.#services.close();
    await this.#link.stop();
    await this.#tor.kill();
  }
}

export const lanes = (): Promise<Figure[]> =>
  withTor(async ({ dir, torrc }) => {
    const [reader, holder] = ['r', 'h'].map((name) => new Place(join(dir, name), torrc));
    try {
      await Promise.all([reader!.start(), holder!.start()]);
      const figures: Figure[] = [];
      for (const lanesPerPeer of [0, 1, 3]) {
        figures.push(...(await measure(reader!, holder!, lanesPerPeer)));
      }
      return figures;
    } finally {
      await Promise.all([reader!.stop(), holder!.stop()]);
    }
  });

async function measure(reader: Place, holder: Place, lanesPerPeer: number): Promise<Figure[]> {
  const cluster = new Cluster(2);
  const [a, b] = [
    await reader.host(cluster, 0, lanesPerPeer),
    await holder.host(cluster, 1, lanesPerPeer),
  ];
  const { nodeId } = cluster.members[1]!;
  b.handleBulk(async (_from, _request, out) => {
    for (let sent = 0; sent < STREAM_BYTES; sent += CHUNK.length) await out.write(CHUNK);
  });
  await a.dial(holder.address);
  const rates: number[] = [];
  const rttsMs: number[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const from = performance.now();
    const streams = Array.from({ length: STREAMS }, () => drain(a, nodeId));
    const during = a.ping(nodeId).catch(() => Number.NaN);
    await Promise.all(streams);
    const seconds = (performance.now() - from) / 1000;
    // The first round makes the lanes.
    if (round === 0) {
      await until('lanes', async () => (a.peer(nodeId)?.lanes === lanesPerPeer ? 1 : undefined));
      continue;
    }
    rates.push((STREAMS * STREAM_BYTES) / MIB / seconds);
    rttsMs.push(await during);
  }
  const name = `${STREAMS} bulk streams over Tor, ${lanesPerPeer} lanes`;
  return [
    { name, unit: 'MiB/s', samples: rates },
    { name: '  RTT of the connection that talks, meanwhile', unit: 'ms', samples: rttsMs },
  ];
}

async function drain(host: Host, nodeId: string): Promise<void> {
  for await (const _chunk of await host.openBulk(nodeId, Uint8Array.of(1)));
}
