/** `aegis tor onion clients`: whom the onion service lets in. Keys are shown nowhere. */
import { BaseCommand } from '../../../cli/base.ts';
import { clientsTable } from '../../../cli/tor.ts';
import type { Reply } from '../../../core/api/contract/endpoints.ts';

export default class TorOnionClients extends BaseCommand<
  typeof TorOnionClients,
  Reply<'tor.onion'>
> {
  static override readonly summary = 'List whom the onion service lets in.';
  static override readonly description =
    'Only these can find the service: its descriptor is encrypted to their client keys. KEYS is ' +
    'more than one while two epochs, or two network keys of a member, hold. The keys themselves ' +
    'follow from the chain and are shown nowhere.';
  static override readonly examples = [
    { description: 'List them', command: '<%= config.bin %> tor onion clients' },
  ];

  protected override async work(): Promise<Reply<'tor.onion'>> {
    const client = await this.client();
    return await client.call('tor.onion');
  }

  protected override view(onion: Reply<'tor.onion'>): string {
    if (!onion.clientAuth) return 'Whoever knows the address: tor.clientAuth is off';
    if (onion.clients.length === 0) return 'Nobody';
    const { length } = onion.clients;
    return `${clientsTable(onion, this.paint.bold)}\n\n${length} let in`;
  }
}
