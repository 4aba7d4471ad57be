/**
 * A libp2p node behind a Tor of its own, with nothing of aegis but the rooms of Tor. It reaches
 * nobody but through that Tor.
 */
import { randomBytes } from 'node:crypto';
import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { noise } from '@libp2p/noise';
import { yamux } from '@libp2p/yamux';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { agreementKeyOf } from '../../../src/core/crypto/agree.ts';
import { type OnionKey, onionKeyOf, onionMultiaddr } from '../../../src/core/crypto/onion.ts';
import { systemClock } from '../../../src/core/node/clock.ts';
import { Bootstrap } from '../../../src/core/tor/control/bootstrap.ts';
import { addClientKey, fetchDescriptor } from '../../../src/core/tor/control/commands.ts';
import { TorLink } from '../../../src/core/tor/control/link.ts';
import { Isolation } from '../../../src/core/tor/isolation.ts';
import type { OnionClients } from '../../../src/core/tor/onion/service.ts';
import { OnionServices } from '../../../src/core/tor/onion/services.ts';
import { type TorTransport, torTransport } from '../../../src/core/tor/transport/transport.ts';
import { memoryLog } from '../../core/network/cluster.ts';
import { SystemTor } from './system-tor.ts';

const ECHO = '/test/echo/1';

export class OnionNode {
  readonly tor: SystemTor;
  readonly link: TorLink;
  readonly services: OnionServices;
  readonly isolation = new Isolation(randomBytes(32));
  onionKey: OnionKey = onionKeyOf(randomBytes(32));
  /** Of this node as a client, an X25519 secret. */
  readonly clientSecret: Uint8Array = randomBytes(32);
  /** Who can find it. */
  clients: OnionClients = [];
  /** What it tries at every service. */
  secrets: readonly Uint8Array[] = [this.clientSecret];
  transport!: TorTransport;
  libp2p!: Libp2p;

  constructor(dir: string, torrc: string, { exits = false }: { readonly exits?: boolean } = {}) {
    const deps = { log: memoryLog(), clock: systemClock(), random: { bytes: randomBytes } };
    this.tor = new SystemTor(dir, torrc, { exits });
    this.link = new TorLink({ endpoint: { path: this.tor.controlPath }, auth: {} }, deps);
    this.services = new OnionServices(
      // With PoW on, as it stands in no one's way until there is a flood (O20).
      { target: { path: `${dir}/target` }, socketsMax: 64, pow: {} },
      { ...deps, link: this.link, clientsOf: () => this.clients },
    );
  }

  get address(): Multiaddr {
    return multiaddr(onionMultiaddr(this.onionKey.publicKey));
  }

  get clientKey(): Uint8Array {
    return agreementKeyOf(this.clientSecret);
  }

  /** @param options.exits whether its transport uses them. */
  async start({ exits = false, dialTimeoutMs = 60_000 } = {}): Promise<this> {
    await this.tor.start();
    await this.link.start();
    await this.#bootstrapped();
    await this.services.open();
    const make = torTransport(
      { exits, dialTimeoutMs },
      {
        proxy: () => ({ path: this.tor.socksPath }),
        isolation: this.isolation,
        clientKeys: () => this.secrets.map((secret) => Uint8Array.from(secret)),
        install: (address, secret) => addClientKey(this.link, address, secret),
        refetch: (address) => fetchDescriptor(this.link, address),
        listeners: this.services,
        log: memoryLog(),
      },
    );
    this.libp2p = await createLibp2p({
      addresses: { listen: [this.address.toString()] },
      transports: [
        () => {
          this.transport = make({ door: { admits: (from) => from === 'onion' } });
          return this.transport;
        },
      ],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionMonitor: { enabled: false },
      connectionManager: {
        dialTimeout: 90_000,
        addressDialTimeout: 90_000,
        inboundUpgradeTimeout: 60_000,
        reconnectRetries: 0,
        resolvers: {},
      },
    });
    await this.libp2p.handle(ECHO, echo, { runOnLimitedConnection: true });
    return this;
  }

  async stop(): Promise<void> {
    await this.libp2p?.stop();
    await this.services.close();
    await this.link.stop();
    await this.tor.kill();
  }

  dial(to: Multiaddr, { force = false } = {}): Promise<Connection> {
    return this.libp2p.dial(to, { force, signal: AbortSignal.timeout(90_000) });
  }

  /** There and back. */
  async echo(connection: Connection, bytes: Uint8Array): Promise<Uint8Array> {
    const stream = await connection.newStream(ECHO, { signal: AbortSignal.timeout(60_000) });
    return talk(stream, bytes);
  }

  async #bootstrapped(): Promise<void> {
    const bootstrap = new Bootstrap({ clock: systemClock() });
    const end = bootstrap.start(this.link);
    await new Promise<void>((resolve) => {
      bootstrap.onChange(({ isReady }) => isReady && resolve());
      if (bootstrap.status.isReady) resolve();
    });
    end();
  }
}

const echo = async (stream: Stream): Promise<void> => {
  for await (const chunk of stream) {
    if (!stream.send(chunk)) await stream.onDrain();
  }
  await stream.close();
};

async function talk(stream: Stream, bytes: Uint8Array): Promise<Uint8Array> {
  const send = async (): Promise<void> => {
    for (let at = 0; at < bytes.length; at += 65_536) {
      if (!stream.send(bytes.subarray(at, at + 65_536))) await stream.onDrain();
    }
    await stream.close();
  };
  const receive = async (): Promise<Uint8Array> => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of stream) chunks.push(chunk.subarray());
    return Buffer.concat(chunks);
  };
  const [received] = await Promise.all([receive(), send()]);
  return received;
}
