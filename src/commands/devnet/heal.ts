/** `aegis devnet heal`: ends what `aegis devnet partition` began. */
import { BaseCommand } from '../../cli/base.ts';
import { devnetOptions, devnetTable, groupsOf, openDevnet } from '../../cli/devnet.ts';
import type { DevnetHealResult } from '../../core/api/contract/daemons.ts';

export default class DevnetHeal extends BaseCommand<typeof DevnetHeal, DevnetHealResult> {
  static override readonly summary = 'Join the groups of the local cluster again.';
  static override readonly description =
    'All nodes may talk to each other again, and dial at once. Nothing happens when there are no ' +
    'groups. To wait until a node has its connections: `aegis node wait --for peers=N`.';
  static override readonly examples = [
    { description: 'After a partition', command: '<%= config.bin %> devnet heal' },
  ];

  protected override async work(): Promise<DevnetHealResult> {
    const devnet = await openDevnet(this.home());
    const { dir } = devnetOptions(this.home());
    const nodes = await devnet.heal();
    return { schema: 'aegis.devnet.heal/1', dir, groups: groupsOf(devnet), nodes, tor: devnet.tor };
  }

  protected override view({ nodes, tor }: DevnetHealResult): string {
    return devnetTable(nodes, { tor });
  }
}
