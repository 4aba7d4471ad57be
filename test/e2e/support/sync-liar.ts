/**
 * A member that lies about the history: the real network room with the keys of one node of a
 * cluster, in the hands of a test. What it answers when it is asked for blocks, the test decides.
 */
import { readFileSync } from 'node:fs';
import {
  CHAIN_PROTOCOL,
  encodeMessage,
  type OutgoingMessage,
  openMessage,
} from '../../../src/core/chain/messages.ts';
import { resolveHome } from '../../../src/core/config/home.ts';
import { Keystore } from '../../../src/core/keys/keystore.ts';
import { systemRandom } from '../../../src/core/keys/random.ts';
import { openGenesis } from '../../../src/core/model/genesis.ts';
import { Host } from '../../../src/core/network/host.ts';
import { systemClock } from '../../../src/core/node/clock.ts';
import type { Cluster } from './cluster.ts';
import { silent, trustful, uncounted } from './liar.ts';

/** The answer to a question for the blocks from a height on; undefined: silence. */
export type Lie = (from: number) => OutgoingMessage | undefined;

/** How often it says what it has. */
const ANNOUNCE_MS = 500;

export class SyncLiar {
  readonly nodeId: string;
  readonly #host: Host;
  readonly #keystore: Keystore;
  readonly #timer: NodeJS.Timeout;
  /** How often it was asked for blocks. */
  asked = 0;

  private constructor(host: Host, keystore: Keystore, announce: () => void) {
    this.nodeId = keystore.nodeId;
    this.#host = host;
    this.#keystore = keystore;
    this.#timer = setInterval(announce, ANNOUNCE_MS);
  }

  /** Takes the place of node `number`, whose daemon must be down. It claims to have `height`. */
  static async join(cluster: Cluster, number: number, height: number, lie: Lie): Promise<SyncLiar> {
    const { home, address } = cluster.node(number);
    const paths = resolveHome({ home, env: {} });
    const passphrase = readFileSync(cluster.passphraseFile, 'utf8');
    const keystore = await Keystore.open({ dir: paths.keys, passphrase });
    const genesis = openGenesis(new Uint8Array(readFileSync(paths.genesis)));
    const host = await Host.create(
      {
        networkSeed: keystore.networkSeed(),
        listen: [address],
        profile: 'loopback',
        hello: trustful(genesis.clusterId, keystore.inceptionBytes),
      },
      { log: silent, metrics: uncounted, clock: systemClock(), random: systemRandom },
    );
    const say = (to: string, message: OutgoingMessage): void => {
      host.send({ to, protocol: CHAIN_PROTOCOL, body: encodeMessage(message) });
    };
    const digest = 'ab'.repeat(32);
    const claim = { type: 'announce', height, digest, base: 1, snapshot: 0 } as const;
    const liar = new SyncLiar(host, keystore, () => {
      for (const { nodeId } of host.peers()) say(nodeId, claim);
    });
    const { clusterId, names } = genesis;
    const open = { clusterId, names, height: () => 0, hasKey: () => true, isKnown: () => true };
    host.onEnvelope(({ from, protocol, body }) => {
      if (protocol !== CHAIN_PROTOCOL) return;
      const { message } = openMessage(protocol, body, open);
      if (message.type !== 'want') return;
      liar.asked += 1;
      const answer = lie(message.from);
      if (answer !== undefined) say(from, answer);
    });
    await host.start();
    return liar;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#host.stop();
    this.#keystore.close();
  }
}
