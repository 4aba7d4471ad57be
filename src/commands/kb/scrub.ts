/** `aegis kb scrub`: everything that is kept is hashed again. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { ago, bytes, facts } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

type Result = Reply<'kb.scrub'>;

export default class KbScrub extends BaseCommand<typeof KbScrub, Result> {
  static override readonly summary = 'Show how far all objects have been hashed again.';
  static override readonly description =
    'The node hashes everything that it keeps again within the days of `kb.scrubDays`, steadily ' +
    'and at 4 MiB a second at most. A damaged object is set aside and fetched from another node. ' +
    'With --now it begins anew, and goes on as fast as it may.';
  static override readonly examples = [
    { description: 'See how far it is', command: '<%= config.bin %> kb scrub' },
    { description: 'After a suspicion of the disk', command: '<%= config.bin %> kb scrub --now' },
  ];
  static override readonly flags = {
    now: Flags.boolean({ description: 'Begin now, and do not take days for it.' }),
  };

  protected override async work(): Promise<Result> {
    const client = await this.client();
    return await client.call('kb.scrub', { body: { now: this.flags.now } });
  }

  protected override view(result: Result): string {
    const { startedAt, sizeBytes, totalBytes, damaged, hurried, days } = result;
    const { lastDoneAt, lastDamaged } = result;
    const pace = days === 0 ? 'only when asked' : `once within ${days} days`;
    const found = (count: number): string => (count === 0 ? 'none damaged' : `${count} damaged`);
    const now = `${bytes(sizeBytes)} of ${bytes(totalBytes)}, ${found(damaged)}`;
    const last = lastDoneAt === null ? 'never' : `${ago(lastDoneAt)}, ${found(lastDamaged)}`;
    return facts([
      ['pace', hurried ? 'as fast as it may' : pace],
      ['now', startedAt === null && !hurried ? undefined : now],
      ['last done', last],
    ]);
  }
}
