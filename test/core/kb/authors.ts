/** Authors with real keys, and versions by them. */
import { publicKeyOf, signEd25519 } from '../../../src/core/crypto/sign.ts';
import { cidOf, RAW } from '../../../src/core/kb/block.ts';
import { nodeIdOf } from '../../../src/core/model/identity.ts';
import {
  createVersion,
  type SignedVersion,
  type Version,
} from '../../../src/core/model/version.ts';
import type { Signer } from '../../../src/core/ports.ts';
import type { Verified } from '../../../src/core/units.ts';
import { sha256Hasher } from './helpers.ts';

export interface Author {
  readonly nodeId: string;
  readonly signer: Signer;
}

function authorOf(index: number): Author {
  const seed = new Uint8Array(32).fill(index + 1);
  const publicKey = publicKeyOf(seed);
  const sign = (message: Uint8Array): Uint8Array => signEd25519(seed, message);
  return { nodeId: nodeIdOf(publicKey), signer: { publicKey, sign } };
}

export const authors: readonly Author[] = Array.from({ length: 8 }, (_, i) => authorOf(i));

export const keyOfAuthor = (nodeId: string): Uint8Array | undefined =>
  authors.find((author) => author.nodeId === nodeId)?.signer.publicKey;

export const contentOf = (name: string) => cidOf(RAW, Buffer.from(name), sha256Hasher);

export function versionOf(
  author: Author,
  fields: Pick<Version, 'path' | 'sequence'> & Partial<Version>,
): Verified<SignedVersion> {
  const { path, sequence, time = 1000 } = fields;
  return createVersion(
    {
      root: contentOf(`${path} ${sequence}`),
      sizeBytes: 10,
      parents: [],
      generation: 1,
      time,
      author: author.nodeId,
      ...fields,
    },
    author.signer,
  );
}
