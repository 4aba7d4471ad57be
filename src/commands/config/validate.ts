/** `aegis config validate`: whether a node would accept its settings. */
import { BaseCommand } from '../../cli/base.ts';
import { requireOwnHome } from '../../cli/own-home.ts';
import { readSettings } from '../../cli/settings.ts';
import { safeText } from '../../cli/text.ts';
import type { ConfigValidateResult } from '../../core/api/contract/config.ts';

export default class ConfigValidate extends BaseCommand<
  typeof ConfigValidate,
  ConfigValidateResult
> {
  static override readonly summary = 'Check the config file and the environment.';
  static override readonly description =
    'A mistake is named with its file or variable, its setting and what was expected (exit code ' +
    '78).';
  static override readonly examples = [
    {
      description: 'Restart only with settings that are fine',
      command: '<%= config.bin %> config validate && systemctl restart aegis',
    },
  ];

  protected override async work(): Promise<ConfigValidateResult> {
    const paths = this.home();
    await requireOwnHome(paths);
    const settings = await readSettings(paths);
    const given = settings.filter(({ origin }) => origin !== 'default').length;
    return { schema: 'aegis.config.validate/1', valid: true, file: paths.config, given };
  }

  protected override view({ file, given }: ConfigValidateResult): string {
    return `${safeText(file)}: fine (${given} given, the others are defaults)`;
  }
}
