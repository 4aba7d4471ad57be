/** Nodes with fixed keys, for tests that need somebody who signs. */
import { sha256 } from '../../src/core/crypto/hash.ts';
import { publicKeyOf, signerOf } from '../../src/core/crypto/sign.ts';
import { createBundle } from '../../src/core/model/bundle.ts';
import { createInception, nodeIdOf } from '../../src/core/model/identity.ts';
import type { Signer } from '../../src/core/ports.ts';

export const seedOf = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);

export interface TestNode {
  readonly signer: Signer;
  readonly inception: Uint8Array;
  readonly nodeId: string;
  readonly bundle: Uint8Array;
}

/** The node number `number` (1 to 80); the same number gives the same node. */
export function testNode(number: number, name: string = `node${number}`): TestNode {
  const signer = signerOf(seedOf(number));
  const inception = createInception(
    {
      nextIdentityDigest: sha256(publicKeyOf(seedOf(number + 160))),
      networkKey: publicKeyOf(seedOf(number + 80)),
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
      addresses: [`/ip4/127.0.0.1/tcp/${4000 + number}`],
      storageWeight: 100,
      createdAt: 1_800_000_000_001,
    },
    signer,
  );
  return { signer, inception, nodeId: nodeIdOf(inception), bundle };
}
