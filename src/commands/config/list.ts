/** `aegis config list`: every setting and its value. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { table } from '../../cli/format.ts';
import { readSettings } from '../../cli/settings.ts';
import type { ConfigListResult } from '../../core/api/contract/config.ts';

export default class ConfigList extends BaseCommand<typeof ConfigList, ConfigListResult> {
  static override readonly summary = 'List all settings of this home.';
  static override readonly description =
    'Shows the values that hold: an environment variable wins over the config file, which wins ' +
    'over the default. The variable of log.level is AEGIS_LOG_LEVEL, and so on.';
  static override readonly examples = [
    { description: 'List the settings', command: '<%= config.bin %> config list' },
    {
      description: 'Also say where each value comes from',
      command: '<%= config.bin %> config list --show-origin',
    },
    {
      description: 'Those that are not defaults',
      command: `<%= config.bin %> config list --json | jq '.settings[] | select(.source)'`,
    },
  ];
  static override readonly flags = {
    'show-origin': Flags.boolean({ description: 'Say where each value comes from.' }),
  };

  protected override async work(): Promise<ConfigListResult> {
    const settings = await readSettings(this.home());
    return { schema: 'aegis.config.list/1', settings: [...settings] };
  }

  protected override view({ settings }: ConfigListResult): string {
    const columns = [
      { title: 'SETTING', cell: (row: ConfigListResult['settings'][0]) => row.key },
      {
        title: 'VALUE',
        cell: ({ value }: ConfigListResult['settings'][0]) =>
          Array.isArray(value) ? value.join(',') : value,
      },
    ];
    const origin = {
      title: 'ORIGIN',
      cell: (row: ConfigListResult['settings'][0]) => row.source ?? row.origin,
    };
    return table(settings, this.flags['show-origin'] ? [...columns, origin] : columns);
  }
}
