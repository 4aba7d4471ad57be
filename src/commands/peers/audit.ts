/** `aegis peers audit`: has a peer verify its chain, and checks what it signs. */
import { peerArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { shortDigest } from '../../cli/chain.ts';
import { facts, safeText } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { EXIT } from '../../core/errors.ts';

const TIMEOUT_MS = 600_000;

export default class PeersAudit extends BaseCommand<typeof PeersAudit, Reply<'peers.audit'>> {
  static override readonly summary = 'Have a peer verify its chain, and check its answer.';
  static override readonly description =
    'The peer verifies all blocks that it keeps and its state, and signs what it found together ' +
    'with a number that was never used before. The answer is compared with the chain of this ' +
    'node. Exit status 1 when the peer has another history, or a damaged one. A peer answers the ' +
    'same node once a minute. What a peer says of itself is no proof that it still has every ' +
    'block; it has to lie under its own signature to say so.';
  static override readonly examples = [
    { description: 'Audit bob', command: '<%= config.bin %> peers audit bob' },
  ];
  static override readonly args = { peer: peerArg };

  protected override async work(): Promise<Reply<'peers.audit'>> {
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs: timeoutMs + 5000 });
    return await client.call('peers.audit', {
      params: { id: this.args.peer },
      body: { timeoutMs },
      signal: this.interruption(),
    });
  }

  override async run(): Promise<Reply<'peers.audit'>> {
    const reply = await super.run();
    if (reply.verdict === 'damaged' || reply.agrees === false) process.exitCode = EXIT.no;
    return reply;
  }

  protected override view(reply: Reply<'peers.audit'>): string {
    const { name, nodeId, verdict, fault, base, height, digest, agrees } = reply;
    const compared = {
      true: 'the same as here',
      false: 'ANOTHER than here',
      null: 'not here to compare',
    };
    return facts([
      ['node', safeText(name ?? nodeId)],
      ['blocks', height === 0 ? 'none yet' : `${Math.max(1, base)} to ${height}`],
      ['tip', `${shortDigest(digest)}, ${compared[`${agrees}`]}`],
      ['verdict', verdict],
      ['fault', fault === null ? undefined : `height ${fault.height}: ${safeText(fault.what)}`],
    ]);
  }
}
