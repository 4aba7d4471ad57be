/** `aegis kb pin`: keeps a whole content on this node, or lists what is kept so. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { safeText } from '../../cli/format.ts';
import { pinTable, pinText } from '../../cli/kb/pin-view.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { AegisError } from '../../core/errors.ts';

/** A content may be large. */
const TIMEOUT_MS = 60 * 60 * 1000;

type Result = Reply<'kb.pin'> | Reply<'kb.pins'>;

export default class KbPin extends BaseCommand<typeof KbPin, Result> {
  static override readonly summary = 'Keep a whole content on this node.';
  static override readonly description =
    'Fetches what is not here, and keeps the content whatever the placement and `kb.keepLast` ' +
    'say. A pin is of the content that the path shows now; it does not follow the path. Pinning ' +
    'again changes the name, or whether the gateway may give it to anybody.';
  static override readonly examples = [
    { description: 'Keep what a path shows', command: '<%= config.bin %> kb pin report.pdf' },
    {
      description: 'Keep an earlier content, under a name',
      command: '<%= config.bin %> kb pin report.pdf@bafyr4i... --name audit-2026',
    },
    { description: 'What is pinned', command: '<%= config.bin %> kb pin --list' },
  ];
  static override readonly args = {
    target: Args.string({
      ignoreStdin: true,
      description: 'A path, a path with @ and a version, or the CID of a content.',
    }),
  };
  static override readonly flags = {
    name: Flags.string({ helpValue: '<name>', description: 'A name to find the pin by.' }),
    public: Flags.boolean({
      allowNo: true,
      description: 'Let the gateway give it to anybody who knows its CID.',
    }),
    list: Flags.boolean({
      char: 'l',
      exclusive: ['name', 'public'],
      description: 'List the pins of this node.',
    }),
    limit: Flags.integer({
      char: 'n',
      default: 1000,
      min: 1,
      max: 10_000,
      helpValue: '<number>',
      description: 'List this many at most.',
    }),
    after: Flags.string({ helpValue: '<cid>', description: 'List those after this one.' }),
  };

  protected override async work(): Promise<Result> {
    const { target } = this.args;
    const { name, list, limit, after } = this.flags;
    if (list !== (target === undefined)) {
      throw new AegisError('USAGE', 'name a path or a CID, or ask for the --list', {
        hint: 'See: aegis kb pin --help',
      });
    }
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs });
    if (target === undefined) {
      const query = { limit, ...(after !== undefined && { after }) };
      return await client.call('kb.pins', { query });
    }
    const isPublic = this.flags.public as boolean | undefined;
    const body = {
      ...{ target, timeoutMs },
      ...(name !== undefined && { name }),
      ...(isPublic !== undefined && { public: isPublic }),
    };
    return await client.call('kb.pin', { body, signal: this.interruption() });
  }

  protected override view(result: Result): string {
    if (result.schema === 'aegis.kb.pin/1') {
      return `${pinText(result)}: ${result.created ? 'pinned' : 'was pinned before'}`;
    }
    if (result.next !== null) {
      this.note(`aegis: there is more; go on with --after ${safeText(result.next)}`);
    }
    return result.pins.length === 0 ? 'nothing is pinned' : pinTable(result.pins, this.paint.bold);
  }
}
