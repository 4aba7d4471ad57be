/** What the commands that get, keep and verify proofs share. They trust the genesis, no daemon. */
import type { Client } from '../core/api/client/client.ts';
import type { QueryInput } from '../core/api/contract/endpoints.ts';
import type { VerifyResult } from '../core/api/contract/proofs.ts';
import { AegisError } from '../core/errors.ts';
import { type Checkpoint, checkpointOfText, checkpointText } from '../core/model/checkpoint.ts';
import { GENESIS_BYTES_MAX, openGenesis } from '../core/model/genesis.ts';
import type { Finding, ProvenHead, Verdict } from '../core/proof/types.ts';
import { verifyProof } from '../core/proof/verifier.ts';
import { genesisBytes } from './cluster.ts';
import { readDocument } from './documents.ts';
import { type TargetOptions, writeFileTarget } from './kb/target.ts';
import { safeText } from './text.ts';

/** @throws {AegisError} `USAGE`. */
export function parseCheckpoint(text: string | undefined): Checkpoint | undefined {
  if (text === undefined) return undefined;
  const checkpoint = checkpointOfText(text);
  if (checkpoint !== undefined) return checkpoint;
  throw new AegisError('USAGE', `not a checkpoint: ${safeText(text)}`, {
    hint: 'It is HEIGHT:HASH, as in aegis consensus block HEIGHT.',
  });
}

/** A genesis of a file, in its text form or as it lies in a home; all that is in it holds. */
export async function readGenesis(path: string): Promise<Uint8Array> {
  const bytes = genesisBytes(await readDocument(path, 2 * GENESIS_BYTES_MAX));
  openGenesis(bytes);
  return bytes;
}

export interface Trust {
  readonly genesis: Uint8Array;
  readonly checkpoint: Checkpoint | undefined;
}

/**
 * Has a proof made, and keeps it only if it holds.
 * @throws {AegisError} `BAD_PROOF` when what the daemon gives is none; what `kb.proof` throws.
 */
export async function keepProof(
  client: Client,
  query: QueryInput<'kb.proof'>,
  { genesis, checkpoint }: Trust,
  target: TargetOptions,
): Promise<{ readonly path: string; readonly verdict: Verdict }> {
  const at = checkpoint && checkpointText(checkpoint);
  const { proof, path } = await client.call('kb.proof', {
    query: { ...query, ...(at !== undefined && { checkpoint: at }) },
  });
  const bytes = new Uint8Array(Buffer.from(proof, 'base64'));
  const verdict = verifyProof(bytes, genesis, { checkpoint });
  await writeFileTarget(target, once(bytes));
  return { path, verdict };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield await Promise.resolve(bytes);
}

export function verifyResult(
  verdict: Verdict,
  checkpoint: Checkpoint | undefined,
  content: VerifyResult['content'],
): VerifyResult {
  const { clusterId, height, time, digest, protocol, certificates, claims } = verdict;
  return {
    schema: 'aegis.verify/1',
    ...{ clusterId, height, time: new Date(time).toISOString(), digest, protocol },
    ...{ from: checkpoint?.height ?? 0, certificates, claims: claims.map(claimOf), content },
  };
}

const headsOf = (heads: readonly ProvenHead[]) =>
  heads.map(({ version, generation, deleted }) => {
    return { version: version.toString(), generation, deleted };
  });

function claimOf(finding: Finding): VerifyResult['claims'][number] {
  const { path } = finding;
  if (finding.type === 'absence') return { type: 'absence', path };
  if (finding.type === 'directory') {
    const { directories, erased } = finding;
    const values = finding.values.map(({ path: name, generation, heads }) => {
      return { path: name, generation, heads: headsOf(heads) };
    });
    return { type: 'directory', path, values, directories: [...directories], erased };
  }
  const { generation, isErased: erased, version } = finding;
  const heads = headsOf(finding.heads);
  return { type: 'value', path, generation, heads, erased, version: versionOf(version) };
}

function versionOf(proven: Extract<Finding, { type: 'value' }>['version']) {
  if (proven === undefined) return null;
  const { root, sizeBytes, generation, author, time, deleted, directory } = proven.version;
  return {
    version: proven.cid.toString(),
    cid: root.toString(),
    kind: directory === true ? ('directory' as const) : ('file' as const),
    ...{ sizeBytes, generation, author, time: new Date(time).toISOString() },
    deleted: deleted === true,
    head: proven.isHead,
  };
}
