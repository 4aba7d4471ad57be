/** `aegis keys rotate`: replaces keys of this node, or extends their expiries. */
import { Flags } from '@oclif/core';
import { parseGrace } from '../../cli/grace.ts';
import { RotationCommand, roleFlags, rotationFlags } from '../../cli/rotation.ts';
import type { KeysRotateResult } from '../../core/api/contract/keys.ts';
import { AegisError } from '../../core/errors.ts';
import { CERTIFIED_ROLES } from '../../core/model/succession.ts';

export default class KeysRotate extends RotationCommand<typeof KeysRotate, KeysRotateResult> {
  static override readonly summary = 'Replace keys of this node.';
  static override readonly description =
    'Makes new keys and has the custodians put them in force; the node id stays. The successor ' +
    'of the identity signs, from this home or from the file of --next: who holds the running ' +
    'home alone cannot rotate. A running node takes the keys up without a restart, and the ' +
    'command waits until they are final; otherwise they come into force after the next start. ' +
    'For --grace, peers accept the network key of before, and the service of the onion key ' +
    'before stays. Retired keys are erased. When the identity changes, the successor becomes ' +
    'the identity and a new one is made. While a rotation is not final, the command carries it ' +
    'on. Exit status 75 when it is handed in and not final within --timeout (60 s), 66 without ' +
    'a successor, 65 with a wrong one.';
  static override readonly examples = [
    {
      description: 'See what would change',
      command: '<%= config.bin %> keys rotate --all --dry-run',
    },
    {
      description: 'The keys that a node uses every day',
      command: '<%= config.bin %> keys rotate --network --consensus --next /media/usb/next.json',
    },
    {
      description: 'Every key, with the successors on a stick',
      command:
        '<%= config.bin %> keys rotate --all --next /media/usb/next.json ' +
        '--new-next /media/usb/next-2.json --yes',
    },
    {
      description: 'Only extend expiries',
      command: '<%= config.bin %> keys rotate --all --extend',
    },
    { description: 'A new session key', command: '<%= config.bin %> keys rotate --session' },
  ];
  static override readonly flags = {
    ...roleFlags,
    session: Flags.boolean({ description: 'The session key, which changes daily by itself.' }),
    all: Flags.boolean({
      exclusive: ['identity', 'network', 'consensus', 'onion', 'session'],
      description: 'All of them.',
    }),
    extend: Flags.boolean({ description: 'Keep the keys, and only push their expiries out.' }),
    grace: Flags.custom<number>({
      helpValue: '<time>',
      description:
        'How long the old network and onion keys still count: 24h, 7d, at most 30d. Default: 24h.',
      parse: (text) => Promise.resolve(parseGrace(text)),
    })(),
    discard: Flags.boolean({
      exclusive: ['all', 'identity', 'network', 'consensus', 'onion', 'session', 'extend'],
      description: 'Give up a rotation that is prepared and was not handed in.',
    }),
    ...rotationFlags,
  };

  protected override async work(): Promise<KeysRotateResult> {
    const { flags } = this;
    if (flags.discard) return { schema: 'aegis.keys.rotate/1', ...(await this.discard()) };
    if (flags.extend && flags.session) {
      throw new AegisError('USAGE', 'a session key is replaced, not extended');
    }
    const roles = CERTIFIED_ROLES.filter((role) => flags.all || flags[role]);
    const session = flags.session || (flags.all && !flags.extend);
    const grace = flags.grace === undefined ? {} : { graceMs: flags.grace };
    const result = await this.rotation({ roles, session, extend: flags.extend, ...grace });
    return { schema: 'aegis.keys.rotate/1', ...result };
  }
}
