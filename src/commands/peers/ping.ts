/** `aegis peers ping`: measures round trips to a peer. */
import { Flags } from '@oclif/core';
import { peerArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { facts } from '../../cli/format.ts';
import { roundTrip, shortId } from '../../cli/peers.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { AegisError } from '../../core/errors.ts';

const ONE_TIMEOUT_MS = 5000;

export default class PeersPing extends BaseCommand<typeof PeersPing, Reply<'peers.ping'>> {
  static override readonly summary = 'Measure round trips to a peer.';
  static override readonly description =
    'Over the encrypted connection, so it measures what the node itself sees. Exit status 75 ' +
    'when no answer comes. --timeout is for one round trip (5 s by default).';
  static override readonly examples = [
    { description: 'Three round trips', command: '<%= config.bin %> peers ping bob' },
    { description: 'Ten', command: '<%= config.bin %> peers ping bob --count 10' },
  ];
  static override readonly args = { peer: peerArg };
  static override readonly flags = {
    count: Flags.integer({
      char: 'c',
      default: 3,
      min: 1,
      max: 100,
      helpValue: '<number>',
      description: 'Round trips to make.',
    }),
  };

  protected override async work(): Promise<Reply<'peers.ping'>> {
    const { count } = this.flags;
    const timeoutMs = this.timeoutMs(ONE_TIMEOUT_MS);
    const client = await this.client({ timeoutMs: timeoutMs * count + ONE_TIMEOUT_MS });
    const reply = await client.call('peers.ping', {
      params: { id: this.args.peer },
      body: { count, timeoutMs },
      signal: this.interruption(),
    });
    if (reply.received > 0) return reply;
    throw new AegisError('NOT_REACHABLE', `no answer to ${reply.sent} pings`, {
      hint: `See why: aegis peers why ${this.args.peer}`,
    });
  }

  protected override view(reply: Reply<'peers.ping'>): string {
    const { nodeId, sent, received, rttMsMin, rttMsAvg, rttMsMax } = reply;
    return facts([
      ['node', shortId(nodeId) ?? ''],
      ['answers', `${received} of ${sent}`],
      ['fastest', roundTrip(rttMsMin) ?? '-'],
      ['average', roundTrip(rttMsAvg) ?? '-'],
      ['slowest', roundTrip(rttMsMax) ?? '-'],
    ]);
  }
}
