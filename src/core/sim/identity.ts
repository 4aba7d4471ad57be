/** Keys of simulated nodes. They follow from the seed and the place of the node: no secrets. */

import { sha256 } from '../crypto/hash.ts';
import { signerOf } from '../crypto/sign.ts';
import { nodeIdOf } from '../model/identity.ts';
import type { Signer } from '../ports.ts';

export interface SimIdentity {
  readonly nodeId: string;
  readonly signer: Signer;
}

export function identityAt(seed: string, index: number): SimIdentity {
  const signer = signerOf(sha256(Buffer.from(`${seed}/identity ${index}`)));
  return { nodeId: nodeIdOf(signer.publicKey), signer };
}
