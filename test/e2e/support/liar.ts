/**
 * A member that lies: the real network and knowledge base rooms with the keys of one node of a
 * cluster, in the hands of a test. What it answers when it is asked for a root, the test decides.
 */
import { readFileSync } from 'node:fs';
import type { CID } from 'multiformats/cid';
import { resolveHome } from '../../../src/core/config/home.ts';
import type { Block } from '../../../src/core/kb/block.ts';
import { encodeCarBlock, encodeCarHeader } from '../../../src/core/kb/car.ts';
import { encodeMessage, type KbMessage } from '../../../src/core/kb/messages.ts';
import { KB_PROTOCOL } from '../../../src/core/kb/replication.ts';
import { decodeFetch } from '../../../src/core/kb/request-batch.ts';
import { Keystore } from '../../../src/core/keys/keystore.ts';
import { systemRandom } from '../../../src/core/keys/random.ts';
import { type Genesis, openGenesis } from '../../../src/core/model/genesis.ts';
import {
  createVersion,
  type SignedVersion,
  type Version,
} from '../../../src/core/model/version.ts';
import type { BulkHandler } from '../../../src/core/network/bulk.ts';
import type { HelloContext } from '../../../src/core/network/hello.ts';
import { Host } from '../../../src/core/network/host.ts';
import { systemClock } from '../../../src/core/node/clock.ts';
import type { Log, Metrics } from '../../../src/core/ports.ts';
import { MIB } from '../../../src/core/units.ts';
import type { Cluster } from './cluster.ts';

export const silent: Log = { write: () => undefined, child: () => silent };
export const uncounted: Metrics = {
  count: () => undefined,
  gauge: () => undefined,
  observe: () => undefined,
};

type Answer = (root: CID, ...rest: Parameters<BulkHandler>) => Promise<void>;

/** Says who it is to everybody, and believes everybody. */
export const trustful = (clusterId: string, inception: Uint8Array): HelloContext => ({
  clusterId,
  own: () => ({ inception, succession: [] }),
  expects: () => true,
  judge: ({ inception: { nodeId, inception: shown } }) => {
    return { type: 'member', nodeId, name: shown.name };
  },
});

export class Liar {
  readonly host: Host;
  readonly nodeId: string;
  readonly genesis: Genesis;
  readonly #keystore: Keystore;
  readonly #answers = new Map<string, Answer>();
  /** Roots that somebody has asked for. */
  readonly asked: string[] = [];
  #sequence = 0;

  private constructor(host: Host, keystore: Keystore, genesis: Genesis) {
    this.host = host;
    this.nodeId = keystore.nodeId;
    this.genesis = genesis;
    this.#keystore = keystore;
  }

  /** Takes the place of node `number`, whose daemon must be down. */
  static async join(cluster: Cluster, number: number): Promise<Liar> {
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
        // Its own limits are not those of the others.
        limits: {
          rpcMaxBytes: 64 * MIB,
          envelopeMaxBytes: 64 * MIB,
          rpcBufferBytes: 64 * MIB,
          rpcInFlight: 10_000,
          rpcQueue: 10_000,
          bulkPerPeer: 1000,
          bulkTotal: 1000,
          bulkRequestMaxBytes: 64 * MIB,
        },
        hello: trustful(genesis.clusterId, keystore.inceptionBytes),
      },
      { log: silent, metrics: uncounted, clock: systemClock(), random: systemRandom },
    );
    const liar = new Liar(host, keystore, genesis);
    host.handleBulk(async (from, request, out) => {
      const { requests, isBatch } = decodeFetch(request);
      // Leaves out all of a batch, so that each root is asked for alone.
      if (isBatch) return;
      const { root } = requests[0]!;
      liar.asked.push(root.toString());
      const answer = liar.#answers.get(root.toString()) ?? haveNothing;
      await answer(root, from, request, out);
    });
    await host.start();
    for (const node of cluster.devnet.nodes) {
      if (node.nodeId !== liar.nodeId) await host.dial(node.address, { timeoutMs: 10_000 });
    }
    return liar;
  }

  /** What to say when somebody asks for `root`. */
  answer(root: CID, answer: Answer): void {
    this.#answers.set(root.toString(), answer);
  }

  /** Says it whatever it is; to everybody, or to one. */
  say(body: Uint8Array, to?: string): void {
    for (const { nodeId } of this.host.peers()) {
      if (to === undefined || to === nodeId) {
        this.host.send({ to: nodeId, protocol: KB_PROTOCOL, body });
      }
    }
  }

  tell(message: KbMessage, to?: string): void {
    this.say(encodeMessage(message), to);
  }

  /**
   * A version that is properly signed by this member; `fields` may make it a false one. Without
   * `sequence` it is the next one of this member, and all must be told.
   */
  version(fields: Partial<Version> & Pick<Version, 'path' | 'root'>): SignedVersion {
    if (fields.sequence === undefined) this.#sequence += 1;
    return createVersion(
      {
        sizeBytes: 100,
        parents: [],
        generation: 1,
        time: 1_800_000_000_000,
        author: this.nodeId,
        sequence: this.#sequence,
        ...fields,
      },
      this.#keystore.signer,
    );
  }

  get lastSequence(): number {
    return this.#sequence;
  }

  async stop(): Promise<void> {
    await this.host.stop();
    this.#keystore.close();
  }
}

/** An answer that sends these objects, whatever was asked. */
export const sendBlocks =
  (...blocks: Block[]): Answer =>
  async (root, _from, _request, out) => {
    await out.write(encodeCarHeader([root]));
    for (const block of blocks) {
      for (const chunk of encodeCarBlock(block)) await out.write(chunk);
    }
  };

/** What an honest node answers that does not have the root. */
const haveNothing: Answer = (_root, _from, _request, out) => out.write(encodeCarHeader([]));

/** An answer that begins and never ends. */
export const stall: Answer = async (root, _from, _request, out) => {
  await out.write(encodeCarHeader([root]));
  await new Promise<void>((resolve) => {
    out.signal.addEventListener('abort', () => resolve(), { once: true });
  });
};
