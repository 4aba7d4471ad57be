/** Nodes with fixed keys, for tests that need somebody who signs. */
import { blsPublicKeyOf, blsSecretOf, provePossession } from '../../src/core/crypto/bls.ts';
import { sha256 } from '../../src/core/crypto/hash.ts';
import { publicKeyOf, signerOf } from '../../src/core/crypto/sign.ts';
import { type ConsensusKeys, createBundle, type Role } from '../../src/core/model/bundle.ts';
import { createInception, nodeIdOf } from '../../src/core/model/identity.ts';
import type { Signer } from '../../src/core/ports.ts';

export const seedOf = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);

export interface TestNode {
  readonly signer: Signer;
  readonly inception: Uint8Array;
  readonly nodeId: string;
  readonly bundle: Uint8Array;
  /** BLS, 32 bytes. */
  readonly consensusSecret: Uint8Array;
  readonly vrfSeed: Uint8Array;
  readonly onionSeed: Uint8Array;
  readonly keys: ConsensusKeys;
}

const consensusKeys = new Map<number, Pick<TestNode, 'consensusSecret' | 'vrfSeed' | 'keys'>>();

/** The keys of consensus of node `number`, made once: they take the longest. */
function consensusKeysOf(number: number): Pick<TestNode, 'consensusSecret' | 'vrfSeed' | 'keys'> {
  const known = consensusKeys.get(number);
  if (known !== undefined) return known;
  const consensusSecret = blsSecretOf(sha256(Buffer.from(`consensus ${number}`)));
  const vrfSeed = sha256(Buffer.from(`vrf ${number}`));
  const keys = {
    consensusKey: blsPublicKeyOf(consensusSecret),
    possession: provePossession(consensusSecret),
    vrfKey: publicKeyOf(vrfSeed),
  };
  const made = { consensusSecret, vrfSeed, keys };
  consensusKeys.set(number, made);
  return made;
}

/** The node number `number` (1 to 80); the same number gives the same node. */
export function testNode(
  number: number,
  name: string = `node${number}`,
  role: Role = 'custodian',
): TestNode {
  // A seed is one byte: with more nodes than these, the successor of one is the key of another.
  if (number < 1 || number > 80) throw new RangeError(`there is no test node ${number}`);
  const secrets = consensusKeysOf(number);
  const onionSeed = sha256(Buffer.from(`onion ${number}`));
  const signer = signerOf(seedOf(number));
  const inception = createInception(
    {
      nextIdentityDigest: sha256(publicKeyOf(seedOf(number + 160))),
      networkKey: publicKeyOf(seedOf(number + 80)),
      onionKey: publicKeyOf(onionSeed),
      name,
      zone: `zone${number}`,
      region: 'test',
      createdAt: 1_800_000_000_000,
    },
    signer,
  );
  const bundle = createBundle(
    {
      inception,
      role,
      ...secrets.keys,
      addresses: [`/ip4/127.0.0.1/tcp/${4000 + number}`],
      storageWeight: 100,
      createdAt: 1_800_000_000_001,
    },
    signer,
  );
  return { signer, inception, nodeId: nodeIdOf(inception), bundle, onionSeed, ...secrets };
}
