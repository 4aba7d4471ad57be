/** `aegis keys serve`: signs for nodes that do not have their keys. */
import { Flags } from '@oclif/core';
import { BaseCommand, confirmFlags, passphraseFlags } from '../../cli/base.ts';
import { requireOwnHome } from '../../cli/own-home.ts';
import { safeText } from '../../cli/text.ts';
import type { KeysServeResult } from '../../core/api/contract/keys.ts';

export default class KeysServe extends BaseCommand<typeof KeysServe, undefined> {
  static override readonly summary = 'Hold the keys of a node, and sign for it over a socket.';
  static override readonly description =
    'Opens the identity, consensus and VRF keys of this home and signs what a node asks for ' +
    'over a unix socket, until it is stopped with Ctrl-C or SIGTERM. It prints one line that ' +
    'begins with READY when it answers. The node has `keys.signer` set to the path of the ' +
    'socket, and these keys are not in its home. It signs only what nodes sign, and never two ' +
    'different votes in one place: what was signed last with each key is durable before a ' +
    'signature leaves. SIGHUP makes it take up keys that `aegis keys rotate` has prepared. ' +
    'Refusals are in logs/signer.log.';
  static override readonly examples = [
    {
      description: 'Sign for the node of another home on this machine',
      command: '<%= config.bin %> keys serve --home ./signer --passphrase-file ./passphrase',
    },
    {
      description: 'At a socket of its own (the node: aegis config set keys.signer PATH)',
      command: '<%= config.bin %> keys serve --home ./signer --socket /run/signer/signer.sock',
    },
  ];
  static override readonly flags = {
    ...passphraseFlags,
    ...confirmFlags,
    socket: Flags.string({
      helpValue: '<path>',
      description:
        'Listen here instead of run/signer.sock in the home; its directory must be 0700.',
    }),
    'accept-lost-guard': Flags.boolean({
      description: 'Say that nothing was signed that the guards do not know, and sign again.',
    }),
    'erase-retired': Flags.boolean({
      description: 'Say that the rotation a node has shown is final, and erase what it retires.',
    }),
  };

  protected override async work(): Promise<undefined> {
    const { flags } = this;
    const paths = this.home();
    await requireOwnHome(paths);
    const acceptLostGuard = flags['accept-lost-guard'];
    const eraseRetired = flags['erase-retired'];
    if (acceptLostGuard) await this.confirm(ACCEPT_QUESTION);
    if (eraseRetired) await this.confirm(ERASE_QUESTION);
    const passphrase = await this.passphrase(`the keystore in ${paths.keys}`);
    const { startSigner } = await import('../../core/node/signing.ts');
    const { socket } = flags;
    const interrupted = this.interruption();
    const signer = await startSigner({
      paths,
      passphrase,
      socket,
      acceptLostGuard,
      eraseRetired,
      env: process.env,
    });
    const onHangup = (): void => void signer.adopt();
    process.on('SIGHUP', onHangup);
    process.stdout.write(`${this.json ? JSON.stringify(signer.ready) : readyLine(signer.ready)}\n`);
    await new Promise((resolve) => interrupted.addEventListener('abort', resolve, { once: true }));
    process.off('SIGHUP', onHangup);
    await signer.stop();
  }

  protected override view(): undefined {}
}

const ACCEPT_QUESTION =
  'If something was signed with these keys that the guards do not know, this node may vote twice ' +
  'in one place and be proved faulty. Sign all the same?';

const ERASE_QUESTION =
  'If the rotation that a node has shown is not final, the keys in force are erased with it, and ' +
  'this node can vote no more. Erase what it retires?';

/** One line, so that a script can wait for it. */
const readyLine = ({ name, socket, pid }: KeysServeResult): string =>
  `READY ${safeText(name)} pid ${pid} signs at ${safeText(socket)}`;
