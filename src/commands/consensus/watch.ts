/** `aegis consensus watch`: each block as it becomes final, and each view that fails. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { blockLine, whoText } from '../../cli/chain.ts';
import type { ConsensusStatus } from '../../core/api/contract/consensus.ts';
import type { ApiEvent } from '../../core/api/contract/events.ts';
import { AegisError } from '../../core/errors.ts';

export default class ConsensusWatch extends BaseCommand<typeof ConsensusWatch, undefined> {
  static override readonly summary = 'Watch blocks become final.';
  static override readonly description =
    'One line a block from now on, and one each time that a view fails or this node stops or ' +
    'starts to vote. Goes on until Ctrl-C, or until --count blocks. With --json: one object a ' +
    'line, with type consensus or block.';
  static override readonly examples = [
    { description: 'Watch', command: '<%= config.bin %> consensus watch' },
    {
      description: 'Wait for three blocks and print their digests',
      command: '<%= config.bin %> consensus watch -n 3 --json | jq -r .block.digest',
    },
  ];
  static override readonly flags = {
    count: Flags.integer({
      char: 'n',
      min: 1,
      helpValue: '<number>',
      description: 'End after so many blocks.',
    }),
  };
  #before: ConsensusStatus | undefined;

  protected override async work(): Promise<undefined> {
    const signal = this.interruption();
    const client = await this.client();
    let left = this.flags.count ?? Number.POSITIVE_INFINITY;
    for await (const event of client.events({ signal })) {
      if (event.type === 'end') throw ended(event.reason);
      left -= await this.#show(event);
      if (left <= 0) return undefined;
    }
    signal.throwIfAborted();
    throw ended('stopping');
  }

  /** Returns the number of blocks shown. */
  async #show(event: ApiEvent): Promise<number> {
    if (event.type === 'snapshot') {
      if (event.consensus === null) {
        throw new AegisError('NOT_FOUND', 'this node belongs to no cluster');
      }
      await this.#state(event.consensus);
    }
    if (event.type === 'consensus') await this.#state(event.consensus);
    if (event.type !== 'block') return 0;
    await this.emit(event, blockLine(event.block));
    return 1;
  }

  async #state(consensus: ConsensusStatus): Promise<void> {
    const line = change(this.#before, consensus);
    this.#before = consensus;
    const event = { type: 'consensus', consensus };
    await this.emit(event, line && this.paint.yellow(line));
  }

  /** Everything has been written already. */
  protected override view(): undefined {
    return undefined;
  }
}

/** What is worth a line; a new block has its own. */
function change(before: ConsensusStatus | undefined, now: ConsensusStatus): string | undefined {
  const { height, view, leader, isVoting, doubt, role } = now;
  if (before !== undefined && before.isVoting !== isVoting) {
    return isVoting
      ? 'this node votes again'
      : `this node does not vote: ${doubt ?? 'catching up'}`;
  }
  if (before === undefined && !isVoting && role === 'custodian') {
    return `this node does not vote: ${doubt ?? 'catching up'}`;
  }
  if (view === 0 || (before?.height === height && before.view >= view)) return undefined;
  const by = leader === null ? '' : `, led by ${whoText(leader)}`;
  return `view  ${height + 1}  a view failed: now view ${view}${by}`;
}

const ended = (reason: 'slow-reader' | 'stopping'): AegisError =>
  reason === 'stopping'
    ? new AegisError('STOPPING', 'the daemon has stopped')
    : new AegisError('STALLED', 'the reader was too slow for what happens');
