/** `aegis kb unpin`: takes a pin back. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { pinText } from '../../cli/kb/pin-view.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

export default class KbUnpin extends BaseCommand<typeof KbUnpin, Reply<'kb.unpin'>> {
  static override readonly summary = 'Take a pin back.';
  static override readonly description =
    'The content stays until the next collection, and longer where the placement or retention ' +
    'keeps it on this node.';
  static override readonly examples = [
    { description: 'By path', command: '<%= config.bin %> kb unpin report.pdf' },
    { description: 'By name', command: '<%= config.bin %> kb unpin audit-2026' },
  ];
  static override readonly args = {
    target: Args.string({
      ignoreStdin: true,
      required: true,
      description: 'The path or the name of the pin, or the CID of the content.',
    }),
  };

  protected override async work(): Promise<Reply<'kb.unpin'>> {
    const client = await this.client();
    return await client.call('kb.unpin', { body: { target: this.args.target } });
  }

  protected override view(pin: Reply<'kb.unpin'>): string {
    return `${pinText(pin)}: not pinned any more`;
  }
}
