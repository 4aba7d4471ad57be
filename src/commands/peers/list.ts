/** `aegis peers list`: all known peers. */
import { BaseCommand } from '../../cli/base.ts';
import { peersTable } from '../../cli/peers.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

export default class PeersList extends BaseCommand<typeof PeersList, Reply<'peers.list'>> {
  static override readonly summary = 'List the peers that this node knows.';
  static override readonly description =
    'A peer is connected, being dialled, waiting for its next dial, or known without a way to ' +
    'it. IN and OUT count the bytes of the present connection.';
  static override readonly examples = [
    { description: 'List all peers', command: '<%= config.bin %> peers list' },
    {
      description: 'Names of connected peers, for a script',
      command:
        '<%= config.bin %> peers list --json | jq ' +
        '-r \'.peers[] | select(.state == "connected").name\'',
    },
  ];

  protected override async work(): Promise<Reply<'peers.list'>> {
    const client = await this.client();
    return await client.call('peers.list');
  }

  protected override view({ peers, total, connected }: Reply<'peers.list'>): string {
    if (total === 0) return 'No peers are known. Add one: aegis peers add ADDRESS';
    return `${peersTable(peers, this.paint.bold)}\n\n${connected} of ${total} connected`;
  }
}
