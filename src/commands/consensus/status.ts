/** `aegis consensus status`: how far the custodians are, and why no further. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { counted, votesText, whosText, whoText } from '../../cli/chain.ts';
import { ago, bytes, facts, safeText, span } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

type Status = Reply<'consensus.status'>;

export default class ConsensusStatus extends BaseCommand<typeof ConsensusStatus, Status> {
  static override readonly summary = 'Show what the custodians have agreed on, and work on.';
  static override readonly description =
    'As this node sees it: the last final block, the view and the leader of the next one, and ' +
    'what it waits for. --why adds a sentence for each cause. Reading needs no quorum.';
  static override readonly examples = [
    { description: 'How far it is', command: '<%= config.bin %> consensus status' },
    { description: 'Why it does not go on', command: '<%= config.bin %> consensus status --why' },
    {
      description: 'The last final height, for a script',
      command: '<%= config.bin %> consensus status --json | jq .height',
    },
  ];
  static override readonly flags = {
    why: Flags.boolean({ char: 'w', description: 'Say in plain sentences what it waits for.' }),
  };

  protected override async work(): Promise<Status> {
    const client = await this.client();
    return await client.call('consensus.status');
  }

  protected override view(status: Status): string {
    const told = facts([
      ['final', this.#final(status)],
      ['next', this.#next(status)],
      ['custodians', this.#custodians(status)],
      ['voting', this.#voting(status)],
      ['out of reach', outOfReach(status)],
      ['passed over', status.passedOver.length === 0 ? undefined : whosText(status.passedOver)],
      ['queue', queue(status)],
      ['pace', pace(status)],
      ['protocol', protocolText(status)],
      ['liars', status.liars.length === 0 ? undefined : whosText(status.liars)],
      ['evidence', this.#evidence(status)],
    ]);
    if (!this.flags.why) return told;
    return [told, '', ...status.why.map(({ text }) => safeText(text))].join('\n');
  }

  #final({ height, lastFinalAt, digest }: Status): string {
    if (height === 0) return 'none yet';
    const when = lastFinalAt === null ? '' : `, ${ago(lastFinalAt)}`;
    return `${this.paint.bold(`height ${height}`)}${when}  ${digest ?? ''}`.trimEnd();
  }

  #next(status: Status): string {
    const { height, view, leader, phase, behind, viewSince } = status;
    if (phase === 'catch-up' || behind > 0)
      return this.paint.yellow(`catches up: ${behind} behind`);
    const who = leader === null ? '' : `, leader ${whoText(leader)}`;
    const where = `height ${height + 1}, view ${view}${who}`;
    if (phase === 'idle') return `${where}: idle`;
    const since = viewSince === null ? '' : ` for ${span(Date.now() - Date.parse(viewSince))}`;
    return `${where}: ${votesText(status) ?? 'waits for its block'}${since}`;
  }

  #custodians({ custodians, quorum, connected, faultyMax }: Status): string {
    const paint = connected < quorum ? this.paint.red : (text: string): string => text;
    const reach = paint(`${connected} of ${custodians} in reach`);
    return `${reach}, ${quorum} decide, ${faultyMax} may fail`;
  }

  #voting({ role, isVoting, doubt, keyMissing, divergence }: Status): string {
    if (divergence !== null) {
      return this.paint.red(`no: its state differs from final block ${divergence.height}`);
    }
    if (role === 'agent') return 'no, this node is an agent';
    if (isVoting) return 'yes';
    if (keyMissing !== null) return this.paint.yellow(`no: ${safeText(keyMissing)}`);
    return this.paint.yellow(doubt === null ? 'no' : `no, in doubt: ${safeText(doubt)}`);
  }

  #evidence({ evidence }: Status): string | undefined {
    if (evidence === 0) return undefined;
    return this.paint.red(`${evidence} (see aegis consensus evidence)`);
  }
}

/** Only where there is something to tell. */
function protocolText({ protocol: { version, max, raise } }: Status): string | undefined {
  if (raise === null) return undefined;
  const part = raise > max ? `; THIS NODE TAKES PART UP TO ${max}` : '';
  return `${version}, ${raise} once a quorum is ready${part}`;
}

function outOfReach({ missing }: Status): string | undefined {
  const gone = missing.filter(({ connected }) => !connected);
  if (gone.length === 0) return undefined;
  return gone
    .map((each) => {
      const heard = each.lastHeardAt === null ? 'never heard' : `heard ${ago(each.lastHeardAt)}`;
      return `${whoText(each)} (${heard})`;
    })
    .join(', ');
}

function queue({ mempool: { intents, sizeBytes, own } }: Status): string {
  if (intents === 0) return 'empty';
  return `${counted(intents, 'intent')}, ${bytes(sizeBytes)}, ${own} of this node`;
}

function pace({ finalMsP50, finalMsP95 }: Status): string | undefined {
  if (finalMsP50 === null || finalMsP95 === null) return undefined;
  return `final in ${span(finalMsP50)} (median), ${span(finalMsP95)} (95th percentile)`;
}
