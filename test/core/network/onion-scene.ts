/** Hosts behind services of a fake Tor, and such that also listen directly. */
import type { Host } from '../../../src/core/network/host.ts';
import type { HostLimits } from '../../../src/core/network/limits.ts';
import { tcpTransport } from '../../../src/core/network/transports.ts';
import { Cluster } from './cluster.ts';
import { FakeOnions } from './fake-onions.ts';

export interface Scene extends AsyncDisposable {
  readonly onions: FakeOnions;
  readonly cluster: Cluster;
  /** Starts a member that has nothing but its onion service. */
  hidden(index: number, limits?: Partial<HostLimits>): Promise<Host>;
  /** Starts one that listens directly, too, and prefers onion services. */
  both(index: number, limits?: Partial<HostLimits>): Promise<Host>;
}

export function scene(size: number): Scene {
  const onions = new FakeOnions();
  const cluster = new Cluster(size);
  return {
    ...{ onions, cluster },
    hidden: (index, limits = {}) =>
      cluster.start(index, {
        ...{ limits, listen: onions.addressOf(index), transports: [onions.transport()] },
      }),
    both: (index, limits = {}) =>
      cluster.start(index, {
        ...{ limits, listen: [onions.addressOf(index), '/ip4/127.0.0.1/tcp/0'] },
        transports: [onions.transport(), tcpTransport],
      }),
    async [Symbol.asyncDispose]() {
      await cluster[Symbol.asyncDispose]();
      onions[Symbol.dispose]();
    },
  };
}

export const nodeIdOf = ({ cluster }: Scene, index: number): string =>
  cluster.members[index]!.nodeId;
export const tcpOf = (host: Host): string => host.addresses().find((one) => one.includes('/tcp/'))!;
