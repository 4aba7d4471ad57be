/** `aegis node restart`: stops the daemon of this home if it runs, and starts it again. */
import { BaseCommand, passphraseFlags } from '../../cli/base.ts';
import { startDetached } from '../../cli/detach.ts';
import { facts } from '../../cli/format.ts';
import { stopDaemon } from '../../cli/stop.ts';
import { checkStaysHidden } from '../../cli/tor-restart.ts';
import type { NodeRestartResult } from '../../core/api/contract/daemons.ts';
import { hasCode } from '../../core/errors.ts';

export default class NodeRestart extends BaseCommand<typeof NodeRestart, NodeRestartResult> {
  static override readonly summary = 'Stop the node of this home and start it again.';
  static override readonly description =
    'The node comes back in the background, with the settings that hold now. The passphrase is ' +
    'asked for and checked first, so that a wrong one leaves the running node alone.';
  static override readonly examples = [
    { description: 'Use changed settings', command: '<%= config.bin %> node restart' },
    {
      description: 'From a script',
      command: '<%= config.bin %> node restart --passphrase-file ./passphrase --json',
    },
  ];
  static override readonly flags = { ...passphraseFlags };

  protected override async work(): Promise<NodeRestartResult> {
    const paths = this.home();
    const { VERSION } = await import('../../cli/version.ts');
    const { checkHome, dryRun } = await import('../../core/node/daemon.ts');
    await checkHome(paths, VERSION);
    // Before anything is asked or stopped.
    await checkStaysHidden(() => this.client(), paths, process.env);
    const passphrase = await this.passphrase(`the keystore in ${paths.keys}`);
    await dryRun({ paths, passphrase, version: VERSION, env: process.env });
    const stoppedPid = await this.#stop();
    const {
      schema: _,
      detached: __,
      dryRun: ___,
      ...ready
    } = await startDetached(paths, passphrase, {
      home: this.flags.home,
      listen: [],
      timeoutMs: this.timeoutMs(),
    });
    return { schema: 'aegis.node.restart/1', ...ready, stoppedPid };
  }

  async #stop(): Promise<number | null> {
    try {
      return await stopDaemon(await this.client(), this.timeoutMs());
    } catch (error) {
      if (hasCode(error, 'DAEMON_UNREACHABLE')) return null;
      throw error;
    }
  }

  protected override view({ name, nodeId, pid, stoppedPid, addresses }: NodeRestartResult): string {
    return facts([
      ['node', `${name} ${nodeId}`],
      ['stopped', stoppedPid === null ? 'nothing ran' : `process ${stoppedPid}`],
      ['runs', `process ${pid}`],
      ['listens', addresses.join(' ')],
    ]);
  }
}
