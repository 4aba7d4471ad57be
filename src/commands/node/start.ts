/** `aegis node start`: runs the daemon, here or in the background. */
import { Flags } from '@oclif/core';
import { BaseCommand, confirmFlags, passphraseFlags } from '../../cli/base.ts';
import { startDetached } from '../../cli/detach.ts';
import { facts, safeText } from '../../cli/format.ts';
import { VERSION } from '../../cli/version.ts';
import type { NodeStartResult } from '../../core/api/contract/daemons.ts';
import { ROUTES, TOR_DAEMONS } from '../../core/config/tor-settings.ts';
import { AegisError } from '../../core/errors.ts';

export default class NodeStart extends BaseCommand<typeof NodeStart, NodeStartResult | undefined> {
  static override readonly summary = 'Start the node of this home.';
  static override readonly description =
    'Runs in the foreground until it is stopped with Ctrl-C, SIGTERM or `aegis node stop`, and ' +
    'prints one line that begins with READY when it answers. With --detach it goes to the ' +
    'background once it is ready. Under systemd it reports its readiness (Type=notify). Where ' +
    'the route needs Tor and none can be reached, it does not start; while Tor is on the way to ' +
    'its network, the node runs and says how far it is.';
  static override readonly examples = [
    { description: 'Run in the foreground', command: '<%= config.bin %> node start' },
    {
      description: 'Run in the background, with the passphrase from a file',
      command: '<%= config.bin %> node start --detach --passphrase-file ./passphrase',
    },
    {
      description: 'Reach the others through a Tor of its own, and in no other way',
      command: '<%= config.bin %> node start --route require --tor-daemon spawn',
    },
    {
      description: 'Check that everything is in order, and start nothing',
      command: '<%= config.bin %> node start --dry-run',
    },
  ];
  static override readonly flags = {
    ...passphraseFlags,
    ...confirmFlags,
    detach: Flags.boolean({ char: 'd', description: 'Go to the background when ready.' }),
    'dry-run': Flags.boolean({ description: 'Check keys, settings and cluster; start nothing.' }),
    listen: Flags.string({
      multiple: true,
      helpValue: '<address>',
      description: 'Listen here instead of where the settings say, e.g. /ip4/0.0.0.0/tcp/4001.',
    }),
    route: Flags.option({
      options: ROUTES,
      description: 'The route of packets, instead of the setting tor.route.',
    })(),
    'tor-daemon': Flags.option({
      options: TOR_DAEMONS,
      description: 'A Tor that runs (system) or one of our own (spawn), instead of tor.daemon.',
    })(),
    vouch: Flags.boolean({
      description: 'Say that this home has not voted what it does not remember, and vote again.',
    }),
  };

  protected override async work(): Promise<NodeStartResult | undefined> {
    const { flags } = this;
    const paths = this.home();
    const { checkStart, dryRun, startNode } = await import('../../core/node/daemon.ts');
    await checkStart(paths, VERSION);
    const passphrase = await this.passphrase(`the keystore in ${paths.keys}`);
    const schema = 'aegis.node.start/1';
    const { listen, vouch, route, 'tor-daemon': torDaemon } = flags;
    const options = {
      ...{ paths, passphrase, version: VERSION, listen, vouch, route, torDaemon },
      env: process.env,
      onTor: (line: string) => this.note(line),
    };
    if (flags['dry-run']) {
      return { schema, detached: false, dryRun: true, ...(await dryRun(options)) };
    }
    if (vouch) await this.confirm(VOUCH_QUESTION);
    if (flags.detach) {
      const ready = await startDetached(this.home(), passphrase, {
        home: flags.home,
        listen: listen ?? [],
        ...{ vouch, route, torDaemon },
        timeoutMs: this.timeoutMs(),
      });
      if (ready.addresses.some((address) => address.startsWith('/onion3/'))) {
        this.note('Tor may still be on the way to its network: aegis tor status');
      }
      this.note('Stop it: aegis node stop');
      return { ...ready, detached: true };
    }
    const interrupted = this.interruption();
    const node = await startNode(options);
    interrupted.addEventListener('abort', () => void node.stop());
    void node.stopping.then(endInTime);
    process.on('uncaughtExceptionMonitor', node.crashed);
    const result: NodeStartResult = { schema, detached: false, dryRun: false, ...node.ready };
    process.stdout.write(`${this.json ? JSON.stringify(result) : readyLine(result)}\n`);
    await node.stopped.catch((error: unknown) => {
      // It has said so.
      process.off('uncaughtExceptionMonitor', node.crashed);
      return endAtOnce(error);
    });
    return undefined;
  }

  protected override view(result: NodeStartResult): string {
    const { name, nodeId, cluster, addresses, pid, socket } = result;
    const title = result.dryRun ? 'Everything is in order; nothing was started.\n' : '';
    return (
      title +
      facts([
        ['node', `${name} ${nodeId}`],
        ['cluster', `${cluster.name} ${cluster.clusterId}`],
        ['listens', addresses.join(' ')],
        ['socket', socket],
        ...(result.dryRun ? [] : ([['pid', String(pid)]] as [string, string][])),
      ])
    );
  }
}

const VOUCH_QUESTION =
  'If this home was copied, or lost votes that others have seen, two blocks may become final at ' +
  'one height. Vote again all the same?';

/** The node has lost its footing: nothing of it may go on, not even to stop tidily. */
function endAtOnce(error: unknown): Promise<never> {
  setImmediate(() => {
    throw error;
  });
  return new Promise(() => {});
}

/** Shorter than `node stop` waits. What is durable stays so, whenever a process ends. */
const STOP_MS_MAX = 20_000;

/** Whatever hangs, the process ends; the timer itself keeps nothing from ending sooner. */
function endInTime(): void {
  setTimeout(() => {
    const left = [...new Set(process.getActiveResourcesInfo())].join(', ');
    const message = `the node did not stop within ${STOP_MS_MAX} ms (${left})`;
    void endAtOnce(new AegisError('TIMEOUT', message));
  }, STOP_MS_MAX).unref();
}

/** One line, so that a script can wait for it. */
const readyLine = ({ name, addresses, socket, pid }: NodeStartResult): string =>
  `READY ${safeText(name)} pid ${pid} socket ${socket} listens ${addresses.join(' ')}`;
