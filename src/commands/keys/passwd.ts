/** `aegis keys passwd`: another passphrase for this home's keys. */
import { Flags } from '@oclif/core';
import { BaseCommand, passphraseFlags } from '../../cli/base.ts';
import { facts } from '../../cli/format.ts';
import { requireOwnHome } from '../../cli/own-home.ts';
import { safeText } from '../../cli/text.ts';
import type { KeysPasswdResult } from '../../core/api/contract/keys.ts';

export default class KeysPasswd extends BaseCommand<typeof KeysPasswd, KeysPasswdResult> {
  static override readonly summary = 'Change the passphrase of the keys.';
  static override readonly description =
    'Encrypts the keys anew under another passphrase. The successor of the identity key changes ' +
    'with them when it is here under the same passphrase; with --next it changes alone. The ' +
    'files as they were stay beside the new ones with the ending .bak, under the old ' +
    'passphrase. A running node is not disturbed. The new passphrase comes from ' +
    '--new-passphrase-file or a prompt, never from the environment.';
  static override readonly examples = [
    { description: 'With questions', command: '<%= config.bin %> keys passwd' },
    {
      description: 'From a script',
      command: '<%= config.bin %> keys passwd --passphrase-file old --new-passphrase-file new',
    },
  ];
  static override readonly flags = {
    ...passphraseFlags,
    'new-passphrase-file': Flags.string({
      helpValue: '<file>',
      description: 'Read the new passphrase from this file; - reads standard input.',
    }),
    next: Flags.boolean({ description: 'Change the successor of the identity key alone.' }),
  };

  protected override async work(): Promise<KeysPasswdResult> {
    const paths = this.home();
    await requireOwnHome(paths);
    const file = this.flags['new-passphrase-file'];
    const passphrase = await this.passphrase(`the keystore in ${paths.keys}`);
    const newPassphrase = await this.passphrase('the keys from now on', {
      ...(file === undefined ? {} : { file }),
      confirm: true,
      fresh: true,
    });
    const { changePassphrase } = await import('../../core/keys/passwd.ts');
    const { systemRandom } = await import('../../core/keys/random.ts');
    const options = { dir: paths.keys, passphrase, newPassphrase, onlyNext: this.flags.next };
    const { changed, unchanged, backups } = await changePassphrase(options, {
      random: systemRandom,
    });
    if (backups.length > 0) {
      this.note('Delete the backups (*.bak) once the new passphrase has proved itself: they still');
      this.note('open with the old one.');
    }
    return {
      schema: 'aegis.keys.passwd/1',
      changed: [...changed],
      unchanged: [...unchanged],
      backups: [...backups],
    };
  }

  protected override view({ changed, unchanged, backups }: KeysPasswdResult): string {
    return facts([
      ['changed', changed.length > 0 ? changed.join(', ') : 'nothing'],
      ['unchanged', unchanged.length > 0 ? unchanged.join(', ') : undefined],
      ...backups.map((path) => ['backup', safeText(path)] as const),
    ]);
  }
}
