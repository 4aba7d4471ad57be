/** `aegis peers show`: one peer. */

import { peerArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { peerFacts } from '../../cli/peers.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

export default class PeersShow extends BaseCommand<typeof PeersShow, Reply<'peers.show'>> {
  static override readonly summary = 'Show one peer.';
  static override readonly examples = [
    { description: 'By name', command: '<%= config.bin %> peers show bob' },
    {
      description: 'By the start of its node id',
      command: '<%= config.bin %> peers show aegis1qx7k',
    },
  ];
  static override readonly args = { peer: peerArg };

  protected override async work(): Promise<Reply<'peers.show'>> {
    const client = await this.client();
    return await client.call('peers.show', { params: { id: this.args.peer } });
  }

  protected override view({ peer }: Reply<'peers.show'>): string {
    return peerFacts(peer);
  }
}
