/** What the nodes of a consensus run know of their cluster, and what each signs with. */
import { hex } from '../bytes.ts';
import type { Chain } from '../chain/chain.ts';
import { type SeedScheme, vrfScheme } from '../chain/seeds.ts';
import type { ChainGenesis, StoredRow } from '../chain/types.ts';
import { blsScheme } from '../consensus/bls-scheme.ts';
import type { CustodianKey, CustodianSets } from '../consensus/custodian-sets.ts';
import type { VoteScheme } from '../consensus/scheme.ts';
import { blsPublicKeyOf, blsSecretOf, provePossession, signBls } from '../crypto/bls.ts';
import { sha256 } from '../crypto/hash.ts';
import { signerOf, verifyEd25519 } from '../crypto/sign.ts';
import { proveVrf, vrfPublicKeyOf } from '../crypto/vrf.ts';
import type { IntentContext } from '../model/intent.ts';
import { Names } from '../model/names.ts';
import type { KeyState } from '../model/succession.ts';
import type { KeyRing, Signer } from '../ports.ts';
import type { SimHome, VotingKeys } from './home.ts';
import type { SimNode } from './node.ts';
import type { SimRandom } from './random.ts';
import { StubKeyring } from './stub-scheme.ts';
import type { World } from './world.ts';

/** Genesis, as far as machines need it. */
export interface SimCluster extends IntentContext {
  /** Those of the genesis, sorted. */
  readonly custodians: readonly string[];
  readonly members: readonly string[];
  /** Of those of the genesis: how many may be faulty at once. */
  readonly faultyMax: number;
  readonly genesis: ChainGenesis;
  /** Of the genesis, in the order of the custodians. */
  readonly firstKeys: readonly CustodianKey[];
}

/** What a node holds beside its machine; Byzantine ones use it as they like. */
export interface ConsensusTools {
  readonly cluster: SimCluster;
  /** Place among the custodians of the genesis; -1 for an agent. */
  readonly index: number;
  readonly home: SimHome;
  /** Of its present machine. */
  readonly keys: SimKeys;
  /** Of this node, and of nobody else. */
  readonly random: SimRandom;
  /** Another machine of this node, from rows of its disk: who follows the rules has one. */
  recover(rows: readonly StoredRow[]): Chain;
}

/** What one node may sign with, and verify all others with. */
export interface SimKeys {
  readonly votes: VoteScheme;
  readonly seeds: SeedScheme;
  /** Those of the genesis and what the machine has changed in them. */
  readonly sets: CustodianSets;
}

interface SchemeOptions {
  readonly sets: Pick<CustodianSets, 'at' | 'knows'>;
  readonly self?: { readonly nodeId: string; readonly ring: KeyRing } | undefined;
}

/** Signs and verifies for all nodes of a run. */
export interface SimCrypto {
  /** The consensus and VRF keys of a node, by number. */
  voting(nodeId: string, number: number): VotingKeys;
  /** What signs for nodes with the identity key of `real`. */
  identity(real: Signer): Signer;
  /** The successors of a node, by number: they sign successions, in earnest. */
  successor(nodeId: string, number: number): Signer;
  votes(options: SchemeOptions): VoteScheme;
  seeds(options: SchemeOptions): SeedScheme;
  verifyIdentity(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

export function clusterOf(
  world: World,
  seed: string,
  { custodians, protocol }: { readonly custodians: number; readonly protocol: number },
  crypto: SimCrypto,
): SimCluster {
  const ids = world.nodes.map(({ nodeId }) => nodeId);
  const sorted = ids.slice(0, custodians).toSorted();
  const members = ids.toSorted().map((nodeId) => {
    const keys = firstState(world.node(nodeId)!, crypto);
    const role = sorted.includes(nodeId) ? ('custodian' as const) : ('agent' as const);
    const place = { name: world.node(nodeId)!.options.name, zone: 'zone', region: 'region' };
    const rest = { addresses: [], storageWeight: 1, succession: [] };
    return { nodeId, ...place, role, keys, inceptionBytes: Buffer.from(nodeId), ...rest };
  });
  const keysOf = (nodeId: string): CustodianKey => {
    const { keys } = members.find((member) => member.nodeId === nodeId)!.keys;
    return { nodeId, ...keys };
  };
  const clusterId = hex(sha256(Buffer.from(`${seed}/cluster`)));
  const names = new Names(sha256(Buffer.from(`${seed}/names`)));
  const genesis = { names, protocol };
  return {
    clusterId,
    names,
    custodians: sorted,
    members: ids.toSorted(),
    // Not by the code under test, which may be wrong.
    faultyMax: Math.floor((custodians - 1) / 3),
    genesis: { ...genesis, custodians: sorted.map((nodeId) => ({ nodeId })), members },
    firstKeys: sorted.map(keysOf),
  };
}

/** The keys with which a node begins. */
function firstState({ nodeId, identity }: SimNode, crypto: SimCrypto): KeyState {
  const { consensusKey, possession, vrfKey } = crypto.voting(nodeId, 0);
  const never = Date.UTC(2100, 0, 1);
  return {
    nodeId,
    number: 0,
    keyEpoch: 0,
    digest: Buffer.from(sha256(Buffer.from(nodeId))).toString('hex'),
    keys: {
      identityKey: identity.signer.publicKey,
      nextIdentityDigest: sha256(crypto.successor(nodeId, 0).publicKey),
      networkKey: sha256(Buffer.from(`network ${nodeId}`)),
      consensusKey,
      possession,
      vrfKey,
      onionKey: sha256(Buffer.from(`onion ${nodeId}`)),
    },
    expiresAt: { identity: never, network: never, consensus: never, onion: never },
    changedAt: 0,
  };
}

const seedOf = (seed: string, purpose: string, nodeId: string, number: number): Uint8Array =>
  sha256(Buffer.from(`${seed}/${purpose} ${nodeId} ${number}`));

/** The real keys and functions, for a share of the seeds. */
export function realCrypto(seed: string): SimCrypto {
  return {
    voting: (nodeId, number) => {
      const secret = blsSecretOf(seedOf(seed, 'consensus', nodeId, number));
      const vrfSeed = seedOf(seed, 'vrf', nodeId, number);
      const [consensusKey, vrfKey] = [blsPublicKeyOf(secret), vrfPublicKeyOf(vrfSeed)];
      return {
        consensusKey,
        possession: provePossession(secret),
        vrfKey,
        voter: { publicKey: consensusKey, sign: (message) => signBls(secret, message) },
        prover: { publicKey: vrfKey, prove: (alpha) => proveVrf(vrfSeed, alpha) },
      };
    },
    identity: (real) => real,
    successor: (nodeId, number) => signerOf(seedOf(seed, 'successor', nodeId, number)),
    votes: blsScheme,
    seeds: vrfScheme,
    verifyIdentity: (publicKey, message, signature) => verifyEd25519(publicKey, message, signature),
  };
}

export function stubCrypto(seed: string): SimCrypto {
  const keyring = new StubKeyring(seed);
  return {
    voting: (nodeId, number) => {
      // Only what replaces another key must prove in earnest that it is a key (S5).
      const secret =
        number === 0 ? undefined : blsSecretOf(seedOf(seed, 'consensus', nodeId, number));
      const consensusKey = secret === undefined ? stubKey(seed, nodeId) : blsPublicKeyOf(secret);
      const vrfKey = seedOf(seed, 'vrf', nodeId, number);
      return {
        consensusKey,
        possession: secret === undefined ? new Uint8Array(96) : provePossession(secret),
        vrfKey,
        voter: keyring.voter(consensusKey),
        prover: keyring.prover(vrfKey),
      };
    },
    identity: ({ publicKey }) => keyring.signer(publicKey),
    successor: (nodeId, number) => signerOf(seedOf(seed, 'successor', nodeId, number)),
    votes: (options) => keyring.votesOver(options),
    seeds: (options) => keyring.seedsOver(options),
    verifyIdentity: (publicKey, message, signature) =>
      keyring.verifyIdentity(publicKey, message, signature),
  };
}

function stubKey(seed: string, nodeId: string): Uint8Array {
  const key = new Uint8Array(48);
  key.set(seedOf(seed, 'consensus', nodeId, 0));
  return key;
}
