/** `aegis config set`: changes one setting in the config file. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { requireOwnHome } from '../../cli/own-home.ts';
import { changeOf, readSetting, settingKey, settingValue, valueText } from '../../cli/settings.ts';
import { safeText } from '../../cli/text.ts';
import type { ConfigSetResult } from '../../core/api/contract/config.ts';
import { variableOf, writeSettings } from '../../core/config/settings.ts';

export default class ConfigSet extends BaseCommand<typeof ConfigSet, ConfigSetResult> {
  static override readonly summary = 'Set a setting in the config file.';
  static override readonly description =
    'The value is checked first, and the file is replaced in one piece. A list is written with ' +
    'commas. A running node reads its settings when it starts.';
  static override readonly examples = [
    { description: 'Log more', command: '<%= config.bin %> config set log.level debug' },
    {
      description: 'Listen on two addresses',
      command:
        '<%= config.bin %> config set node.listen /ip4/10.0.0.7/tcp/4001,/ip6/fd00::7/tcp/4001',
    },
  ];
  static override readonly args = {
    key: Args.string({ required: true, description: 'The setting, e.g. log.level.' }),
    value: Args.string({ required: true, description: 'Its new value; a list with commas.' }),
  };

  protected override async work(): Promise<ConfigSetResult> {
    const paths = this.home();
    const key = settingKey(this.args.key);
    const value = await settingValue(key, this.args.value);
    await requireOwnHome(paths);
    const { value: previous } = await readSetting(paths, key);
    await writeSettings(paths, changeOf(key, value));
    const { origin } = await readSetting(paths, key);
    if (origin === 'environment') {
      this.note(`aegis: warning: ${variableOf(key)} is set and wins over the config file`);
    }
    return { schema: 'aegis.config.set/1', key, value, previous, file: paths.config };
  }

  protected override view({ key, value }: ConfigSetResult): string {
    return `${key} = ${safeText(valueText(value).replaceAll('\n', ','))}`;
  }
}
