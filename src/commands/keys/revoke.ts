/** `aegis keys revoke`: replaces keys that somebody else may have. */
import { RotationCommand, roleFlags, rotationFlags } from '../../cli/rotation.ts';
import type { KeysRevokeResult } from '../../core/api/contract/keys.ts';
import { CERTIFIED_ROLES } from '../../core/model/succession.ts';

export default class KeysRevoke extends RotationCommand<typeof KeysRevoke, KeysRevokeResult> {
  static override readonly summary = 'Replace keys that somebody else may have.';
  static override readonly description =
    'A rotation with the reason "compromised": no grace, so nobody accepts the old network key ' +
    'once it is final, and the service of the old onion key ends. A thief with the whole home, ' +
    'but not the successor, can neither do this nor undo it. Without --new-next the new ' +
    'successor lies in this home; when the machine itself is not to be trusted, revoke from ' +
    'another one with the home and the successor.';
  static override readonly examples = [
    {
      description: 'The whole home was copied',
      command:
        '<%= config.bin %> keys revoke --identity --network --consensus --onion ' +
        '--next /media/usb/next.json --new-next /media/usb/next-2.json',
    },
    {
      description: 'See what would change',
      command: '<%= config.bin %> keys revoke --network --dry-run',
    },
  ];
  static override readonly flags = { ...roleFlags, ...rotationFlags };

  protected override async work(): Promise<KeysRevokeResult> {
    const roles = CERTIFIED_ROLES.filter((role) => this.flags[role]);
    const result = await this.rotation({ roles, session: false, reason: 'compromised' });
    return { schema: 'aegis.keys.revoke/1', ...result };
  }
}
