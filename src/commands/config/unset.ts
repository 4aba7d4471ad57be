/** `aegis config unset`: takes one setting out of the config file. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { requireOwnHome } from '../../cli/own-home.ts';
import { changeOf, readSetting, settingKey, valueText } from '../../cli/settings.ts';
import { safeText } from '../../cli/text.ts';
import type { ConfigUnsetResult } from '../../core/api/contract/config.ts';
import { loadSettings, writeSettings } from '../../core/config/settings.ts';

export default class ConfigUnset extends BaseCommand<typeof ConfigUnset, ConfigUnsetResult> {
  static override readonly summary = 'Take a setting out of the config file.';
  static override readonly description =
    'The default holds again, unless the environment gives a value. It is no error when the file ' +
    'had none.';
  static override readonly examples = [
    { description: 'Log as usual again', command: '<%= config.bin %> config unset log.level' },
  ];
  static override readonly args = {
    key: Args.string({ required: true, description: 'The setting, e.g. log.level.' }),
  };

  protected override async work(): Promise<ConfigUnsetResult> {
    const paths = this.home();
    const key = settingKey(this.args.key);
    await requireOwnHome(paths);
    // What the file says, whatever the environment says.
    const { origins, fromHome } = await loadSettings(paths, {});
    const removed = origins[key] === 'config' && !fromHome.includes(key);
    if (removed) await writeSettings(paths, changeOf(key, undefined));
    const { value } = await readSetting(paths, key);
    return { schema: 'aegis.config.unset/1', key, removed, value, file: paths.config };
  }

  protected override view({ key, value }: ConfigUnsetResult): string {
    const now = value === null ? 'no value' : safeText(valueText(value).replaceAll('\n', ','));
    return `${key} = ${now}`;
  }
}
