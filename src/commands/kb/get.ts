/** `aegis kb get`: the content of a path. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand, proofFlags } from '../../cli/base.ts';
import { bytes, safeText } from '../../cli/format.ts';
import { mayDraw } from '../../cli/terminal.ts';
import type { Client } from '../../core/api/client/client.ts';
import type { ContentReply } from '../../core/api/client/stream.ts';
import type { QueryInput } from '../../core/api/contract/endpoints.ts';
import type { KbGetOutput } from '../../core/api/contract/outputs.ts';
import { AegisError, hasCode } from '../../core/errors.ts';
import type { Verdict } from '../../core/proof/types.ts';

const TIMEOUT_MS = 60_000;
/** An older version was asked for. */
const MARK = /@[a-z2-7]{8,}$/;

type Kept = NonNullable<KbGetOutput['proof']>;

export default class KbGet extends BaseCommand<typeof KbGet, KbGetOutput | undefined> {
  static override readonly summary = 'Get a file or a directory.';
  static override readonly description =
    'Prints a file on standard output, or writes a file or a directory to -o. What this node ' +
    'does not hold comes from the others, and every object is checked against its hash. The ' +
    'target appears when it is complete, or not at all. A directory on -o - comes as a tar. ' +
    'Gives the version that is final on this node; --linearizable first asks a quorum how far ' +
    'the chain is, so that nothing is missed that was final before (exit status 75 ' +
    'without a quorum). --proof also writes a proof that the version was final at the last ' +
    'height, which anybody with the genesis can verify (aegis verify); where there is nothing it ' +
    'proves that, and the exit status is 66 all the same.';
  static override readonly examples = [
    { description: 'Print a file', command: '<%= config.bin %> kb get notes.md' },
    { description: 'Write a directory', command: '<%= config.bin %> kb get www/site -o ./site' },
    {
      description: 'Not older than anything that was final when it was asked for',
      command: '<%= config.bin %> kb get notes.md --linearizable',
    },
    {
      description: 'An older version',
      command: '<%= config.bin %> kb get notes.md@bafyr4i... -o old.md',
    },
    {
      description: 'With a proof for who has the genesis and no node',
      command: '<%= config.bin %> kb get plan.md -o plan.md --proof plan.proof',
    },
  ];
  static override readonly args = {
    path: Args.string({ required: true, description: 'PATH, or PATH@VERSION.' }),
  };
  static override readonly flags = {
    output: Flags.string({
      char: 'o',
      helpValue: '<file>|-',
      description: 'Write here; - is standard output.',
    }),
    linearizable: Flags.boolean({
      description: 'Ask a quorum first, and wait until this node is as far.',
      exclusive: ['provisional'],
    }),
    provisional: Flags.boolean({ description: 'Also a version that is not final yet.' }),
    strict: Flags.boolean({
      description: 'Refuse (exit status 65) what is a merge with conflicts.',
    }),
    ...proofFlags,
    force: Flags.boolean({ char: 'f', description: 'Replace what is there.' }),
  };

  protected override async work(): Promise<KbGetOutput | undefined> {
    const { output, force, proof, linearizable, provisional, strict } = this.flags;
    if (this.json && (output === undefined || output === '-')) {
      throw new AegisError('USAGE', 'with --json the content needs a place of its own', {
        hint: 'Give one: -o FILE',
      });
    }
    if (provisional && proof !== undefined) {
      throw new AegisError('USAGE', 'there is no proof of what is provisional');
    }
    const target = await import('../../cli/kb/target.ts');
    if (output !== undefined && output !== '-') await target.checkTarget({ path: output, force });
    if (proof !== undefined) await target.checkTarget({ path: proof, force });
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs });
    const query = { path: this.args.path, timeoutMs, linearizable, provisional, strict };
    const content = await this.#content(client, query);
    if (!content.final) this.note('aegis: this version is not final yet');
    if (content.conflicts > 0) this.note('aegis: a merge with conflicts; see: aegis kb conflicts');
    try {
      const kept = proof === undefined ? null : await this.#keepProof(client, content, proof);
      return await this.#take(content, kept);
    } finally {
      content.cancel();
    }
  }

  /** Where there is nothing, a proof that is asked for says so. */
  async #content(client: Client, query: Parameters<Client['content']>[0]): Promise<ContentReply> {
    const { proof } = this.flags;
    try {
      return await client.content(query, { signal: this.interruption() });
    } catch (error) {
      if (proof === undefined || !hasCode(error, 'NOT_FOUND')) throw error;
      if (MARK.test(query.path)) throw error;
      const { height, claims } = await this.#proof(client, { path: query.path }, proof);
      const what =
        claims[0]?.type === 'absence' ? 'there was nothing' : 'which versions there were';
      throw new AegisError('NOT_FOUND', error.message, {
        hint: `${safeText(proof)} shows ${what} at height ${height}.`,
        cause: error,
      });
    }
  }

  async #keepProof(client: Client, content: ContentReply, file: string): Promise<Kept> {
    const { path: wanted, version, cid } = content;
    const query = { path: wanted, version };
    const { height, digest, time, claims } = await this.#proof(client, query, file);
    const [claim] = claims;
    const proven = claim?.type === 'value' ? claim.version : undefined;
    const isOfAll = claim?.path === wanted;
    if (claim === undefined || proven?.cid.toString() !== version) {
      throw new AegisError('BAD_PROOF', 'the daemon gave the proof of another version');
    }
    if (isOfAll && proven.version.root.toString() !== cid) {
      throw new AegisError('BAD_PROOF', 'the daemon gave other content than its proof names');
    }
    const of = isOfAll ? '' : ` of the directory ${safeText(claim.path)}`;
    this.note(`aegis: ${safeText(file)} is a proof${of} at height ${height}`);
    return { file, path: claim.path, height, digest, time: new Date(time).toISOString() };
  }

  async #proof(client: Client, query: QueryInput<'kb.proof'>, path: string): Promise<Verdict> {
    const { keepProof, parseCheckpoint } = await import('../../cli/proof.ts');
    const { ownGenesis } = await import('../../cli/cluster.ts');
    const checkpoint = parseCheckpoint(this.flags.checkpoint);
    const { bytes: genesis } = await ownGenesis(this.home());
    const target = { path, force: this.flags.force };
    const { verdict } = await keepProof(client, query, { genesis, checkpoint }, target);
    return verdict;
  }

  async #take(content: ContentReply, proof: Kept | null): Promise<KbGetOutput | undefined> {
    const { output, force } = this.flags;
    const target = await import('../../cli/kb/target.ts');
    const stream = await this.#watched(content);
    if (output === undefined || output === '-') {
      await this.#print(content, stream, output);
      return undefined;
    }
    if (content.kind === 'file') await target.writeFileTarget({ path: output, force }, stream);
    else {
      const { unpackTar } = await import('../../core/api/tar.ts');
      await target.writeTreeTarget({ path: output, force }, unpackTar(stream));
    }
    const { path, cid, version, kind, sizeBytes, final, height } = content;
    const facts = { path, cid, version, kind, sizeBytes, final, height };
    return { schema: 'aegis.kb.get/1', ...facts, output, proof };
  }

  async #print(
    content: ContentReply,
    stream: AsyncIterable<Uint8Array>,
    output: string | undefined,
  ): Promise<void> {
    if (content.kind === 'directory' && output === undefined) {
      throw new AegisError('USAGE', `${safeText(content.path)} is a directory`, {
        hint: 'Write it with -o DIR, or get a tar archive with -o -.',
      });
    }
    const { writeStdout } = await import('../../cli/kb/stdout.ts');
    const guard = output === undefined && process.stdout.isTTY;
    await writeStdout(stream, { guard, signal: this.interruption() });
  }

  async #watched(content: ContentReply): Promise<AsyncIterable<Uint8Array>> {
    const { withProgress } = await import('../../cli/kb/progress.ts');
    const { quiet, json, output } = this.flags;
    const shown = output === undefined || output === '-';
    const draw = mayDraw({ quiet, json }) && !(shown && process.stdout.isTTY);
    const { path, sizeBytes: totalBytes } = content;
    return withProgress(content.bytes, { label: safeText(path), totalBytes, draw });
  }

  protected override view({ kind, output, sizeBytes, version }: KbGetOutput): string {
    return `${kind} ${safeText(output)}  ${bytes(sizeBytes)}  ${version}`;
  }
}
