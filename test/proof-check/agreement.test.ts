/**
 * Two verifiers that were written apart, that of src/ and the one here, say the same of every proof
 * that the generator makes, and both refuse whatever it changes in them.
 */
import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fastAggregateVerify } from '../../src/core/crypto/bls.ts';
import { hasCode } from '../../src/core/errors.ts';
import { genesisToText } from '../../src/core/model/genesis.ts';
import { verifyProof } from '../../src/core/proof/verifier.ts';
import { MUTATION_NAMES, mutants } from '../core/proof/support/mutants.ts';
import { generateProofs, type Said } from '../core/proof/support/proofs.ts';
import { type Memo, NoProof, verify } from './verifier.ts';

/** 10,000 by `npm run test:long`. */
const MUTANTS = Number(process.env['AEGIS_PROOF_MUTANTS'] ?? 200);

type Verdict = ReturnType<typeof verify>;

/** A verdict, as the generator says it. */
function said({ claims, ...block }: Verdict) {
  return { ...block, claims: claims.map(saidOf) };
}

function saidOf(shown: Verdict['claims'][number]): Said {
  if (shown.type === 'absence') return shown;
  const { path } = shown;
  if (shown.type === 'directory') {
    const [values, directories] = [shown.paths.toSorted(), shown.directories.toSorted()];
    return { type: 'directory', path, values, directories, erased: shown.erased };
  }
  const { generation, isErased, heads, last } = shown;
  const shownHeads = heads.map(
    ([cid, since, deleted]) => `${cid.toString()} ${since}${deleted ? ' deleted' : ''}`,
  );
  const [version, root] = [last?.version ?? null, last?.root ?? null];
  return { type: 'value', path, generation, erased: isErased, heads: shownHeads, version, root };
}

/** What is thrown; undefined if nothing is. */
function thrown(run: () => unknown): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Each in its own table: neither knows what the other found. */
const memo: Memo = new Set();
const known = new Map<string, boolean>();
const holds: typeof fastAggregateVerify = (keys, message, signature) => {
  const id = Buffer.concat([...(keys as Uint8Array[]), message, signature]).toString('latin1');
  const held = known.get(id) ?? fastAggregateVerify(keys, message, signature);
  known.set(id, held);
  return held;
};

/** Thirty milliseconds a signature, in plain JavaScript, and many times that on a busy machine. */
describe('the two verifiers', { timeout: 60_000 + 200 * MUTANTS }, () => {
  const generated = generateProofs({ seed: 'two verifiers' });

  it('say the same of 1,000 claims, over changes of members and of keys', () => {
    let claims = 0;
    for (const { bytes, genesis, checkpoint, says } of generated.proofs) {
      expect(said(verify(bytes, genesis, { checkpoint, memo }))).toEqual(says);
      const {
        height,
        time,
        digest,
        claims: found,
      } = verifyProof(bytes, genesis, {
        checkpoint,
        holds,
      });
      expect({ height, time, digest, claims: found.length }).toEqual({
        ...{ height: says.height, time: says.time, digest: says.digest },
        claims: says.claims.length,
      });
      claims += found.length;
    }
    expect([claims, generated.history.handovers.length]).toEqual([1000, 24]);
  });

  it('refuse whatever has been changed', () => {
    const seen = new Set<string>();
    const [byMine, byTheirs]: [string[], string[]] = [[], []];
    const source = mutants(generated);
    for (let n = 0; n < MUTANTS; n += 1) {
      const { what, bytes, genesis, checkpoint } = source.next().value;
      seen.add(what);
      const mine = thrown(() => verify(bytes, genesis, { checkpoint, memo }));
      if (!(mine instanceof NoProof)) byMine.push(what);
      const theirs = thrown(() => verifyProof(bytes, genesis, { checkpoint, holds }));
      if (!hasCode(theirs, 'BAD_PROOF')) byTheirs.push(what);
    }
    expect({ byMine, byTheirs }).toEqual({ byMine: [], byTheirs: [] });
    expect(MUTATION_NAMES.filter((what) => !seen.has(what))).toEqual([]);
  });

  it('read the text form of a genesis', () => {
    const { bytes, genesis, checkpoint, says } = generated.proofs[0]!;
    const text = Buffer.from(`\n${genesisToText(genesis).replaceAll('\n', ' \r\n')}`);
    expect(verify(bytes, text, { checkpoint, memo }).height).toBe(says.height);
    const cut = text.subarray(0, -40);
    expect(() => verify(bytes, cut, { checkpoint, memo })).toThrow(NoProof);
  });
});

it('the proofs that are kept in a file hold, or do not', () => {
  interface Kept {
    readonly proof: string;
    readonly checkpoint?: { readonly height: number; readonly digest: string };
    readonly says?: unknown;
  }
  const text = readFileSync('test/vectors/proofs/proofs.json', 'utf8');
  const { genesis, accepted, refused } = JSON.parse(text) as {
    genesis: string;
    accepted: Kept[];
    refused: Kept[];
  };
  const of = ({ proof, checkpoint }: Kept): Verdict =>
    verify(Buffer.from(proof, 'base64'), Buffer.from(genesis, 'base64'), { checkpoint, memo });
  expect(accepted.map((kept) => said(of(kept)))).toEqual(accepted.map(({ says }) => says));
  for (const kept of refused) expect(() => of(kept)).toThrow(NoProof);
  expect([accepted.length, refused.length]).toEqual([6, 16]);
});

it('a reader can follow the second verifier beside docs/proofs.md: it is short', () => {
  const files = globSync('test/proof-check/*').filter((file) => !file.endsWith('.test.ts'));
  const lines = files.flatMap((file) => readFileSync(file, 'utf8').trimEnd().split('\n'));
  expect(files).toContain('test/proof-check/verifier.ts');
  expect(lines.length).toBeLessThanOrEqual(320);
  expect(lines.filter((line) => /from '.*\/src\//.test(line))).toEqual([]);
});
