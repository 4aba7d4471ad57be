/** Members, versions and signed intents for tests of the chain. */
import type { CID } from 'multiformats/cid';
import { base32 } from '../../../../src/core/crypto/base32.ts';
import { sha256 } from '../../../../src/core/crypto/hash.ts';
import { signerOf } from '../../../../src/core/crypto/sign.ts';
import { type Change, createIntent, type SignedIntent } from '../../../../src/core/model/intent.ts';
import { versionCidOf } from '../../../../src/core/model/version.ts';
import type { Signer } from '../../../../src/core/ports.ts';
import type { Verified } from '../../../../src/core/units.ts';

export const CLUSTER_ID = base32(sha256(Buffer.from('the cluster of these tests')));

export interface Member {
  readonly nodeId: string;
  readonly signer: Signer;
}

/** The same members in each run, sorted by node id. */
export const membersOf = (count: number): Member[] =>
  Array.from({ length: count }, (_, at) => {
    const signer = signerOf(sha256(Buffer.from(`member ${at}`)));
    return { nodeId: `aegis1${base32(sha256(signer.publicKey))}`, signer };
  }).toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1));

/** The CID of a version that is known by name. */
export const versionOf = (name: string): CID => versionCidOf(Buffer.from(name));

export interface Move extends Partial<Omit<Change, 'version' | 'parents' | 'expected'>> {
  readonly path?: string;
  /** Names of versions. */
  readonly version: string;
  readonly parents?: readonly string[];
  readonly expected?: string | null;
}

function changeOf({ path = 'notes', version, parents, expected, ...rest }: Move): Change {
  return {
    path,
    version: versionOf(version),
    parents: (parents ?? []).map(versionOf),
    generation: 1,
    ...rest,
    ...(expected === undefined ? {} : { expected: expected === null ? null : versionOf(expected) }),
  };
}

export const intentOf = (
  author: Member,
  sequence: number,
  ...moves: readonly Move[]
): Verified<SignedIntent> =>
  createIntent(
    { author: author.nodeId, sequence, time: 1000 + sequence, changes: moves.map(changeOf) },
    CLUSTER_ID,
    author.signer,
  );
