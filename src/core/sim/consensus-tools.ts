/** What the nodes of a consensus run know of their cluster, and what each signs with. */
import { sha256 } from '../crypto/hash.ts';
import type { SimNode } from './node.ts';
import type { SimRandom } from './random.ts';
import { type SimKeys, StubKeyring } from './stub-scheme.ts';
import type { World } from './world.ts';

/** Genesis, as far as machines need it. */
export interface SimCluster {
  readonly clusterId: string;
  /** Node ids, sorted: the place of one is its index. */
  readonly custodians: readonly string[];
  readonly members: readonly string[];
  /** Custodians that may be faulty at once. */
  readonly faultyMax: number;
}

/** What a node holds beside its machine; Byzantine ones use it as they like. */
export interface ConsensusTools {
  readonly cluster: SimCluster;
  /** Place among the custodians; -1 for an agent. */
  readonly index: number;
  readonly keys: SimKeys;
  /** Of this node, and of nobody else. */
  readonly random: SimRandom;
}

/** Signs and verifies for all nodes of a run. */
export interface SimCrypto {
  keysOf(node: SimNode, index: number): SimKeys;
  verifyIdentity(author: string, message: Uint8Array, signature: Uint8Array): boolean;
}

export function clusterOf(world: World, seed: string, custodians: number): SimCluster {
  const nodeIds = world.nodes.map(({ nodeId }) => nodeId);
  return {
    clusterId: Buffer.from(sha256(Buffer.from(`${seed}/cluster`))).toString('hex'),
    custodians: nodeIds.slice(0, custodians).toSorted(),
    members: nodeIds.toSorted(),
    faultyMax: Math.floor((custodians - 1) / 3),
  };
}

export function stubCrypto(seed: string): SimCrypto {
  const keyring = new StubKeyring(seed);
  return {
    keysOf: ({ nodeId, identity }, index) => ({
      votes: keyring.votes(index),
      seeds: keyring.seeds(index),
      signer: keyring.signer(nodeId, identity.signer.publicKey),
    }),
    verifyIdentity: (author, message, signature) =>
      keyring.verifyIdentity(author, message, signature),
  };
}
