/** `aegis tor check`: whether anything can leak, or whether a target is reached through Tor. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { facts, safeText, span } from '../../cli/format.ts';
import { checksText } from '../../cli/tor.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { EXIT } from '../../core/errors.ts';

/** Finding a descriptor and making a rendezvous may take this long (O24). */
const TIMEOUT_MS = 120_000;
/** So that the node's answer is heard, and not only that its time is over. */
const ANSWER_MS = 5000;

export default class TorCheck extends BaseCommand<typeof TorCheck, Reply<'tor.check'>> {
  static override readonly summary =
    'Check that nothing goes past Tor, or reach a target through it.';
  static override readonly description =
    'Without a target the node looks at itself: its transports, all its sockets as the kernel ' +
    'has them, its listeners, the flags of the SOCKS port, what the control port answers, and ' +
    'its own onion service dialled through Tor. Each line is yes, NO or unknown; exit status 1 ' +
    'when one is no. With a target, an onion address or HOST:PORT is dialled and a URL fetched, ' +
    'through Tor as the route says; the exit status tells what failed. --timeout is 2 minutes by ' +
    'default.';
  static override readonly examples = [
    { description: 'Check this node', command: '<%= config.bin %> tor check' },
    {
      description: 'Whether a service can be reached',
      command:
        '<%= config.bin %> tor check ' +
        '2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion:4001',
    },
    {
      description: 'What is not well, for a script',
      command: `<%= config.bin %> tor check --json | jq '.checks[] | select(.verdict != "yes")'`,
    },
  ];
  static override readonly args = {
    target: Args.string({
      ignoreStdin: true,
      description: 'An onion address, HOST:PORT, or a URL.',
    }),
  };

  protected override async work(): Promise<Reply<'tor.check'>> {
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs: timeoutMs + ANSWER_MS });
    const { target } = this.args;
    const body = { timeoutMs, ...(target === undefined ? {} : { target }) };
    const reply = await client.call('tor.check', { body, signal: this.interruption() });
    if (reply.checks.some(({ verdict }) => verdict === 'no')) process.exitCode = EXIT.no;
    return reply;
  }

  protected override view({ checks, target }: Reply<'tor.check'>): string {
    const lines = checksText(checks, this.paint);
    if (target === null) return lines.join('\n');
    const { status, tookMs } = target;
    const reached = facts([
      ['target', safeText(target.target)],
      ['reached', `as ${target.class}, in ${span(tookMs)}`],
      ['http', status === null ? undefined : String(status)],
    ]);
    return [...lines, reached].join('\n');
  }
}
