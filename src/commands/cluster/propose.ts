/** `aegis cluster propose`: a custodian asks the others for changes of the cluster. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { proposalText } from '../../cli/governance.ts';
import { changesOf, parseLifetime } from '../../cli/proposed.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { AegisError } from '../../core/errors.ts';

const TIMEOUT_MS = 60_000;
/** @default of `--expires`: a week. */
const EXPIRES_MS = 7 * 24 * 60 * 60 * 1000;

const many = (helpValue: string, description: string) =>
  Flags.string({ multiple: true, multipleNonGreedy: true, helpValue, description });

export default class ClusterPropose extends BaseCommand<
  typeof ClusterPropose,
  Reply<'cluster.propose'>
> {
  static override readonly summary = 'Propose changes of the cluster to the custodians.';
  static override readonly description =
    'The node of this home must be a custodian; proposing counts as approving. When a quorum of ' +
    'the custodians has approved (`aegis cluster approve`), all changes of the proposal are made ' +
    'at one height, or none. A node is named by its node id, the start of one or its name. Leave ' +
    'the machine of a removed custodian running until the others have gone on without it: it may ' +
    'be one of those that have the last block. See docs/history.md.';
  static override readonly examples = [
    {
      description: 'Make an agent a custodian',
      command: '<%= config.bin %> cluster propose --add erin',
    },
    {
      description: 'Replace one by another, from height 5000 on',
      command: '<%= config.bin %> cluster propose --add erin --remove alice --at 5000',
    },
    {
      description: 'Give a part of the knowledge base to two nodes',
      command: '<%= config.bin %> cluster propose --namespace projects/moon=bob,carol',
    },
    {
      description: 'Let an agent make 100 changes an hour and 50 paths in all',
      command: '<%= config.bin %> cluster propose --quota dave=changes:100,paths:50',
    },
  ];
  static override readonly flags = {
    add: many('<node>', 'This member becomes a custodian.'),
    remove: many('<node>', 'This custodian becomes an agent.'),
    expel: many('<node>', 'This member is none any more.'),
    zone: many('<node>=<zone>', 'The zone of a member, for the placement of copies.'),
    weight: many('<node>=<number>', 'The storage weight of a member.'),
    parameter: many('<name>=<number>', 'A parameter of the cluster; see `cluster show`.'),
    quota: many(
      '<node>=<quotas>',
      'Quotas of an agent: changes:N, bytes:N (both an hour) and paths:N, with commas between; ' +
        'what is left out is as the parameters say.',
    ),
    namespace: many('<path>=<node>[,<node>]', 'This path, and all below it, has these owners.'),
    protocol: Flags.integer({
      min: 1,
      helpValue: '<number>',
      description: 'Raise the protocol version to this one.',
    }),
    at: Flags.integer({
      min: 1,
      helpValue: '<height>',
      description: 'The height from which it holds. Default: as soon as it is decided.',
    }),
    expires: Flags.custom<number>({
      helpValue: '<time>',
      description: 'How long it can be approved: 12h, 7d; at most 30d. Default: 7d.',
      parse: (text) => Promise.resolve(parseLifetime(text)),
    })(),
  };

  protected override async work(): Promise<Reply<'cluster.propose'>> {
    const { at = 0, expires: expiresInMs = EXPIRES_MS } = this.flags;
    const changes = changesOf(this.flags);
    if (changes.length === 0) {
      throw new AegisError('USAGE', 'propose what? Give at least one change', {
        hint: 'See: aegis cluster propose --help',
      });
    }
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    // The daemon gives up first, and says why.
    const client = await this.client({ timeoutMs: timeoutMs + 5000 });
    const body = { changes, at, expiresInMs, wait: 'final' as const, timeoutMs };
    const signal = this.interruption();
    const reply = await client.call('cluster.propose', { body, signal });
    if (reply.proposal.status === 'open') {
      this.note(
        `Next, on other custodians: aegis cluster approve ${reply.proposal.id.slice(0, 12)}`,
      );
    }
    return reply;
  }

  protected override view({ proposal }: Reply<'cluster.propose'>): string {
    return proposalText(proposal);
  }
}
