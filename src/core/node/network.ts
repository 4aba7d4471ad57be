/** The network of a node: where it listens and which limits hold. Who is let in, hello judges. */
import type { Settings } from '../config/settings.ts';
import type { Keystore } from '../keys/keystore.ts';
import { systemRandom } from '../keys/random.ts';
import type { HelloContext } from '../network/hello.ts';
import { Host } from '../network/host.ts';
import type { Route as HostRoute } from '../network/host-types.ts';
import type { Clock, Log, Metrics } from '../ports.ts';
import { hostLimitsOf } from './limits.ts';

export interface NetworkOptions {
  readonly settings: Settings;
  readonly keystore: Keystore;
  /** Name and version for peers, e.g. `aegis/0.1.0`. */
  readonly agent: string;
}

export interface NetworkDeps {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** That of this node, or the one that is about to be. */
  readonly networkKey: Uint8Array;
  /** Who is let in. */
  readonly hello: HelloContext;
  /** O1: which transports there are, and where it listens. */
  readonly route: HostRoute;
}

/** Makes the host; nothing listens yet. @throws {AegisError} `BAD_CONFIG` for a bad address. */
export async function createHost(options: NetworkOptions, deps: NetworkDeps): Promise<Host> {
  const { settings, keystore, agent } = options;
  const { route, ...others } = deps;
  return await Host.create(
    {
      networkSeed: keystore.networkSeed(deps.networkKey),
      ...{ ...route, agent, limits: hostLimitsOf(settings), hello: deps.hello },
    },
    { ...others, random: systemRandom },
  );
}
