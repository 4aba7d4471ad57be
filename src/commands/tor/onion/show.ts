/** `aegis tor onion show`: the onion service of this node. */
import { BaseCommand } from '../../../cli/base.ts';
import { facts } from '../../../cli/format.ts';
import { serviceText } from '../../../cli/tor.ts';
import type { Reply } from '../../../core/api/contract/endpoints.ts';

export default class TorOnionShow extends BaseCommand<typeof TorOnionShow, Reply<'tor.onion'>> {
  static override readonly summary = 'Show the onion service of this node.';
  static override readonly description =
    'Its address, whether its descriptor is published, and to whom it is open. After a rotation ' +
    'the service of before stays until the time that is shown.';
  static override readonly examples = [
    { description: 'Show the service', command: '<%= config.bin %> tor onion show' },
    {
      description: 'The address, for a script',
      command: "<%= config.bin %> tor onion show --json | jq -r '.services[0].address'",
    },
  ];

  protected override async work(): Promise<Reply<'tor.onion'>> {
    const client = await this.client();
    return await client.call('tor.onion');
  }

  protected override view(onion: Reply<'tor.onion'>): string {
    const { services, clientAuth, clients, clientKeysMax, epoch, pow } = onion;
    const keys = clients.reduce((sum, client) => sum + client.keys, 0);
    const who = `${clients.length} let in, ${keys} of ${clientKeysMax} client keys`;
    return facts([
      ...services.map((service) => {
        const name = service.isCurrent ? 'service' : 'before';
        return [name, serviceText(service, this.paint)] as const;
      }),
      ['clients', clientAuth ? who : 'whoever knows the address: tor.clientAuth is off'],
      ['key epoch', `${epoch.number}, until ${epoch.endsAt}`],
      ['proof of work', pow ? 'on' : 'off'],
    ]);
  }
}
