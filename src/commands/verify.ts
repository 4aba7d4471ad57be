/** `aegis verify`: whether a proof holds, and what it says. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base.ts';
import { safeText } from '../cli/format.ts';
import { verifyText } from '../cli/proof-view.ts';
import type { VerifyResult } from '../core/api/contract/proofs.ts';
import { AegisError, hasCode } from '../core/errors.ts';
import type { Verdict } from '../core/proof/types.ts';

export default class Verify extends BaseCommand<typeof Verify, VerifyResult> {
  static override readonly summary = 'Verify a proof of what the knowledge base held.';
  static override readonly description =
    'Says what stood under a path or in a directory at one height, and when the block of that ' +
    'height was made, by nothing but the genesis of the cluster: no node, no network. It cannot ' +
    'say that nothing came later. --checkpoint begins to trust at a block that you know, not at ' +
    'the genesis: keys that were retired before it and stolen later can forge nothing. ' +
    '--content compares a file or a directory on disk with the version of the proof. Exit ' +
    'status 65: it is no proof, or the content is another one.';
  static override readonly examples = [
    {
      description: 'A proof that came by mail',
      command: '<%= config.bin %> verify plan.proof --genesis notes.genesis',
    },
    {
      description: 'And that the file that came with it is the one',
      command: '<%= config.bin %> verify plan.proof --genesis notes.genesis --content plan.md',
    },
    {
      description: 'Trusting no key from before a block that you know',
      command: '<%= config.bin %> verify plan.proof -g notes.genesis --checkpoint 4711:9f86d0...',
    },
    {
      description: 'The height, for a script',
      command: '<%= config.bin %> verify plan.proof -g notes.genesis --json | jq .height',
    },
  ];
  static override readonly args = {
    file: Args.string({
      required: true,
      description: 'What `kb get --proof` or `kb ls --proof` wrote; - is standard input.',
    }),
  };
  static override readonly flags = {
    genesis: Flags.string({
      char: 'g',
      helpValue: '<file>',
      description: 'The genesis of the cluster. Default: that of this home.',
    }),
    checkpoint: Flags.string({
      helpValue: '<height>:<hash>',
      description: 'Begin to trust at this block, and refuse another one.',
    }),
    content: Flags.string({
      helpValue: '<path>',
      description:
        'A file or a directory on disk that must be the content of the version, put with --plain.',
    }),
  };

  protected override async work(): Promise<VerifyResult> {
    const { parseCheckpoint, readGenesis, verifyResult } = await import('../cli/proof.ts');
    const { readDocument } = await import('../cli/documents.ts');
    const { PROOF_LIMITS } = await import('../core/proof/codec.ts');
    const { verifyProof } = await import('../core/proof/verifier.ts');
    const checkpoint = parseCheckpoint(this.flags.checkpoint);
    const file = this.flags.genesis ?? (await this.#ownGenesis());
    const genesis = await naming(`${safeText(file)} is no genesis`, () => readGenesis(file));
    const bytes = await readDocument(this.args.file, PROOF_LIMITS.proofBytesMax);
    const verdict = await naming(`${safeText(this.args.file)} is no proof`, () =>
      verifyProof(bytes, genesis, { checkpoint }),
    );
    const { content } = this.flags;
    const compared = content === undefined ? null : await this.#compare(content, verdict);
    return verifyResult(verdict, checkpoint, compared);
  }

  async #ownGenesis(): Promise<string> {
    const { genesis } = this.home();
    const { statIfPresent } = await import('../core/files.ts');
    if ((await statIfPresent(genesis)) !== undefined) return genesis;
    throw new AegisError('USAGE', 'a proof is verified by the genesis of its cluster', {
      hint: 'Name it: --genesis FILE',
    });
  }

  /** @throws {AegisError} `BAD_HASH`, `USAGE` when the proof is not of one version. */
  async #compare(file: string, { claims }: Verdict): Promise<VerifyResult['content']> {
    const values = claims.filter((claim) => claim.type === 'value');
    const [claim] = values;
    const version = claim?.version?.version;
    if (claim === undefined || version === undefined || claims.length > 1) {
      throw new AegisError('USAGE', 'the proof names no content that could be compared');
    }
    const { isSealedRoot } = await import('../core/model/sealed.ts');
    if (isSealedRoot(version.root)) {
      const message = `the proof names what is encrypted of ${safeText(claim.path)}`;
      throw new AegisError('SEALED', message, {
        hint: 'Only what was put with --plain can be compared with a file.',
      });
    }
    const { cidOfPath } = await import('../cli/kb/cid.ts');
    const { BLAKE3_CODE, createHasher } = await import('../core/storage/hasher.ts');
    const isBlake3 = version.root.multihash.code === BLAKE3_CODE;
    const hasher = await createHasher(isBlake3 ? 'blake3' : 'sha2-256');
    const cid = (await cidOfPath(file, hasher)).toString();
    const expected = version.root.toString();
    const { path } = claim;
    if (version.deleted === true) {
      throw new AegisError('BAD_HASH', `the proof says that ${safeText(path)} was deleted`, {
        hint: 'What it held before is another version.',
      });
    }
    if (cid === expected) return { file, path, cid };
    throw new AegisError('BAD_HASH', `${safeText(file)} is not what ${safeText(path)} held`, {
      hint: `It is ${cid}, and the proof names ${expected}.`,
    });
  }

  protected override view(result: VerifyResult): string {
    return verifyText(result);
  }
}

/** Two files are read: whoever gave the wrong one wants to know which. */
async function naming<T>(what: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!hasCode(error, 'BAD_ENCODING')) throw error;
    throw new AegisError('BAD_ENCODING', `${what}: ${error.message}`, { cause: error });
  }
}
