/** `aegis tor newnym`: new circuits for what is dialled from now on. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { safeText } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

export default class TorNewnym extends BaseCommand<typeof TorNewnym, Reply<'tor.newnym'>> {
  static override readonly summary = 'Use new circuits.';
  static override readonly description =
    'With --peer: the connections to this peer are closed, and it is dialled anew on circuits ' +
    'that nothing else uses. Without: Tor takes new circuits for all that is dialled from now ' +
    'on; connections that are open stay on theirs. The guards stay, as they should.';
  static override readonly examples = [
    { description: 'For one peer', command: '<%= config.bin %> tor newnym --peer bob' },
    { description: 'For all that comes', command: '<%= config.bin %> tor newnym' },
  ];
  static override readonly flags = {
    peer: Flags.string({
      helpValue: '<peer>',
      description: 'Node id, the start of one, peer id or name.',
    }),
  };

  protected override async work(): Promise<Reply<'tor.newnym'>> {
    const { peer } = this.flags;
    const client = await this.client();
    return await client.call('tor.newnym', { body: peer === undefined ? {} : { peer } });
  }

  protected override view({ peer, disconnected }: Reply<'tor.newnym'>): string {
    if (peer === null) return 'new circuits for what is dialled from now on';
    const who = safeText(peer.name ?? peer.nodeId ?? '');
    const dialled = disconnected === 0 ? 'it is not connected' : 'it is dialled anew';
    return `new circuits for ${who}; ${dialled}`;
  }
}
