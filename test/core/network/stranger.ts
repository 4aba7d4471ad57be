/** Hostile dialers and listeners: real libp2p nodes that do as they please after Noise. */
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import type {
  ComponentLogger,
  ConnectionEncrypter,
  Libp2p,
  SecureConnectionOptions,
  SecuredConnection,
  Transport,
} from '@libp2p/interface';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { FrameChannel } from '../../../src/core/network/frame-channel.ts';

export interface Attack {
  /** What the stranger does on the encrypted connection; returning lets the muxer start. */
  run(channel: FrameChannel, secured: SecuredConnection): Promise<void>;
  /** What it does to those who dial it. */
  answer?(channel: FrameChannel, secured: SecuredConnection): Promise<void>;
}

class AttackEncrypter implements ConnectionEncrypter {
  readonly protocol: string;
  readonly #noise: ConnectionEncrypter;
  readonly #attack: Attack;

  constructor(protocol: string, inner: ConnectionEncrypter, attack: Attack) {
    this.protocol = protocol;
    this.#noise = inner;
    this.#attack = attack;
  }

  async secureOutbound(
    connection: Parameters<ConnectionEncrypter['secureOutbound']>[0],
    options?: SecureConnectionOptions,
  ): Promise<SecuredConnection> {
    const secured = await this.#noise.secureOutbound(connection, options);
    const channel = new FrameChannel({ maxBytes: 1 << 20 }, secured.connection);
    try {
      await this.#attack.run(channel, secured);
    } finally {
      channel.release();
    }
    return secured;
  }

  async secureInbound(
    connection: Parameters<ConnectionEncrypter['secureInbound']>[0],
    options?: SecureConnectionOptions,
  ): Promise<SecuredConnection> {
    const secured = await this.#noise.secureInbound(connection, options);
    const channel = new FrameChannel({ maxBytes: 1 << 20 }, secured.connection);
    try {
      await this.#attack.answer?.(channel, secured);
    } finally {
      channel.release();
    }
    return secured;
  }
}

export interface Stranger extends AsyncDisposable {
  readonly node: Libp2p;
  dial(address: string): ReturnType<Libp2p['dial']>;
}

export async function createStranger(
  seed: Uint8Array,
  attack: Attack,
  protocol = '/aegis/hello/2',
  transport: (components: { readonly logger: ComponentLogger }) => Transport = tcp(),
): Promise<Stranger> {
  const node = await createLibp2p({
    privateKey: await generateKeyPairFromSeed('Ed25519', seed),
    addresses: { listen: attack.answer === undefined ? [] : ['/ip4/127.0.0.1/tcp/0'] },
    transports: [transport],
    connectionEncrypters: [
      (components) => new AttackEncrypter(protocol, noise()(components), attack),
    ],
    // The window is part of `/aegis/hello/2`; another breaks the rules at the first large frame.
    streamMuxers: [yamux({ streamOptions: { initialStreamWindowSize: 1 << 20 } })],
    connectionMonitor: { enabled: false },
    connectionManager: { reconnectRetries: 0 },
  });
  return {
    node,
    dial: (address) => node.dial(multiaddr(address), { signal: AbortSignal.timeout(5000) }),
    [Symbol.asyncDispose]: async () => node.stop(),
  };
}

/** Sends one frame and hands on what comes back, if anything. */
export function sayAndListen(frame: Uint8Array, heard: (answer: Uint8Array) => void): Attack {
  return {
    async run(channel) {
      channel.write(frame);
      heard(await channel.read(AbortSignal.timeout(5000)));
    },
  };
}
