/** `aegis intent cancel`: tries to take a pending intent back. */
import { intentArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { facts } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { EXIT } from '../../core/errors.ts';

type Cancelled = Reply<'intents.cancel'>;

const TIMEOUT_MS = 60_000;

export default class IntentCancel extends BaseCommand<typeof IntentCancel, Cancelled> {
  static override readonly summary = 'Take a pending intent back, if it is not too late.';
  static override readonly description =
    'Submits an intent without changes in its place: the custodians decide which of the two ' +
    'came first. Exit status 1 when it was too late, 75 when neither is decided within --timeout ' +
    '(60 s); then the cancellation stays queued.';
  static override readonly examples = [
    { description: 'Take one back', command: '<%= config.bin %> intent cancel 3fa9c1d2' },
  ];
  static override readonly args = { intent: intentArg };

  protected override async work(): Promise<Cancelled> {
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client();
    const reply = await client.call('intents.cancel', {
      params: { id: this.args.intent },
      query: { timeoutMs },
      signal: this.interruption(),
    });
    process.exitCode = EXITS[reply.outcome];
    return reply;
  }

  protected override view({ id, outcome, height }: Cancelled): string {
    const at = height === null ? '' : `, height ${height}`;
    return facts([
      ['intent', id],
      ['outcome', `${OUTCOMES[outcome]}${at}`],
    ]);
  }
}

const EXITS = { cancelled: EXIT.ok, 'too-late': EXIT.no, pending: EXIT.tryAgain } as const;

const OUTCOMES = {
  cancelled: 'cancelled',
  'too-late': 'too late, it is final',
  pending: 'not decided yet; the cancellation is queued',
} as const;
