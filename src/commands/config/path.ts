/** `aegis config path`: where things are. */
import { BaseCommand } from '../../cli/base.ts';
import { safeText } from '../../cli/text.ts';
import type { ConfigPathResult } from '../../core/api/contract/config.ts';

export default class ConfigPath extends BaseCommand<typeof ConfigPath, ConfigPathResult> {
  static override readonly summary = 'Print the path of the config file.';
  static override readonly description =
    'Says where the file is, or would be; with --json also the other places of this home. It ' +
    'looks at nothing on disk.';
  static override readonly examples = [
    { description: 'Edit the settings', command: '$EDITOR "$(<%= config.bin %> config path)"' },
    {
      description: 'Where the keys are',
      command: '<%= config.bin %> config path --json | jq -r .keys',
    },
  ];

  protected override work(): Promise<ConfigPathResult> {
    const { config, keys, data, logs, run, socket } = this.home();
    const schema = 'aegis.config.path/1';
    return Promise.resolve({ schema, config, keys, data, logs, run, socket });
  }

  protected override view({ config }: ConfigPathResult): string {
    return safeText(config);
  }
}
