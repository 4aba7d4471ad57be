/** `aegis config get`: one setting, for scripts. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { readSetting, settingKey, valueText } from '../../cli/settings.ts';
import { safeText } from '../../cli/text.ts';
import type { ConfigGetResult } from '../../core/api/contract/config.ts';
import { AegisError } from '../../core/errors.ts';

export default class ConfigGet extends BaseCommand<typeof ConfigGet, ConfigGetResult> {
  static override readonly summary = 'Print the value of a setting.';
  static override readonly description =
    'Prints the value that holds, whether it comes from the environment, the config file or the ' +
    'default; a list one item a line. A setting that has no value is an error (exit code 66).';
  static override readonly examples = [
    { description: 'How much is logged', command: '<%= config.bin %> config get log.level' },
    {
      description: 'Where a value comes from',
      command: '<%= config.bin %> config get node.listen --json | jq -r .origin',
    },
  ];
  static override readonly args = {
    key: Args.string({ required: true, description: 'The setting, e.g. log.level.' }),
  };

  protected override async work(): Promise<ConfigGetResult> {
    const setting = await readSetting(this.home(), settingKey(this.args.key));
    if (setting.value === null) {
      throw new AegisError('NOT_FOUND', `${setting.key} has no value`, {
        hint: `Give it one: aegis config set ${setting.key} VALUE`,
      });
    }
    return { schema: 'aegis.config.get/1', ...setting };
  }

  protected override view({ value }: ConfigGetResult): string {
    return valueText(value).split('\n').map(safeText).join('\n');
  }
}
