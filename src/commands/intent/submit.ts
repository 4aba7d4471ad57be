/** `aegis intent submit`: has the custodians decide on changes of paths, as they are given. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { fateText } from '../../cli/chain.ts';
import { facts } from '../../cli/format.ts';
import { batchesOf, signedBatchesOf, troubleOf, type WantedIntent } from '../../cli/intents.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import type { IntentFate } from '../../core/api/contract/intents.ts';
import { AegisError } from '../../core/errors.ts';

type Submitted = Reply<'intents.submit'>;

const TIMEOUT_MS = 60_000;

export default class IntentSubmit extends BaseCommand<typeof IntentSubmit, Submitted> {
  static override readonly summary = 'Submit a change of a path to the custodians.';
  static override readonly description =
    'Low level: aegis kb put does this and stores the content too. The daemon signs the intent, ' +
    'keeps it durable and passes it on until it is decided, in the order of submission. The ' +
    'same path, version and parents make the same intent, so repeating the command is harmless. ' +
    'Exit status 73 when --if-version does not hold, or the sequence of a signed intent was ' +
    'used, 77 without the right, 75 over quota, 65 for a signed intent that leaves a gap or is ' +
    'for another cluster, 1 when the intent is refused for another reason, 75 when it is queued ' +
    'and not decided within --timeout (60 s): no quorum, most likely.';
  static override readonly examples = [
    {
      description: 'Let a path point at a version',
      command: '<%= config.bin %> intent submit notes.md bafyrei...',
    },
    {
      description: 'In place of the version that was read',
      command:
        '<%= config.bin %> intent submit notes.md bafyrei... --parent bafyreh... ' +
        '--generation 2 --if-version bafyreh...',
    },
    {
      description: 'Many, one a line',
      command: '<%= config.bin %> intent submit --file changes.ndjson',
    },
  ];
  static override readonly args = {
    // oclif would take a missing argument from standard input, which is for --file.
    path: Args.string({ ignoreStdin: true, description: 'Path in the knowledge base.' }),
    version: Args.string({
      ignoreStdin: true,
      description: 'CID of the version that it shall show.',
    }),
  };
  static override readonly flags = {
    parent: Flags.string({
      multiple: true,
      helpValue: '<cid>',
      description: 'A version that this one takes the place of; may be repeated.',
    }),
    generation: Flags.integer({
      min: 1,
      default: 1,
      helpValue: '<number>',
      description: 'Generation of the version: one more than the greatest of its parents.',
    }),
    'if-version': Flags.string({
      helpValue: '<cid>|none',
      description: 'Refuse (exit status 73) unless this is the only head, or there is none.',
    }),
    delete: Flags.boolean({ description: 'The version deletes the path.' }),
    file: Flags.string({
      helpValue: '<file>|-',
      description: 'Read intents from here, one JSON object a line; - is standard input.',
    }),
    signed: Flags.string({
      helpValue: '<file>|-',
      description: 'Hand in intents that were signed elsewhere, one a line in base64.',
    }),
    wait: Flags.option({
      options: ['accepted', 'final'] as const,
      default: 'final' as const,
      description: 'Return when they are durable here, or when they are decided.',
    })(),
  };

  protected override async work(): Promise<Submitted> {
    const { wait } = this.flags;
    const signal = this.interruption();
    const deadline = Date.now() + this.timeoutMs(TIMEOUT_MS);
    const client = await this.client();
    const fates: IntentFate[] = [];
    if (this.flags.signed !== undefined) {
      for await (const signed of this.#signed(this.flags.signed)) {
        const body = { signed, wait, timeoutMs: Math.max(1, deadline - Date.now()) };
        fates.push(...(await client.call('intents.relay', { body, signal })).intents);
      }
    }
    for await (const intents of this.#batches()) {
      const timeoutMs = Math.max(1, deadline - Date.now());
      const body = { intents, wait, timeoutMs };
      fates.push(...(await client.call('intents.submit', { body, signal })).intents);
    }
    return { schema: 'aegis.intents.submit/1', intents: fates, wait };
  }

  override async run(): Promise<Submitted> {
    const submitted = await super.run();
    this.#conclude(submitted.intents);
    return submitted;
  }

  #signed(file: string): AsyncIterable<string[]> {
    if (this.args.path === undefined && this.flags.file === undefined) return signedBatchesOf(file);
    throw new AegisError('USAGE', 'give --signed, --file or PATH VERSION, and no two of them');
  }

  #batches(): AsyncIterable<WantedIntent[]> | Iterable<WantedIntent[]> {
    const { path, version } = this.args;
    const { file, signed, parent = [], generation, delete: deleted } = this.flags;
    if (signed !== undefined) return [];
    if (file !== undefined) {
      if (path !== undefined) throw new AegisError('USAGE', 'give either PATH VERSION or --file');
      return batchesOf(file);
    }
    if (path === undefined || version === undefined) {
      throw new AegisError(
        'USAGE',
        `missing argument ${path === undefined ? 'PATH ' : ''}VERSION`,
        {
          hint: 'See: aegis intent submit --help',
        },
      );
    }
    const expected = this.flags['if-version'];
    const change = {
      ...{ path, version, parents: parent, generation, deleted },
      ...(expected !== undefined && { expected: expected === 'none' ? null : expected }),
    };
    return [[{ changes: [change] }]];
  }

  /** The fates are the result, whatever they are; the exit status tells a script the rest. */
  #conclude(fates: readonly IntentFate[]): void {
    const compared = this.flags['if-version'] !== undefined;
    const trouble = troubleOf(fates, { wanted: this.flags.wait, compared });
    if (trouble === undefined) return;
    process.exitCode = trouble.exit;
    if (this.json) return;
    process.stderr.write(`aegis: error: ${trouble.text}\naegis: hint: ${trouble.hint}\n`);
  }

  protected override view({ intents }: Submitted): string {
    const [first] = intents;
    if (first === undefined) return 'nothing to submit';
    if (intents.length === 1) {
      return facts([
        ['intent', first.id],
        ['sequence', String(first.sequence)],
        ['status', fateText(first)],
      ]);
    }
    const of = (result: IntentFate['result']): number =>
      intents.filter((each) => each.result === result).length;
    return facts([
      ['intents', String(intents.length)],
      ['done', String(of('done'))],
      ['unchanged', String(of('unchanged'))],
      ['refused', String(of('refused'))],
      ['pending', String(of(null))],
    ]);
  }
}
