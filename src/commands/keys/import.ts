/** `aegis keys import`: puts key files back into this home. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand, passphraseFlags } from '../../cli/base.ts';
import { facts } from '../../cli/format.ts';
import { requireOwnHome } from '../../cli/own-home.ts';
import type { KeysImportResult } from '../../core/api/contract/keys.ts';

export default class KeysImport extends BaseCommand<typeof KeysImport, KeysImportResult> {
  static override readonly summary = 'Put keys back that this home has lost.';
  static override readonly description =
    'Takes the file of `keys export --secret` or `--next`, or a single key file. Only keys in ' +
    'force and the committed successor come back; what is here and whole stays as it is. The ' +
    "identity's successor keeps its passphrase, the others get that of this home. To bring a " +
    'whole home back, use `aegis keys restore`.';
  static override readonly examples = [
    { description: 'Put the successor back', command: '<%= config.bin %> keys import next.json' },
    {
      description: 'A damaged key file, from an export under an older passphrase',
      command: '<%= config.bin %> keys import keys.json --from-passphrase-file ./old',
    },
  ];
  static override readonly args = {
    file: Args.string({
      required: true,
      ignoreStdin: true,
      description: 'A key file, or a document of `keys export`.',
    }),
  };
  static override readonly flags = {
    ...passphraseFlags,
    'from-passphrase-file': Flags.string({
      helpValue: '<file>',
      description: 'Passphrase of the keys in the file. Default: that of this home.',
    }),
  };

  protected override async work(): Promise<KeysImportResult> {
    const paths = this.home();
    await requireOwnHome(paths);
    const file = this.flags['from-passphrase-file'];
    const { importKeys } = await import('../../core/keys/import.ts');
    const { systemRandom } = await import('../../core/keys/random.ts');
    const { imported, unchanged } = await importKeys(
      {
        dir: paths.keys,
        from: this.args.file,
        passphrase: () => this.passphrase(`the keystore in ${paths.keys}`),
        ...(file === undefined
          ? {}
          : { fromPassphrase: () => this.passphrase('the keys in the file', { file }) }),
      },
      { random: systemRandom },
    );
    return {
      schema: 'aegis.keys.import/1',
      imported: [...imported],
      unchanged: [...unchanged],
    };
  }

  protected override view({ imported, unchanged }: KeysImportResult): string {
    return facts([
      ['imported', imported.length > 0 ? imported.join(', ') : 'nothing'],
      ['unchanged', unchanged.length > 0 ? unchanged.join(', ') : undefined],
    ]);
  }
}
