/** `aegis devnet down`: stops every node of the local cluster. */
import { dirname } from 'node:path';
import { Flags } from '@oclif/core';
import { BaseCommand, confirmFlags } from '../../cli/base.ts';
import { devnetOptions, devnetTable, openDevnet } from '../../cli/devnet.ts';
import type { DevnetDownResult } from '../../core/api/contract/daemons.ts';

export default class DevnetDown extends BaseCommand<typeof DevnetDown, DevnetDownResult> {
  static override readonly summary = 'Stop all nodes of the local cluster.';
  static override readonly description =
    'The nodes keep their data; `aegis devnet up` continues with it. Their private Tor network ' +
    'ends, if they have one. With --remove the directory of the devnet is deleted with ' +
    'everything that was stored.';
  static override readonly examples = [
    { description: 'Stop', command: '<%= config.bin %> devnet down' },
    { description: 'Stop and delete', command: '<%= config.bin %> devnet down --remove --yes' },
  ];
  static override readonly flags = {
    ...confirmFlags,
    remove: Flags.boolean({ description: 'Delete the homes of all nodes as well.' }),
  };

  protected override async work(): Promise<DevnetDownResult> {
    const devnet = await openDevnet(this.home());
    const { dir } = devnetOptions(this.home());
    if (this.flags.remove) await this.confirm(`delete ${dir} with all that its nodes store?`);
    await devnet.down();
    const nodes = await devnet.status();
    if (this.flags.remove) {
      devnet.remove();
      await this.#removeEmptyHome();
    }
    const { tor } = devnet;
    return { schema: 'aegis.devnet.down/1', dir, nodes, tor, removed: this.flags.remove };
  }

  /** A home that was made for the devnet alone goes with it; one with anything else in it stays. */
  async #removeEmptyHome(): Promise<void> {
    const { label, data } = this.home();
    if (dirname(data) !== label) return;
    const { rmdir } = await import('node:fs/promises');
    for (const path of [data, label]) {
      const error = await rmdir(path).catch((reason: NodeJS.ErrnoException) => reason);
      if (error !== undefined) return;
    }
  }

  protected override view({ nodes, removed, dir, tor }: DevnetDownResult): string {
    return removed ? `removed ${dir}` : devnetTable(nodes, { tor });
  }
}
