/** `aegis node backup`: a copy of this home, made while its node runs. */
import { resolve } from 'node:path';
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { bytes, facts, safeText } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

/** Copying takes as long as it takes; the node is asked no oftener for that. */
const TIMEOUT_MS = 24 * 60 * 60 * 1000;

type Result = Reply<'node.backup'>;

export default class NodeBackup extends BaseCommand<typeof NodeBackup, Result> {
  static override readonly summary = 'Copy the home of the running node.';
  static override readonly description =
    'The node copies its documents, its chain, its keys (encrypted, as they are), settings and ' +
    'genesis into a new directory, and goes on voting meanwhile. The copy is a home: start it ' +
    'anywhere with `aegis node start --home DIR`, when the original is gone. It follows the ' +
    'cluster and does not vote, since the original may have voted after the copy was made, until ' +
    '`aegis keys rotate --consensus` has given it another consensus key or an operator vouches ' +
    'for it.';
  static override readonly examples = [
    {
      description: 'Into a new directory',
      command: '<%= config.bin %> node backup /backup/monday',
    },
    {
      description: 'From a timer',
      command: '<%= config.bin %> node backup "/backup/$(date +%F)" --json --timeout 1h',
    },
  ];
  static override readonly args = {
    dir: Args.string({ required: true, description: 'The directory to make; it must not exist.' }),
  };

  protected override async work(): Promise<Result> {
    const client = await this.client({ timeoutMs: this.timeoutMs(TIMEOUT_MS) });
    const signal = this.interruption();
    return await client.call('node.backup', { body: { dir: resolve(this.args.dir) }, signal });
  }

  protected override view({ dir, height, chainBytes, contentBytes }: Result): string {
    return facts([
      ['backup', safeText(dir)],
      ['height', String(height)],
      ['chain', bytes(chainBytes)],
      ['content', bytes(contentBytes)],
    ]);
  }
}
