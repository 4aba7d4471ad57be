/** `aegis node drain`: others take over what this node holds. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

/** As long as the base is large. */
const TIMEOUT_MS = 24 * 60 * 60 * 1000;

type Result = Reply<'node.drain'>;

export default class NodeDrain extends BaseCommand<typeof NodeDrain, Result> {
  static override readonly summary = 'Have other nodes take over what this node holds.';
  static override readonly description =
    'Tells the cluster to place elsewhere what this node holds, and ends when every document of ' +
    'it has its copies on others: then the node can be taken away without any document being ' +
    'short of copies. Until then it goes on giving out what it has. A drain survives restarts; ' +
    '--undo takes it back. It says nothing about votes: see aegis cluster propose for that.';
  static override readonly examples = [
    { description: 'Before a machine is taken away', command: '<%= config.bin %> node drain' },
    { description: 'It stays after all', command: '<%= config.bin %> node drain --undo' },
  ];
  static override readonly flags = {
    undo: Flags.boolean({ description: 'Hold documents again.' }),
  };

  protected override async work(): Promise<Result> {
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs: timeoutMs + 5000 });
    const body = { undo: this.flags.undo, timeoutMs };
    return await client.call('node.drain', { body, signal: this.interruption() });
  }

  protected override view({ draining }: Result): string {
    return draining
      ? 'drained: every document that is here has its copies on other nodes'
      : 'holds documents again';
  }
}
