/** `aegis tor onion rotate`: a new onion key, and with it a new address. */
import { Flags } from '@oclif/core';
import { parseGrace } from '../../../cli/grace.ts';
import { RotationCommand, rotationFlags } from '../../../cli/rotation.ts';
import type { TorOnionRotateResult } from '../../../core/api/contract/keys.ts';

export default class TorOnionRotate extends RotationCommand<
  typeof TorOnionRotate,
  TorOnionRotateResult
> {
  static override readonly summary = 'Replace the onion key, and with it the address.';
  static override readonly description =
    'The same as: aegis keys rotate --onion. The new service is published at once; that of ' +
    'before stays for --grace, so that who has been away still finds this node. When somebody ' +
    'else may have the key: aegis keys revoke --onion, which leaves no grace.';
  static override readonly examples = [
    {
      description: 'A new address, the one of before for two more days',
      command: '<%= config.bin %> tor onion rotate --grace 48h',
    },
    {
      description: 'See what would change',
      command: '<%= config.bin %> tor onion rotate --dry-run',
    },
  ];
  static override readonly flags = {
    grace: Flags.custom<number>({
      helpValue: '<time>',
      description: 'How long the service of before stays: 24h, 7d, at most 30d. Default: 24h.',
      parse: (text) => Promise.resolve(parseGrace(text)),
    })(),
    ...rotationFlags,
  };

  protected override async work(): Promise<TorOnionRotateResult> {
    const { grace } = this.flags;
    const graceMs = grace === undefined ? {} : { graceMs: grace };
    const asked = { roles: ['onion' as const], session: false, extend: false, ...graceMs };
    return { schema: 'aegis.tor.onion.rotate/1', ...(await this.rotation(asked)) };
  }
}
