/** `aegis tor status`: by which route peers are reached, and how Tor is. */
import { BaseCommand } from '../../cli/base.ts';
import { torText } from '../../cli/tor.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

export default class TorStatus extends BaseCommand<typeof TorStatus, Reply<'tor.status'>> {
  static override readonly summary = 'Show the route, and how Tor is.';
  static override readonly description =
    'Asks the running node for its route, its connection to Tor, how far Tor has come with its ' +
    'own network and what keeps it, the onion service, and the connections by what they go over. ' +
    'Traffic is that of the whole Tor, with what others do through it.';
  static override readonly examples = [
    { description: 'Show all of it', command: '<%= config.bin %> tor status' },
    {
      description: 'Wait in a script until Tor is ready',
      command:
        'until <%= config.bin %> tor status --json | jq -e \'.state == "ready"\'; do sleep 1; done',
    },
  ];

  protected override async work(): Promise<Reply<'tor.status'>> {
    const client = await this.client();
    return await client.call('tor.status');
  }

  protected override view(status: Reply<'tor.status'>): string {
    return torText(status, this.paint);
  }
}
