/** `aegis intent show`: one intent and what became of it. */
import { intentArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { fateText } from '../../cli/chain.ts';
import { ago, facts, safeText, table } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import type { IntentChange, IntentMove } from '../../core/api/contract/intents.ts';
import { unreachable } from '../../core/assert.ts';

type Shown = Reply<'intents.show'>;

export default class IntentShow extends BaseCommand<typeof IntentShow, Shown> {
  static override readonly summary = 'Show an intent and what became of it.';
  static override readonly description =
    'An intent is pending, or final at a height: done, unchanged (the version was there before) ' +
    'or refused. Exit status 66 when this node does not know it, or does not remember it any more.';
  static override readonly examples = [
    { description: 'By the first digits', command: '<%= config.bin %> intent show 3fa9c1d2' },
    {
      description: 'Its height, for a script',
      command: '<%= config.bin %> intent show 3fa9c1d2 --json | jq .height',
    },
  ];
  static override readonly args = { intent: intentArg };

  protected override async work(): Promise<Shown> {
    const client = await this.client();
    return await client.call('intents.show', { params: { id: this.args.intent } });
  }

  protected override view(shown: Shown): string {
    const { author, authorName, proof } = shown;
    const told = facts([
      ['intent', shown.id],
      ['author', authorName === null ? author : `${safeText(authorName)} ${author}`],
      ['sequence', String(shown.sequence)],
      ['made', `${shown.time} (${ago(shown.time)})`],
      ['status', this.#status(shown)],
      ['place', proof === null ? undefined : `${proof.index + 1} of ${proof.intents} in its block`],
      ['proven by', proof === null ? undefined : `intents root ${proof.intentsRoot}`],
    ]);
    if (shown.changes.length === 0) return `${told}\n\nno changes: it cancels its sequence`;
    const moves = shown.changes.flatMap((change) => ('op' in change ? [] : [change]));
    const others = shown.changes.flatMap((change) => ('op' in change ? [lineOf(change)] : []));
    const parts = [told, moves.length === 0 ? '' : this.#moves(moves), others.join('\n')];
    return parts.filter((part) => part !== '').join('\n\n');
  }

  #status(shown: Shown): string {
    const text = fateText(shown);
    if (shown.status === 'pending') return this.paint.yellow(text);
    return shown.result === 'refused' ? this.paint.red(text) : this.paint.green(text);
  }

  #moves(moves: readonly IntentMove[]): string {
    return table(
      moves,
      [
        { title: 'PATH', cell: ({ path }) => path },
        { title: 'GENERATION', cell: ({ generation }) => generation, align: 'right' },
        {
          title: 'VERSION',
          cell: ({ version, deleted }) => `${version}${deleted ? ' (deletes)' : ''}`,
        },
        { title: 'IN PLACE OF', cell: ({ parents }) => parents.join(' ') },
        { title: 'ONLY IF', cell: ({ expected }) => (expected === null ? 'none' : expected) },
      ],
      { heading: this.paint.bold },
    );
  }
}

function lineOf(change: Extract<IntentChange, { op: string }>): string {
  switch (change.op) {
    case 'grant':
      return `makes ${change.nodeId} ${change.right} of ${safeText(change.path)}`;
    case 'revoke':
      return `takes all rights in ${safeText(change.path)} from ${change.nodeId}`;
    case 'anchor':
      return `anchors ${change.digest} as ${safeText(change.label)}`;
    case 'erase':
      return `erases ${safeText(change.path)}`;
    default:
      return unreachable(change);
  }
}
