/** `aegis kb repair`: does at once what is done anyway. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { counted } from '../../cli/chain.ts';
import { facts, safeText } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { AegisError } from '../../core/errors.ts';

const TIMEOUT_MS = 600_000;

type Result = Reply<'kb.repair'>;

export default class KbRepair extends BaseCommand<typeof KbRepair, Result> {
  static override readonly summary = 'Repair a path, or all of them, at once.';
  static override readonly description =
    'Copies are repaired without it; this does not wait until the next attempt is due. Of a path ' +
    'every object that is here is read and hashed, what is damaged is fetched again, and its ' +
    'holders have to prove their copies. With --now whoever is not connected counts as absent at ' +
    'once, and others take over.';
  static override readonly examples = [
    { description: 'Check and mend one path', command: '<%= config.bin %> kb repair notes.md' },
    {
      description: 'Two machines are gone for good: do not wait',
      command: '<%= config.bin %> kb repair --all --now',
    },
  ];
  static override readonly args = {
    path: Args.string({ ignoreStdin: true, description: 'Path in the knowledge base.' }),
  };
  static override readonly flags = {
    all: Flags.boolean({ description: 'All paths: what waits is tried at once.' }),
    now: Flags.boolean({ description: 'Count whoever is not connected as absent at once.' }),
  };

  protected override async work(): Promise<Result> {
    const { path } = this.args;
    const { all, now } = this.flags;
    if ((path === undefined) === !all) {
      throw new AegisError('USAGE', 'give either a path or --all', {
        hint: 'See: aegis kb repair --help',
      });
    }
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs: timeoutMs + 5000 });
    const body = { now, timeoutMs, ...(path !== undefined && { path }) };
    return await client.call('kb.repair', { body, signal: this.interruption() });
  }

  protected override view(result: Result): string {
    const { path, cid, objects, unproved, underReplicated, wanted } = result;
    return facts([
      ['path', path === null ? undefined : safeText(path)],
      ['cid', cid ?? undefined],
      ['here', objects === null ? undefined : `${counted(objects, 'object')}, all sound`],
      ...unproved.map(({ nodeId, name }): [string, string] => [
        'unproved',
        safeText(name ?? nodeId),
      ]),
      ['lack copies', String(underReplicated)],
      ['to fetch', String(wanted)],
    ]);
  }
}
