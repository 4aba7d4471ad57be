/** `aegis node start`: runs the daemon, here or in the background. */
import { Flags } from '@oclif/core';
import { BaseCommand, passphraseFlags } from '../../cli/base.ts';
import { facts } from '../../cli/format.ts';
import { VERSION } from '../../cli/version.ts';
import type { NodeReady } from '../../core/node/daemon.ts';

interface StartResult extends NodeReady {
  readonly schema: 'aegis.node.start/1';
  readonly detached: boolean;
  readonly dryRun: boolean;
}

export default class NodeStart extends BaseCommand<typeof NodeStart, StartResult | undefined> {
  static override readonly summary = 'Start the node of this home.';
  static override readonly description =
    'Runs in the foreground until it is stopped with Ctrl-C, SIGTERM or `aegis node stop`, and ' +
    'prints one line that begins with READY when it answers. With --detach it goes to the ' +
    'background once it is ready. Under systemd it reports its readiness (Type=notify).';
  static override readonly examples = [
    { description: 'Run in the foreground', command: '<%= config.bin %> node start' },
    {
      description: 'Run in the background, with the passphrase from a file',
      command: '<%= config.bin %> node start --detach --passphrase-file ./passphrase',
    },
    {
      description: 'Check that everything is in order, and start nothing',
      command: '<%= config.bin %> node start --dry-run',
    },
  ];
  static override readonly flags = {
    ...passphraseFlags,
    detach: Flags.boolean({ char: 'd', description: 'Go to the background when ready.' }),
    'dry-run': Flags.boolean({ description: 'Check keys, settings and cluster; start nothing.' }),
    listen: Flags.string({
      multiple: true,
      helpValue: '<address>',
      description: 'Listen here instead of where the settings say, e.g. /ip4/0.0.0.0/tcp/4001.',
    }),
  };

  protected override async work(): Promise<StartResult | undefined> {
    const { flags } = this;
    const paths = this.home();
    const { checkStart, startNode } = await import('../../core/node/daemon.ts');
    await checkStart(paths, VERSION);
    const passphrase = await this.passphrase(`the keystore in ${paths.keys}`);
    const schema = 'aegis.node.start/1';
    const options = { paths, passphrase, version: VERSION, listen: flags.listen, env: process.env };
    if (flags['dry-run']) {
      const { dryRun } = await import('../../core/node/daemon.ts');
      return { schema, detached: false, dryRun: true, ...(await dryRun(options)) };
    }
    if (flags.detach) return await this.#detach(passphrase);

    const interrupted = this.interruption();
    const node = await startNode(options);
    interrupted.addEventListener('abort', () => void node.stop());
    const result: StartResult = { schema, detached: false, dryRun: false, ...node.ready };
    const line = this.json ? JSON.stringify(result) : `READY ${this.view(result).trimStart()}`;
    process.stdout.write(`${line}\n`);
    await node.stopped;
    return undefined;
  }

  async #detach(passphrase: string): Promise<StartResult> {
    const { spawnDaemon } = await import('../../core/node/spawn.ts');
    const { join } = await import('node:path');
    const { pid, ready } = await spawnDaemon({
      bin: process.argv[1]!,
      args: [
        ...(this.flags.home === undefined ? [] : ['--home', this.flags.home]),
        ...(this.flags.listen ?? []).flatMap((address) => ['--listen', address]),
      ],
      passphrase,
      consoleFile: join(this.home().logs, 'console.log'),
      timeoutMs: this.timeoutMs(30_000),
    });
    this.note(`Stop it: aegis node stop`);
    return { ...(ready as unknown as StartResult), pid, detached: true };
  }

  protected override view(result: StartResult): string {
    const { name, nodeId, cluster, addresses, pid, socket } = result;
    return facts([
      ['node', `${name} ${nodeId}`],
      ['cluster', `${cluster.name} ${cluster.clusterId}`],
      ['listens', addresses.join(' ')],
      ['socket', socket],
      ...(result.dryRun ? [] : ([['pid', String(pid)]] as [string, string][])),
    ]);
  }
}
