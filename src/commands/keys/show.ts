/** `aegis keys show`: one key in detail. Needs no passphrase. */
import { Args } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { facts } from '../../cli/format.ts';
import { daysText, describeKey, KEY_ROLE_NAMES } from '../../cli/keys.ts';
import { inspectOwnKeys } from '../../cli/own-home.ts';
import { safeText } from '../../cli/text.ts';
import type { KeysShowResult } from '../../core/api/contract/keys.ts';
import { AegisError } from '../../core/errors.ts';
import { statIfPresent } from '../../core/files.ts';

export default class KeysShow extends BaseCommand<typeof KeysShow, KeysShowResult> {
  static override readonly summary = 'Show one key of this node.';
  static override readonly description =
    'Shows the public key, when it should be replaced, its file and how the secret in it is ' +
    'encrypted. Secrets are not shown.';
  static override readonly examples = [
    { description: 'The identity key', command: '<%= config.bin %> keys show' },
    { description: 'The network key', command: '<%= config.bin %> keys show network' },
  ];
  static override readonly args = {
    key: Args.string({
      ignoreStdin: true,
      options: [...KEY_ROLE_NAMES],
      default: 'identity',
      description:
        "Which key: identity, next (the identity's successor), network, consensus, vrf or onion.",
    }),
  };

  protected override async work(): Promise<KeysShowResult> {
    const home = await inspectOwnKeys(this.home());
    const { nodeId, current, keys } = home;
    const entry = keys.find((one) => one.role === this.args.key);
    if (entry === undefined) {
      throw new AegisError('NOT_FOUND', `the ${this.args.key} key is not in this home`, {
        hint: 'See what is here: aegis keys list',
      });
    }
    const { fingerprint } = await import('../../core/model/bundle.ts');
    const { peerIdOf } = await import('../../core/model/identity.ts');
    const { kdf, cipher, public: part } = entry.file;
    const backup = `${entry.path}.bak`;
    const { name, memoryKib, passes, lanes } = kdf;
    return {
      schema: 'aegis.keys.show/1',
      nodeId,
      key: {
        ...describeKey(entry, home, fingerprint, Date.now()),
        keyEpoch: current.keyEpoch,
        peerId: entry.role === 'network' ? peerIdOf(current.keys.networkKey) : null,
        onionAddress: part.address ?? null,
        proofOfPossession: part.proofOfPossession ?? null,
        kdf: { name, memoryKib, passes, lanes },
        cipher: cipher.name,
        backup: (await statIfPresent(backup)) === undefined ? null : backup,
      },
    };
  }

  protected override view({ key, nodeId }: KeysShowResult): string {
    const { name, memoryKib, passes, lanes } = key.kdf;
    return facts([
      ['key', key.role],
      ['node id', nodeId],
      ['public key', key.publicKey],
      ['fingerprint', key.fingerprint],
      ['key epoch', String(key.keyEpoch)],
      ['peer id', key.peerId ?? undefined],
      ['address', key.onionAddress ?? undefined],
      ['possession', key.proofOfPossession ?? undefined],
      ['created', key.createdAt],
      [
        'expires',
        key.expiresAt === null ? undefined : `${key.expiresAt}, ${daysText(key.daysLeft)}`,
      ],
      ['file', safeText(key.path)],
      ['mode', key.mode],
      ['encrypted', `${key.cipher}, ${name} ${memoryKib} KiB, ${passes} passes, ${lanes} lanes`],
      ['backup', key.backup === null ? undefined : safeText(key.backup)],
    ]);
  }
}
