/** `aegis cluster leave`: an agent goes. */
import { BaseCommand, confirmFlags } from '../../cli/base.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

/** @default for `--timeout`: a decision takes a few blocks. */
const TIMEOUT_MS = 60_000;

export default class ClusterLeave extends BaseCommand<typeof ClusterLeave, Reply<'cluster.leave'>> {
  static override readonly summary = 'Leave the cluster.';
  static override readonly description =
    'Only agents leave: the quorum counts on custodians, which are those of the genesis. Once ' +
    'the departure is final, the others hang up and refuse what this node asks for; what it has ' +
    'written stays in the cluster. It comes back by another invitation (`aegis cluster rejoin`).';
  static override readonly examples = [
    { description: 'Leave', command: '<%= config.bin %> cluster leave' },
    { description: 'In a script', command: '<%= config.bin %> cluster leave --yes' },
  ];
  static override readonly flags = { ...confirmFlags };

  protected override async work(): Promise<Reply<'cluster.leave'>> {
    await this.confirm('leave the cluster? Only another invitation lets this node in again.');
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    // The daemon gives up first, and says why.
    const client = await this.client({ timeoutMs: timeoutMs + 5000 });
    const reply = await client.call('cluster.leave', { body: { wait: 'final', timeoutMs } });
    this.note('Next: aegis node stop');
    return reply;
  }

  protected override view({ height }: Reply<'cluster.leave'>): string {
    return height === null ? 'left' : `left, as of block ${height}`;
  }
}
