/** `aegis peers ban`: makes a member a stranger to this node. */

import { peerArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { banText } from '../../cli/peers.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

export default class PeersBan extends BaseCommand<typeof PeersBan, Reply<'peers.ban'>> {
  static override readonly summary = 'Ban a member from this node.';
  static override readonly description =
    'This node hangs up, dials it no more and answers it as it answers a stranger, until the ban ' +
    'is taken back; restarts do not end it. It stays a member of the cluster: others go on ' +
    'talking to it, and its votes count.';
  static override readonly examples = [
    { description: 'Ban a member by name', command: '<%= config.bin %> peers ban mallory' },
  ];
  static override readonly args = { peer: peerArg };

  protected override async work(): Promise<Reply<'peers.ban'>> {
    const client = await this.client();
    return await client.call('peers.ban', { params: { id: this.args.peer } });
  }

  protected override view(reply: Reply<'peers.ban'>): string {
    return banText(reply);
  }
}
