/** A few proofs in a file, for who writes another verifier. Made anew with `vitest -u`. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { verifyProof } from '../../../src/core/proof/verifier.ts';
import { mutants } from './support/mutants.ts';
import { generateProofs } from './support/proofs.ts';

const FILE = 'test/vectors/proofs/proofs.json';
const REFUSED = 16;

interface Vector {
  readonly proof: string;
  readonly checkpoint?: { readonly height: number; readonly digest: string };
  /** What it says; not there: it is refused, because of `what`. */
  readonly says?: { readonly height: number };
  readonly what?: string;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

it('are those that the generator makes', async () => {
  const { history, proofs } = generateProofs({
    ...{ seed: 'vectors', claims: 20, epochs: 2, rotations: 2, writes: 24, perProof: 3 },
  });
  const small = proofs.toSorted((a, b) => a.bytes.length - b.bytes.length).slice(0, 6);
  const types = small.flatMap(({ says }) => says.claims.map(({ type }) => type));
  expect([...new Set(types)].toSorted()).toEqual(['absence', 'directory', 'value']);
  expect(new Set(small.map(({ says }) => says.height)).size).toBe(2);
  const source = mutants({ history, proofs: small });
  const vectors = {
    genesis: base64(history.genesis),
    accepted: small.map(({ bytes, checkpoint, says }) => {
      return { proof: base64(bytes), checkpoint, says };
    }),
    refused: Array.from({ length: 4 * REFUSED }, () => source.next().value)
      .filter((_, n) => n % 4 === 0)
      .map(({ what, bytes, checkpoint }) => ({ what, proof: base64(bytes), checkpoint })),
  };
  const text = `${JSON.stringify(vectors, undefined, 2)}\n`;
  await expect(text).toMatchFileSnapshot('../../vectors/proofs/proofs.json');
});

it('hold, or do not', () => {
  const { genesis, accepted, refused } = JSON.parse(readFileSync(FILE, 'utf8')) as {
    genesis: string;
    accepted: Vector[];
    refused: Vector[];
  };
  const verify = ({ proof, checkpoint }: Vector) =>
    verifyProof(Buffer.from(proof, 'base64'), Buffer.from(genesis, 'base64'), { checkpoint });
  for (const vector of accepted) expect(verify(vector).height).toBe(vector.says?.height);
  for (const vector of refused) expect(() => verify(vector), vector.what).toThrow();
  expect([accepted.length > 2, refused.length > 8]).toEqual([true, true]);
});
