/** `aegis cluster approve`: a custodian agrees to a proposal, or sees what waits for it. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { proposalsTable, proposalText } from '../../cli/governance.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

const TIMEOUT_MS = 60_000;

type Answer = Reply<'cluster.approve'> | Reply<'cluster.proposals'>;

export default class ClusterApprove extends BaseCommand<typeof ClusterApprove, Answer> {
  static override readonly summary = 'Approve a proposal, or list those that wait for approval.';
  static override readonly description =
    'The node of this home must be a custodian. Read what the proposal changes first: the id ' +
    'stands for exactly that, and when a quorum has approved it there is no way back but another ' +
    'proposal. Repeating it is harmless.';
  static override readonly examples = [
    { description: 'What waits for this node', command: '<%= config.bin %> cluster approve' },
    {
      description: 'Approve one; the start of its id is enough',
      command: '<%= config.bin %> cluster approve 3f9a1c04b2de',
    },
  ];
  static override readonly args = {
    proposal: Args.string({
      ignoreStdin: true,
      description: 'Id of a proposal, or the start of it.',
    }),
  };

  protected override async work(): Promise<Answer> {
    const { proposal } = this.args;
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs: timeoutMs + 5000 });
    if (proposal === undefined) {
      const { proposals, ...rest } = await client.call('cluster.proposals', { query: {} });
      return { ...rest, proposals: proposals.filter(({ awaitsThis }) => awaitsThis) };
    }
    return await client.call('cluster.approve', {
      params: { id: proposal },
      body: { wait: 'final', timeoutMs },
      signal: this.interruption(),
    });
  }

  protected override view(answer: Answer): string {
    if ('proposal' in answer) return proposalText(answer.proposal);
    const { proposals } = answer;
    if (proposals.length === 0) return 'nothing waits for the approval of this node';
    const [one] = proposals;
    return proposals.length === 1 && one !== undefined
      ? proposalText(one)
      : proposalsTable(proposals, this.paint.bold);
  }
}
