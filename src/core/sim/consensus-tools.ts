/** What the nodes of a consensus run know of their cluster, and what each signs with. */
import type { Chain } from '../chain/chain.ts';
import { vrfScheme } from '../chain/seeds.ts';
import type { StoredRow } from '../chain/types.ts';
import { blsScheme } from '../consensus/bls-scheme.ts';
import { blsPublicKeyOf, blsSecretOf } from '../crypto/bls.ts';
import { sha256 } from '../crypto/hash.ts';
import { verifyEd25519 } from '../crypto/sign.ts';
import { vrfPublicKeyOf } from '../crypto/vrf.ts';
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
  /** Another machine of this node, from rows of its disk: who follows the rules has one. */
  recover(rows: readonly StoredRow[]): Chain;
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
    // Not by the code under test, which may be wrong.
    faultyMax: Math.floor((custodians - 1) / 3),
  };
}

/** The real keys and functions, for a share of the seeds. */
export function realCrypto(seed: string, world: World, cluster: SimCluster): SimCrypto {
  const secretOf = (nodeId: string, purpose: string): Uint8Array =>
    sha256(Buffer.from(`${seed}/${purpose} ${nodeId}`));
  const consensusSecretOf = (nodeId: string): Uint8Array =>
    blsSecretOf(secretOf(nodeId, 'consensus'));
  const identityKeyOf = (nodeId: string): Uint8Array | undefined =>
    world.node(nodeId)?.identity.signer.publicKey;
  const custodians = cluster.custodians.map((nodeId) => ({
    consensusKey: blsPublicKeyOf(consensusSecretOf(nodeId)),
    identityKey: identityKeyOf(nodeId)!,
    vrfKey: vrfPublicKeyOf(secretOf(nodeId, 'vrf')),
  }));
  return {
    keysOf: ({ nodeId, identity }, index) => {
      const consensusSecret = consensusSecretOf(nodeId);
      const self = { index, consensusSecret, identity: identity.signer };
      const vrfSeed = secretOf(nodeId, 'vrf');
      return {
        votes: blsScheme({ ...(index < 0 ? {} : { self }), custodians }),
        seeds: vrfScheme({ self: index < 0 ? undefined : { vrfSeed }, custodians }),
        signer: identity.signer,
      };
    },
    verifyIdentity: (author, message, signature) => {
      const key = identityKeyOf(author);
      return key !== undefined && verifyEd25519(key, message, signature);
    },
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
