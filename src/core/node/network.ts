/** The network of a node: who is let in, where it listens, which limits hold. */
import type { Settings } from '../config/settings.ts';
import type { Keystore } from '../keys/keystore.ts';
import { systemRandom } from '../keys/random.ts';
import type { Genesis } from '../model/genesis.ts';
import { Host } from '../network/host.ts';
import type { Clock, Log, Metrics } from '../ports.ts';
import { hostLimitsOf } from './limits.ts';

export interface NetworkOptions {
  readonly settings: Settings;
  readonly genesis: Genesis;
  readonly keystore: Keystore;
  /** Name and version for peers, e.g. `aegis/0.1.0`. */
  readonly agent: string;
}

export interface NetworkDeps {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

/** Makes the host; nothing listens yet. @throws {AegisError} `BAD_CONFIG` for a bad address. */
export async function createHost(options: NetworkOptions, deps: NetworkDeps): Promise<Host> {
  const { settings, genesis, keystore, agent } = options;
  const listen = settings['node.listen'];
  const members = new Set(genesis.members.map((member) => member.nodeId));
  const keys = new Set(genesis.members.map(({ networkKey }) => hex(networkKey)));
  return await Host.create(
    {
      networkSeed: keystore.networkSeed(),
      listen,
      agent,
      // Nodes of one machine share its loopback address, so nothing can be counted per address.
      profile: listen.every((address) => /^\/ip(4\/127\.|6\/::1\/)/.test(address))
        ? 'loopback'
        : 'network',
      limits: hostLimitsOf(settings),
      hello: {
        clusterId: genesis.clusterId,
        own: () => ({ inception: keystore.inceptionBytes, succession: [] }),
        judge: ({ inception: { nodeId, inception }, networkKey }) =>
          members.has(nodeId) && hex(inception.networkKey) === hex(networkKey)
            ? { type: 'member', nodeId, name: inception.name }
            : { type: 'stranger', why: `node ${nodeId} is not a member of this cluster` },
        expects: (networkKey) => keys.has(hex(networkKey)),
      },
    },
    { ...deps, random: systemRandom },
  );
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
