/** `aegis consensus evidence`: proofs that a custodian broke the rules. */
import { BaseCommand } from '../../cli/base.ts';
import { shortDigest, whoText } from '../../cli/chain.ts';
import { ago, table } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

type Evidence = Reply<'consensus.evidence'>;

export default class ConsensusEvidence extends BaseCommand<typeof ConsensusEvidence, Evidence> {
  static override readonly summary = 'List proofs that a custodian broke the rules.';
  static override readonly description =
    'Two signed messages of one custodian that exclude each other: two proposals or two votes ' +
    'for one view, or two timeouts. Who follows the rules never makes any; a consensus key that ' +
    'is used in two places does. With --json each entry holds the signed bytes, which anyone ' +
    'with the genesis can verify.';
  static override readonly examples = [
    { description: 'What is known', command: '<%= config.bin %> consensus evidence' },
    {
      description: 'Who is guilty, for a script',
      command: "<%= config.bin %> consensus evidence --json | jq -r '.evidence[].custodian.nodeId'",
    },
  ];

  protected override async work(): Promise<Evidence> {
    const client = await this.client();
    return await client.call('consensus.evidence');
  }

  protected override view({ evidence }: Evidence): string {
    if (evidence.length === 0) return 'none: no custodian is known to have broken the rules';
    return table(
      evidence,
      [
        { title: 'CUSTODIAN', cell: ({ custodian }) => whoText(custodian) },
        { title: 'SIGNED TWO', cell: ({ kind }) => KINDS[kind] },
        { title: 'HEIGHT', cell: ({ height }) => height, align: 'right' },
        { title: 'VIEW', cell: ({ view }) => view, align: 'right' },
        { title: 'OF', cell: ({ signed }) => signed.map(shortDigest).join(' ') },
        { title: 'LEARNED', cell: ({ at }) => at && ago(at) },
        { title: 'ID', cell: ({ id }) => shortDigest(id) },
      ],
      { heading: this.paint.bold },
    );
  }
}

const KINDS = {
  proposal: 'proposals',
  prepare: 'prepare votes',
  commit: 'commit votes',
  timeout: 'timeouts',
  duplicity: 'successions',
} as const;
