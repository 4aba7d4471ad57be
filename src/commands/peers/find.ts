/** `aegis peers find`: looks up the addresses of a peer. */

import { peerArg } from '../../cli/args.ts';
import { BaseCommand } from '../../cli/base.ts';
import { safeText } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

const TIMEOUT_MS = 10_000;

export default class PeersFind extends BaseCommand<typeof PeersFind, Reply<'peers.find'>> {
  static override readonly summary = 'Look up the addresses of a peer.';
  static override readonly description =
    'Asks the address book and the distributed table of this cluster. Nobody outside is asked.';
  static override readonly examples = [
    { description: 'Look up a peer', command: '<%= config.bin %> peers find bob' },
  ];
  static override readonly args = { peer: peerArg };

  protected override async work(): Promise<Reply<'peers.find'>> {
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs });
    return await client.call('peers.find', {
      params: { id: this.args.peer },
      query: { timeoutMs },
      signal: this.interruption(),
    });
  }

  protected override view({ peerId, addresses }: Reply<'peers.find'>): string {
    if (addresses.length === 0) return `no address of ${safeText(peerId)} is known`;
    return addresses.map(safeText).join('\n');
  }
}
