/** `aegis kb ls`: paths of the knowledge base. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand, proofFlags } from '../../cli/base.ts';
import { ago, bytes, safeText, table } from '../../cli/format.ts';
import { verifyText } from '../../cli/proof-view.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import type { KbEntry } from '../../core/api/contract/kb.ts';
import type { VerifyResult } from '../../core/api/contract/proofs.ts';

export default class KbLs extends BaseCommand<typeof KbLs, Reply<'kb.ls'> | VerifyResult> {
  static override readonly summary = 'List paths of the knowledge base.';
  static override readonly description =
    'Lists what is directly below a prefix, or everything below it with --recursive. Of a stored ' +
    'directory it lists what is inside. COPIES are durable ones, of those wanted; FINAL is ' +
    'the height at which the custodians have agreed on the version; HEADS above 1 are versions ' +
    'that do not know of each other (see aegis kb log). --proof writes a proof of all that lies ' +
    'in a directory, with --recursive of all below it too, and lists what it shows; anybody with ' +
    'the genesis can verify it (aegis verify).';
  static override readonly examples = [
    { description: 'The top', command: '<%= config.bin %> kb ls' },
    { description: 'Everything below notes', command: '<%= config.bin %> kb ls notes --recursive' },
    {
      description: 'Prove what there is in notes, and that there is nothing else',
      command: '<%= config.bin %> kb ls notes --proof notes.proof',
    },
    {
      description: 'Paths only, for a script',
      command: "<%= config.bin %> kb ls -r --json | jq -r '.entries[].path'",
    },
  ];
  static override readonly args = {
    prefix: Args.string({
      ignoreStdin: true,
      default: '',
      description: 'Path or first parts of one.',
    }),
  };
  static override readonly flags = {
    recursive: Flags.boolean({ char: 'r', description: 'Also what is further below.' }),
    limit: Flags.integer({
      char: 'n',
      default: 1000,
      min: 1,
      max: 10_000,
      helpValue: '<number>',
      description: 'List this many at most.',
    }),
    after: Flags.string({ helpValue: '<path>', description: 'Go on after this path.' }),
    ...proofFlags,
    force: Flags.boolean({ char: 'f', description: 'Replace the proof that is there.' }),
  };

  protected override async work(): Promise<Reply<'kb.ls'> | VerifyResult> {
    const { recursive, limit, after, proof } = this.flags;
    const { prefix } = this.args;
    if (proof !== undefined) return await this.#prove(proof);
    const client = await this.client();
    return await client.call('kb.ls', {
      query: { prefix, recursive, limit, ...(after !== undefined && { after }) },
    });
  }

  async #prove(file: string): Promise<VerifyResult> {
    const { recursive, force, checkpoint: text } = this.flags;
    const { keepProof, parseCheckpoint, verifyResult } = await import('../../cli/proof.ts');
    const { checkTarget } = await import('../../cli/kb/target.ts');
    const { ownGenesis } = await import('../../cli/cluster.ts');
    const target = { path: file, force };
    await checkTarget(target);
    const checkpoint = parseCheckpoint(text);
    const { bytes: genesis } = await ownGenesis(this.home());
    const query = { path: this.args.prefix, directory: true, recursive };
    const client = await this.client();
    const { verdict } = await keepProof(client, query, { genesis, checkpoint }, target);
    return verifyResult(verdict, checkpoint, null);
  }

  protected override view(result: Reply<'kb.ls'> | VerifyResult): string {
    return result.schema === 'aegis.verify/1' ? verifyText(result) : this.#list(result);
  }

  #list(list: Reply<'kb.ls'>): string {
    const { prefixes, entries, items, next } = list;
    if (next !== null) {
      this.note(`aegis: there is more; go on with --after ${safeText(next)}`);
    }
    const parts = [
      ...prefixes.map(safeText),
      ...(entries.length > 0 ? [this.#entries(entries)] : []),
      ...(items.length > 0 ? [this.#items(items)] : []),
    ];
    return parts.length === 0 ? 'nothing here' : parts.join('\n');
  }

  #entries(entries: readonly KbEntry[]): string {
    return table(
      entries,
      [
        { title: 'PATH', cell: (entry) => `${entry.path}${entry.kind === 'directory' ? '/' : ''}` },
        { title: 'SIZE', cell: (entry) => bytes(entry.sizeBytes), align: 'right' },
        { title: 'AGE', cell: (entry) => ago(entry.time) },
        {
          title: 'AUTHOR',
          cell: ({ author, authorName }) => authorName ?? author?.slice(0, 14) ?? 'merge',
        },
        {
          title: 'COPIES',
          cell: ({ replicas }) => `${replicas.confirmed ?? '?'}/${replicas.wanted}`,
        },
        { title: 'FINAL', cell: (entry) => (entry.final ? (entry.height ?? 'yes') : 'no') },
        { title: 'HEADS', cell: (entry) => entry.heads, align: 'right' },
        { title: 'HERE', cell: (entry) => (entry.local ? 'yes' : 'no') },
      ],
      { heading: this.paint.bold },
    );
  }

  #items(items: Reply<'kb.ls'>['items']): string {
    return table(
      items,
      [
        { title: 'INSIDE', cell: (item) => `${item.path}${item.kind === 'directory' ? '/' : ''}` },
        { title: 'SIZE', cell: (item) => bytes(item.sizeBytes), align: 'right' },
        { title: 'CID', cell: (item) => item.cid },
      ],
      { heading: this.paint.bold },
    );
  }
}
