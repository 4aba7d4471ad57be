/** `aegis version`: what runs here. */
import { BaseCommand } from '../cli/base.ts';
import { VERSION } from '../cli/version.ts';
import type { VersionResult } from '../core/api/contract/cli.ts';

export default class Version extends BaseCommand<typeof Version, VersionResult> {
  static override readonly summary = 'Print the version of aegis and of what it runs on.';
  static override readonly description =
    'The first line is the same as that of `aegis --version`, which is quicker.';
  static override readonly examples = [
    { description: 'See what runs here', command: '<%= config.bin %> version' },
    { description: 'The same for a script', command: '<%= config.bin %> version --json' },
  ];

  protected override work(): Promise<VersionResult> {
    const { version: node, platform, arch } = process;
    return Promise.resolve({ schema: 'aegis.version/1', version: VERSION, node, platform, arch });
  }

  protected override view({ version, platform, arch, node }: VersionResult): string {
    return `aegis/${version} ${platform}-${arch} node-${node}`;
  }
}
