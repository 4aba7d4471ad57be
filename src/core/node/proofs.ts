/**
 * Proofs for whoever asks this node: of what stands under a path, or that nothing does, or of whole
 * directories, at the last final height. It gathers; what a proof is, `proof/` says.
 */
import type { Query, Result } from '../api/contract/endpoints.ts';
import type { Chain } from '../chain/chain.ts';
import { decodeRef } from '../chain/ref.ts';
import { encodeCertificate } from '../consensus/certificate.ts';
import { sha256Hex } from '../crypto/hash.ts';
import { AegisError, hasCode } from '../errors.ts';
import type { VersionGraph } from '../kb/versions.ts';
import { checkpointOfText } from '../model/checkpoint.ts';
import type { Genesis } from '../model/genesis.ts';
import { parsePath } from '../model/path.ts';
import type { SignedVersion } from '../model/version.ts';
import { buildProof, directoryClaim, type HeldLink, lineageOf, pathClaim } from '../proof/build.ts';
import { PROOF_LIMITS, readStateValue } from '../proof/codec.ts';
import type { Claim } from '../proof/types.ts';
import { SECOND } from '../units.ts';
import type { BlockArchive } from './block-archive.ts';
import { timeout } from './timeout.ts';

export interface ProofsDeps {
  readonly genesis: Pick<Genesis, 'clusterId' | 'custodians' | 'names'>;
  readonly chain: Pick<
    Chain,
    'tip' | 'certificate' | 'handovers' | 'headerOf' | 'prove' | 'proveDirectory' | 'ref'
  >;
  readonly graph: Pick<VersionGraph, 'get'>;
  readonly archive: Pick<BlockArchive, 'block'>;
  /** The record of a final version once it is here. Rejects with the reason of `signal`. */
  record(version: string, signal: AbortSignal): Promise<SignedVersion>;
}

/** How long the record of a head is waited for: without it a claim says which heads there are. */
const RECORD_MS = 2 * SECOND;

type Wanted = Query<'kb.proof'>;

interface About {
  readonly path: string;
  /** Undefined: of none in particular. */
  readonly version: string | undefined;
}

export class Proofs {
  readonly #deps: ProofsDeps;

  constructor(deps: ProofsDeps) {
    this.#deps = deps;
  }

  /**
   * @throws {AegisError} `TRY_AGAIN` before there is a final block with a certificate, `NOT_FOUND`
   * for a version that no head goes back to and for a checkpoint that is not here, `CHECK_FAILED`
   * for one that is of another history, `TOO_LARGE`.
   */
  async make(wanted: Wanted, signal: AbortSignal): Promise<Result<'kb.proof'>> {
    const { checkpoint: text, path } = wanted;
    const checkpoint = text === undefined ? undefined : await this.#checkpoint(text);
    const about = wanted.directory ? undefined : await this.#about(wanted, signal);
    // From here on all is of one height.
    const { tip, custodians, handovers } = this.#trail();
    const claims =
      about === undefined
        ? this.#directories(path.replace(/\/$/, ''), wanted.recursive)
        : [this.#path(about)];
    const { clusterId } = this.#deps.genesis;
    const parts = { clusterId, custodians, handovers, checkpoint, tip, claims };
    const proof = Buffer.from(buildProof(parts)).toString('base64');
    const { path: proven } = claims[0]!;
    const version = about?.version ?? null;
    return { path: proven, version, height: tip.height, digest: sha256Hex(tip.header), proof };
  }

  #trail() {
    const { chain, genesis } = this.#deps;
    const { height, headerBytes: header } = chain.tip();
    const certificate = chain.certificate();
    if (header === undefined || certificate === undefined) {
      const message = `the block of height ${height} has no certificate here yet`;
      throw new AegisError('TRY_AGAIN', header === undefined ? 'nothing is final yet' : message);
    }
    const tip = { height, header, certificate: encodeCertificate(certificate) };
    return { tip, custodians: genesis.custodians, handovers: chain.handovers() };
  }

  #path({ path, version }: About): Claim {
    const { proof, value } = this.#deps.chain.prove(path);
    if (value === undefined) return pathClaim(path, { ...proof, value }, []);
    const heads = decodeRef(value).heads.map((head) => head.version.toString());
    const lineage = version === undefined ? [] : this.#lineage(heads, version);
    if (version !== undefined && lineage.length === 0) throw this.#unrelated(path, version, heads);
    return pathClaim(path, { ...proof, value }, lineage);
  }

  #unrelated(path: string, version: string, heads: readonly string[]): AegisError {
    if (heads.some((head) => this.#deps.graph.get(head) === undefined)) {
      return new AegisError('TRY_AGAIN', `a record of ${path} that is final is not here yet`);
    }
    return new AegisError('NOT_FOUND', `no final version of ${path} goes back to ${version}`, {
      hint: 'See which are final: aegis kb log',
    });
  }

  #lineage(heads: readonly string[], version: string): Uint8Array[] {
    return lineageOf(heads, version, (cid) => {
      const found = this.#deps.graph.get(cid);
      return found && { parents: found.version.parents.map(String), bytes: found.bytes };
    });
  }

  /** The path, and which version of it: the wanted one, or the greatest head. */
  async #about({ path: text, version }: Wanted, signal: AbortSignal): Promise<About> {
    const { chain, graph } = this.#deps;
    const path = parsePath(text);
    if (version !== undefined) {
      const known = graph.get(version)?.version.path;
      // What is inside a stored directory has no place in the state of its own.
      if (known !== undefined && `${path}/`.startsWith(`${known}/`))
        return { path: known, version };
      throw new AegisError('NOT_FOUND', `this node knows no version ${version} of ${path}`, {
        hint: 'See its versions: aegis kb log',
      });
    }
    const heads = chain.ref(path)?.heads ?? [];
    const [head] = heads.toSorted((a, b) => b.generation - a.generation);
    if (head === undefined) return { path, version };
    const deadline = AbortSignal.any([signal, timeout(RECORD_MS)]);
    try {
      const { cidText } = await this.#deps.record(head.version.toString(), deadline);
      return { path, version: cidText };
    } catch (error) {
      if (!hasCode(error, 'TIMEOUT')) throw error;
      return { path, version };
    }
  }

  /** @throws {AegisError} `TOO_LARGE` for more directories than a proof has claims. */
  #directories(top: string, isRecursive: boolean): Claim[] {
    const claims: Claim[] = [];
    const paths = [top === '' ? top : parsePath(top)];
    // It grows while it is gone through.
    for (const path of paths) {
      const { proof } = this.#deps.chain.proveDirectory(path);
      claims.push(directoryClaim(path, proof));
      if (isRecursive) paths.push(...this.#below(path, proof.leaves));
      if (paths.length > PROOF_LIMITS.claimsMax) {
        throw new AegisError(
          'TOO_LARGE',
          `there are more than ${PROOF_LIMITS.claimsMax} directories`,
          {
            hint: 'Prove them in several files.',
          },
        );
      }
    }
    return claims;
  }

  #below(path: string, leaves: readonly { readonly value: Uint8Array }[]): string[] {
    const { names } = this.#deps.genesis;
    const below = leaves.flatMap(({ value }) => {
      const read = readStateValue(value);
      const name = read?.type === 'mark' ? names.open(read.name) : undefined;
      // Another directory may have the same tag by chance.
      const isIn = name?.slice(0, Math.max(0, name.lastIndexOf('/'))) === path;
      return name !== undefined && isIn ? [name] : [];
    });
    // Leaves lie in the order of hashes, which says nothing to people.
    return below.toSorted();
  }

  /** Y5: the header that the verifier is going to trust, if it is here. */
  async #checkpoint(text: string): Promise<Pick<HeldLink, 'height' | 'header'>> {
    const checkpoint = checkpointOfText(text);
    if (checkpoint === undefined) {
      throw new AegisError('BAD_REQUEST', `not a checkpoint: ${JSON.stringify(text)}`, {
        hint: 'It is HEIGHT:HASH, as in aegis consensus blocks.',
      });
    }
    const { height, digest } = checkpoint;
    const header = await this.#header(height);
    if (sha256Hex(header) === digest) return { height, header };
    throw new AegisError('CHECK_FAILED', `the block of height ${height} here is another one`, {
      hint: 'Compare with others: aegis consensus block',
    });
  }

  async #header(height: number): Promise<Uint8Array> {
    const { chain, archive } = this.#deps;
    // Some are kept for ever (Z1), others for as long as their blocks.
    return chain.headerOf(height) ?? (await archive.block(height)).block.headerBytes;
  }
}
