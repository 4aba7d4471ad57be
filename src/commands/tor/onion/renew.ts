/** `aegis tor onion renew`: makes the onion service anew, with the clients that it should have. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../../cli/base.ts';
import { facts, span } from '../../../cli/format.ts';
import type { Reply } from '../../../core/api/contract/endpoints.ts';

const TIMEOUT_MS = 60_000;

export default class TorOnionRenew extends BaseCommand<typeof TorOnionRenew, Reply<'tor.renew'>> {
  static override readonly summary = 'Make the onion service anew.';
  static override readonly description =
    'Takes the service away and makes it again with the same address and the client keys of the ' +
    'members of this moment. With --cut every circuit of a visitor is closed, so that each must ' +
    'find the service again. The node does so by itself when a member is removed, banned or ' +
    'frozen, or its key revoked.';
  static override readonly examples = [
    { description: 'Publish it again', command: '<%= config.bin %> tor onion renew' },
    { description: 'And close all circuits', command: '<%= config.bin %> tor onion renew --cut' },
  ];
  static override readonly flags = {
    cut: Flags.boolean({ description: 'Close the circuits of all who are connected through it.' }),
  };

  protected override async work(): Promise<Reply<'tor.renew'>> {
    const client = await this.client({ timeoutMs: this.timeoutMs(TIMEOUT_MS) });
    return await client.call('tor.renew', { body: { cut: this.flags.cut } });
  }

  protected override view(reply: Reply<'tor.renew'>): string {
    const { address, clientKeys, circuitsClosed, tookMs } = reply;
    return facts([
      ['service', address],
      ['client keys', clientKeys === null ? 'none: it is open' : String(clientKeys)],
      ['circuits closed', String(circuitsClosed)],
      ['took', span(tookMs)],
    ]);
  }
}
