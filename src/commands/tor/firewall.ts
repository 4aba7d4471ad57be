/** `aegis tor firewall`: nftables rules that let aegis reach nothing but loopback. */
import { userInfo } from 'node:os';
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { firewallRules, TOR_USERS, userOf, usersOf, type Walled } from '../../cli/tor-firewall.ts';
import type { TorFirewallOutput } from '../../core/api/contract/outputs.ts';
import { AegisError } from '../../core/errors.ts';

export default class TorFirewall extends BaseCommand<typeof TorFirewall, TorFirewallOutput> {
  static override readonly summary = 'Print firewall rules that hold aegis behind Tor.';
  static override readonly description =
    'Writes nftables rules by which the user of aegis reaches loopback only, and the user of Tor ' +
    'everything; nothing is loaded, and no node is asked. They are a second wall: aegis opens ' +
    'nothing else in the first place. Everything of the user is held back, not only aegis, so ' +
    'give aegis a user of its own. Tor must run as another user, so it cannot be one of our own ' +
    '(tor.daemon spawn).';
  static override readonly examples = [
    {
      description: 'Load them',
      command:
        '<%= config.bin %> tor firewall --print --user aegis > aegis.nft && nft -f aegis.nft',
    },
    {
      description: 'For a Tor of another user',
      command: '<%= config.bin %> tor firewall --print --user aegis --tor-user _tor',
    },
  ];
  static override readonly flags = {
    print: Flags.boolean({ required: true, description: 'Print the rules; nothing else is done.' }),
    user: Flags.string({
      helpValue: '<user>',
      description: 'Name or number of the user of aegis. Default: this one.',
    }),
    'tor-user': Flags.string({
      helpValue: '<user>',
      description:
        'Name or number of the user of Tor. Default: the first that is there of ' +
        `${TOR_USERS.join(', ')}.`,
    }),
  };

  protected override async work(): Promise<TorFirewallOutput> {
    const users = await usersOf();
    const aegis = userOf(this.flags.user ?? String(userInfo().uid), users);
    const tor = this.#tor(users);
    return { schema: 'aegis.tor.firewall/1', aegis, tor, rules: firewallRules({ aegis, tor }) };
  }

  protected override view({ rules }: TorFirewallOutput): string {
    return rules;
  }

  #tor(users: readonly Walled[]): Walled {
    const { 'tor-user': wanted } = this.flags;
    if (wanted !== undefined) return userOf(wanted, users);
    const found = TOR_USERS.flatMap((name) => users.filter((user) => user.name === name))[0];
    if (found !== undefined) return found;
    throw new AegisError(
      'NOT_FOUND',
      `this machine has none of the users ${TOR_USERS.join(', ')}`,
      {
        hint: 'Name the user of Tor: --tor-user',
      },
    );
  }
}
