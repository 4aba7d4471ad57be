/** `aegis peers unban`: takes a ban back. */

import { peerArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { banText } from '../../cli/peers.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

export default class PeersUnban extends BaseCommand<typeof PeersUnban, Reply<'peers.unban'>> {
  static override readonly summary = 'Take a ban back.';
  static override readonly description = 'The member is dialled again at once.';
  static override readonly examples = [
    { description: 'Let a member in again', command: '<%= config.bin %> peers unban mallory' },
  ];
  static override readonly args = { peer: peerArg };

  protected override async work(): Promise<Reply<'peers.unban'>> {
    const client = await this.client();
    return await client.call('peers.unban', { params: { id: this.args.peer } });
  }

  protected override view(reply: Reply<'peers.unban'>): string {
    return banText(reply);
  }
}
