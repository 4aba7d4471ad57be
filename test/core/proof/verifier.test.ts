import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fastAggregateVerify } from '../../../src/core/crypto/bls.ts';
import { hasCode } from '../../../src/core/errors.ts';
import type { Finding } from '../../../src/core/proof/types.ts';
import { verifyProof } from '../../../src/core/proof/verifier.ts';
import { MUTATION_NAMES, mutants } from './support/mutants.ts';
import { type GeneratedProof, generateProofs, type Said } from './support/proofs.ts';

/** Remembers what held: most certificates of the proofs are the same. */
function remembering(): typeof fastAggregateVerify {
  const known = new Map<string, boolean>();
  return (keys, message, signature) => {
    const parts = [...(keys as Uint8Array[]), message, signature];
    const id = Buffer.concat(parts).toString('latin1');
    const held = known.get(id) ?? fastAggregateVerify(keys, message, signature);
    known.set(id, held);
    return held;
  };
}

/** What a finding says, as the generator says it. */
function plain(finding: Finding): Said {
  if (finding.type === 'absence') return finding;
  const { path } = finding;
  if (finding.type === 'directory') {
    const { directories, erased } = finding;
    return {
      type: 'directory',
      path,
      values: finding.values.map((one) => one.path),
      directories,
      erased,
    };
  }
  const { generation, isErased: erased, heads, version } = finding;
  return {
    ...{ type: 'value' as const, path, generation, erased },
    heads: heads.map(
      (head) => `${head.version.toString()} ${head.generation}${head.deleted ? ' deleted' : ''}`,
    ),
    version: version?.cid.toString() ?? null,
    root: version?.version.root.toString() ?? null,
  };
}

const holds = remembering();
/** 10,000 by `npm run test:long`. */
const MUTANTS = Number(process.env['AEGIS_PROOF_MUTANTS'] ?? 600);

function refusalOf(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return error;
  }
}

function verdictOf({ bytes, genesis, checkpoint }: GeneratedProof) {
  const { height, time, digest, claims } = verifyProof(bytes, genesis, { checkpoint, holds });
  return { height, time, digest, claims: claims.map(plain) };
}

describe('a proof', () => {
  const generated = generateProofs({ seed: 'five epochs, twenty rotations' });
  const { proofs, history } = generated;

  it('says what was there at its height, through all changes of custodians and keys', () => {
    expect(history.handovers).toHaveLength(24);
    let claims = 0;
    for (const proof of proofs) {
      expect(verdictOf(proof)).toEqual(proof.says);
      claims += proof.says.claims.length;
    }
    expect(claims).toBe(1000);
  });

  it('is refused with a reason, whatever has been changed in it', () => {
    const seen = new Map<string, number>();
    const accepted: string[] = [];
    const source = mutants(generated);
    for (let n = 0; n < MUTANTS; n += 1) {
      const { what, bytes, genesis, checkpoint } = source.next().value;
      seen.set(what, (seen.get(what) ?? 0) + 1);
      const refusal = refusalOf(() => verifyProof(bytes, genesis, { checkpoint, holds }));
      if (!hasCode(refusal, 'BAD_PROOF') || refusal.message === '') accepted.push(what);
    }
    expect(accepted).toEqual([]);
    expect([...MUTATION_NAMES].filter((what) => !seen.has(what))).toEqual([]);
  });
});

it('is verified by what can be read in one sitting', () => {
  const lines = readFileSync('src/core/proof/verifier.ts', 'utf8').split('\n');
  expect(lines.length).toBeLessThanOrEqual(400);
});
