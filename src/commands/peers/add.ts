/** `aegis peers add`: remembers an address and dials it. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { safeText } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';

export default class PeersAdd extends BaseCommand<typeof PeersAdd, Reply<'peers.add'>> {
  static override readonly summary = 'Add the address of a peer.';
  static override readonly description =
    'The node dials it now and again after every failure, until it is removed. Only members of ' +
    'the cluster are talked to, whatever the address.';
  static override readonly examples = [
    {
      description: 'Add an address',
      command: '<%= config.bin %> peers add /ip4/10.0.0.7/tcp/4001',
    },
  ];
  static override readonly args = {
    address: Args.string({
      required: true,
      description: 'Multiaddr, e.g. /ip4/10.0.0.7/tcp/4001.',
    }),
  };

  protected override async work(): Promise<Reply<'peers.add'>> {
    const client = await this.client();
    return await client.call('peers.add', { body: { address: this.args.address } });
  }

  protected override view({ address, added }: Reply<'peers.add'>): string {
    return `${added ? 'added' : 'known already'}: ${safeText(address)}`;
  }
}
