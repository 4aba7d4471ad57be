/** Clusters whose nodes are onion services in the private Tor network of the tests. */
import { hasCode } from '../../../src/core/errors.ts';
import { clientOf } from '../../e2e/support/api.ts';
import { Cluster, type ClusterOptions, eventually } from '../../e2e/support/cluster.ts';
import { torNetwork } from './network.ts';

/** A first descriptor, six relays and two cores: what takes a second elsewhere may take ten. */
export const PATIENCE_MS = 120_000;

/** Four nodes in `require`, each with a Tor of its own, that are connected to each other. */
export async function startOnions(options: Partial<ClusterOptions> = {}): Promise<Cluster> {
  const { torrc } = await torNetwork();
  return await Cluster.start({ size: 4, torrc, patienceMs: PATIENCE_MS, ...options });
}

export const statusOfTor = (cluster: Cluster, node: number) =>
  clientOf(cluster, node).call('tor.status');

/** With which member a node is connected, and how (O7). */
export async function routesAt(cluster: Cluster, node: number): Promise<Map<string, string>> {
  const { peers } = await clientOf(cluster, node).call('peers.list');
  const connected = peers.filter(({ state }) => state === 'connected');
  return new Map(connected.map(({ name, route }) => [String(name), String(route)]));
}

/** Until a node is connected to these others of its devnet, and to no more, by onion services. */
export const untilOnions = (
  cluster: Cluster,
  node: number,
  others: readonly number[],
): Promise<unknown> =>
  eventually(
    async () => {
      try {
        const routes = [...(await routesAt(cluster, node))];
        const names = cluster.devnet.nodes.map(({ name }) => name);
        const own = routes.filter(([name]) => names.includes(name));
        return own.map((route) => route.join(' ')).toSorted();
      } catch (error) {
        if (hasCode(error, 'DAEMON_UNREACHABLE', 'TIMEOUT')) return [];
        throw error;
      }
    },
    (routes) => String(routes) === String(others.map((n) => `${cluster.node(n).name} onion`)),
    `node ${node} is connected to ${others.join()} by onions`,
    PATIENCE_MS,
  );
