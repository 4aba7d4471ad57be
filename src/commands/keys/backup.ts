/** `aegis keys backup`: one encrypted file with all that makes this node this node. */
import { readFile } from 'node:fs/promises';
import { Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { requireAbsent, SECRET_MODE, writeNewDocument } from '../../cli/documents.ts';
import { bytes, facts } from '../../cli/format.ts';
import { requireOwnHome } from '../../cli/own-home.ts';
import { safeText } from '../../cli/text.ts';
import type { KeysBackupResult } from '../../core/api/contract/keys.ts';
import { statIfPresent } from '../../core/files.ts';

export default class KeysBackup extends BaseCommand<typeof KeysBackup, KeysBackupResult> {
  static override readonly summary = 'Back the keys of this node up into one file.';
  static override readonly description =
    'Writes the key files, the succession, the genesis and the settings into one file, encrypted ' +
    'under a passphrase of its own. The key files inside stay encrypted under theirs: whoever ' +
    'restores needs both. The node may run. The successor of the identity stays out unless ' +
    '--with-next is given: keep it elsewhere. Documents are not in it; other nodes have them. A ' +
    'home that is restored does not vote until its consensus key is rotated. The passphrase ' +
    'comes from --backup-passphrase-file or a prompt, never from the environment.';
  static override readonly examples = [
    { description: 'Back up', command: '<%= config.bin %> keys backup --out alice.backup' },
    {
      description: 'From a timer, without a question',
      command:
        '<%= config.bin %> keys backup --out /srv/backup/alice-$(date +%F) ' +
        '--backup-passphrase-file /etc/aegis/backup-passphrase',
    },
  ];
  static override readonly flags = {
    out: Flags.string({
      char: 'o',
      helpValue: '<file>',
      description: 'Where to write. Default: NAME.backup in this directory.',
    }),
    'backup-passphrase-file': Flags.string({
      helpValue: '<file>',
      description: 'Read the passphrase of the backup from this file; - reads standard input.',
    }),
    'with-next': Flags.boolean({ description: "Also the identity's successor, if it is here." }),
  };

  protected override async work(): Promise<KeysBackupResult> {
    const paths = this.home();
    await requireOwnHome(paths);
    const { Keystore } = await import('../../core/keys/keystore.ts');
    const { inception } = await Keystore.inspect(paths.keys);
    const out = this.flags.out ?? `${inception.name.replaceAll(/[^\w.-]/g, '_')}.backup`;
    await requireAbsent(out);
    const file = this.flags['backup-passphrase-file'];
    const passphrase = await this.passphrase('the backup', {
      ...(file === undefined ? {} : { file }),
      confirm: true,
      fresh: true,
    });
    const { createBackup } = await import('../../core/keys/backup.ts');
    const { systemRandom } = await import('../../core/keys/random.ts');
    const genesis = await readIfPresent(paths.genesis);
    const config = await readIfPresent(paths.config);
    const belongings = {
      ...(genesis === undefined ? {} : { genesis }),
      ...(config === undefined ? {} : { config }),
    };
    const withNext = this.flags['with-next'];
    const { bytes: sealed, backup } = await createBackup(
      { dir: paths.keys, passphrase, withNext, belongings, now: Date.now() },
      { random: systemRandom },
    );
    await writeNewDocument(out, sealed, SECRET_MODE);
    const files = backup.files.map(({ name }) => name);
    return {
      schema: 'aegis.keys.backup/1',
      nodeId: backup.nodeId,
      out,
      sizeBytes: sealed.length,
      files,
      successor: files.some((name) => name.startsWith('identity-next')),
      clusterId: genesis === undefined ? null : await clusterIdOf(genesis),
    };
  }

  protected override view(result: KeysBackupResult): string {
    return facts([
      ['backup', safeText(result.out)],
      ['node id', result.nodeId],
      ['cluster', result.clusterId ?? 'none'],
      ['size', bytes(result.sizeBytes)],
      ['successor', result.successor ? 'in it' : 'not in it'],
    ]);
  }
}

async function readIfPresent(path: string): Promise<Uint8Array | undefined> {
  if ((await statIfPresent(path)) === undefined) return undefined;
  return new Uint8Array(await readFile(path));
}

async function clusterIdOf(genesis: Uint8Array): Promise<string> {
  const { openGenesis } = await import('../../core/model/genesis.ts');
  return openGenesis(genesis).clusterId;
}
