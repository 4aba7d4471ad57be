/** `aegis peers remove`: forgets what was added for a peer and hangs up. */

import { peerArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { safeText } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

export default class PeersRemove extends BaseCommand<typeof PeersRemove, Reply<'peers.remove'>> {
  static override readonly summary = 'Forget the addresses of a peer and hang up.';
  static override readonly description =
    'The peer stays a member of the cluster and may dial this node again.';
  static override readonly examples = [
    { description: 'Remove a peer by name', command: '<%= config.bin %> peers remove bob' },
  ];
  static override readonly args = { peer: peerArg };

  protected override async work(): Promise<Reply<'peers.remove'>> {
    const client = await this.client();
    return await client.call('peers.remove', { params: { id: this.args.peer } });
  }

  protected override view({ removed, disconnected }: Reply<'peers.remove'>): string {
    const lines = removed.map((address) => `removed: ${safeText(address)}`);
    if (disconnected) lines.push('disconnected');
    return lines.length === 0 ? 'there was nothing to remove' : lines.join('\n');
  }
}
