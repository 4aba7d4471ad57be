/** `aegis kb gc`: deletes what nothing keeps on this node, and gives the room back. */
import { Flags } from '@oclif/core';
import { BaseCommand, confirmFlags } from '../../cli/base.ts';
import { counted } from '../../cli/chain.ts';
import { bytes, facts } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

/** It takes as long as it takes. */
const TIMEOUT_MS = 24 * 60 * 60 * 1000;

type Result = Reply<'kb.gc'>;

export default class KbGc extends BaseCommand<typeof KbGc, Result> {
  static override readonly summary = 'Delete contents that nothing keeps on this node.';
  static override readonly description =
    'Kept are the contents that the placement gives this node, those that it wrote and too few ' +
    'others have, pins, and what is being written or fetched; of earlier versions those that ' +
    '`kb.keepLast` and `kb.keepFor` name, and all of them when neither is set. All else is ' +
    'deleted while reads and writes go on, and its room goes back to the disk. Records of ' +
    'versions stay. The node does this by itself when 90 % of `kb.quota` are used.';
  static override readonly examples = [
    { description: 'See what would go', command: '<%= config.bin %> kb gc --dry-run' },
    { description: 'Make room now', command: '<%= config.bin %> kb gc --yes' },
    {
      description: 'Keep the content of the last five versions behind the shown one, and collect',
      command:
        '<%= config.bin %> config set kb.keepLast 5 && <%= config.bin %> node restart && ' +
        '<%= config.bin %> kb gc --yes',
    },
  ];
  static override readonly flags = {
    ...confirmFlags,
    'dry-run': Flags.boolean({ description: 'Delete nothing; say what would go.' }),
    force: Flags.boolean({
      description: 'Go on although a kept content lacks objects that no other node can give.',
    }),
  };

  protected override async work(): Promise<Result> {
    const { 'dry-run': dryRun, force } = this.flags;
    const planned = await this.#collect({ dryRun: true, force });
    if (dryRun || planned.objects + planned.roots === 0) return { ...planned, dryRun };
    const what = `${counted(planned.objects, 'object')}, ${bytes(planned.sizeBytes)}`;
    await this.confirm(`delete ${what} from this node?`);
    return await this.#collect({ dryRun: false, force });
  }

  async #collect(body: { dryRun: boolean; force: boolean }): Promise<Result> {
    const client = await this.client({ timeoutMs: this.timeoutMs(TIMEOUT_MS) });
    return await client.call('kb.gc', { body, signal: this.interruption() });
  }

  protected override view(result: Result): string {
    const { dryRun, objects, sizeBytes, roots, versions, bytesBefore, bytesAfter } = result;
    const freed = Math.max(0, bytesBefore - bytesAfter);
    const gone = objects === 0 ? 'none' : `${counted(objects, 'object')}, ${bytes(sizeBytes)}`;
    return facts([
      [dryRun ? 'would go' : 'deleted', gone],
      ['contents', roots === 0 ? undefined : String(roots)],
      ['versions', versions === 0 ? undefined : `${versions} without their content`],
      ['on disk', bytes(bytesAfter)],
      ['freed', dryRun || objects === 0 ? undefined : `${bytes(freed)} of ${bytes(bytesBefore)}`],
    ]);
  }
}
