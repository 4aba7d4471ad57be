/** `aegis peers why`: why a peer is or is not connected. */

import { peerArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { safeText } from '../../cli/format.ts';
import { peerFacts } from '../../cli/peers.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

export default class PeersWhy extends BaseCommand<typeof PeersWhy, Reply<'peers.why'>> {
  static override readonly summary = 'Tell why a peer is or is not connected.';
  static override readonly examples = [
    { description: 'Ask about a peer', command: '<%= config.bin %> peers why bob' },
  ];
  static override readonly args = { peer: peerArg };

  protected override async work(): Promise<Reply<'peers.why'>> {
    const client = await this.client();
    return await client.call('peers.why', { params: { id: this.args.peer } });
  }

  protected override view({ peer, reasons }: Reply<'peers.why'>): string {
    return [...reasons.map(safeText), '', peerFacts(peer)].join('\n');
  }
}
