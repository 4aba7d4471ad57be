/** `aegis consensus validators`: the custodians and how they vote. */
import { BaseCommand } from '../../cli/base.ts';
import { table } from '../../cli/format.ts';
import { shortId } from '../../cli/peers.ts';
import type { Validator } from '../../core/api/contract/consensus.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

type Validators = Reply<'consensus.validators'>;

export default class ConsensusValidators extends BaseCommand<
  typeof ConsensusValidators,
  Validators
> {
  static override readonly summary = 'List the custodians and how they vote.';
  static override readonly description =
    'One custodian, one vote. SIGNED counts the certificates of the last blocks that hold its ' +
    'vote: a certificate needs a quorum only, so a custodian that is a little slower than the ' +
    'others is in fewer of them.';
  static override readonly examples = [
    { description: 'All custodians', command: '<%= config.bin %> consensus validators' },
    {
      description: 'Those that sign nothing, for a script',
      command:
        '<%= config.bin %> consensus validators --json | ' +
        "jq -r '.validators[] | select(.signedOfLast == 0).name'",
    },
  ];

  protected override async work(): Promise<Validators> {
    const client = await this.client();
    return await client.call('consensus.validators');
  }

  protected override view({ validators, height, view, quorum, blocks }: Validators): string {
    const list = table(
      validators,
      [
        { title: '#', cell: ({ index }) => index, align: 'right' },
        { title: 'NAME', cell: ({ name }) => name },
        { title: 'NODE', cell: ({ nodeId }) => shortId(nodeId) },
        { title: 'ZONE', cell: ({ zone }) => zone },
        { title: 'IN REACH', cell: reach },
        {
          title: 'SIGNED',
          cell: ({ signedOfLast }) => `${signedOfLast}/${blocks}`,
          align: 'right',
        },
        { title: 'LAST', cell: ({ lastSignedHeight }) => lastSignedHeight, align: 'right' },
        { title: 'NOW', cell: now },
      ],
      { heading: this.paint.bold },
    );
    const next = `height ${height + 1}, view ${view}`;
    return `${list}\n\n${quorum} of ${validators.length} decide; next is ${next}`;
  }
}

const reach = ({ self, connected }: Validator): string => {
  if (self) return 'this node';
  return connected ? 'yes' : 'no';
};

const now = ({ isLeader, passedOver }: Validator): string | null => {
  if (isLeader) return 'leader';
  return passedOver ? 'passed over' : null;
};
