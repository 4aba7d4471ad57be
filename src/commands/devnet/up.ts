/** `aegis devnet up`: a cluster on this machine, one process a node. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { devnetOptions, devnetTable } from '../../cli/devnet.ts';
import type { DevnetUpResult } from '../../core/api/contract/daemons.ts';

export default class DevnetUp extends BaseCommand<typeof DevnetUp, DevnetUpResult> {
  static override readonly summary = 'Start a cluster of several nodes on this machine.';
  static override readonly description =
    'Makes keys, homes and a genesis the first time, and starts a daemon for every node that ' +
    'does not run. All nodes listen on 127.0.0.1 only. It is for trying things out: the ' +
    'passphrase of all nodes lies in a file beside them. With --route require they are onion ' +
    'services in a private Tor network, which is started first and takes some 15 s; the program ' +
    '`tor` has to be installed. That network is on this machine alone and hides nothing: it ' +
    'shows how a cluster behaves behind Tor.';
  static override readonly examples = [
    { description: 'Four nodes', command: '<%= config.bin %> devnet up' },
    {
      description: 'Seven nodes in a directory',
      command: '<%= config.bin %> devnet up -n 7 -H ./net',
    },
    {
      description: 'Four onion services in a Tor network of their own',
      command: '<%= config.bin %> devnet up --route require',
    },
  ];
  static override readonly flags = {
    nodes: Flags.integer({
      char: 'n',
      min: 1,
      max: 16,
      default: 4,
      helpValue: '<number>',
      description: 'How many nodes, when the devnet is made.',
    }),
    route: Flags.option({
      options: ['off', 'require'] as const,
      default: 'off' as const,
      description: 'What carries the packets of the nodes, when the devnet is made.',
    })(),
  };

  protected override async work(): Promise<DevnetUpResult> {
    const { Devnet } = await import('../../core/node/devnet.ts');
    const options = devnetOptions(this.home());
    const created = !Devnet.exists(options.dir);
    const devnet = created
      ? await Devnet.create(options, { size: this.flags.nodes, route: this.flags.route })
      : Devnet.open(options);
    const nodes = await devnet.up(this.interruption());
    this.note(`Talk to a node: aegis --home ${nodes[0]!.home} node status`);
    const { tor } = devnet;
    return { schema: 'aegis.devnet.up/1', created, dir: options.dir, nodes, tor };
  }

  protected override view({ nodes, tor }: DevnetUpResult): string {
    return devnetTable(nodes, { tor });
  }
}
