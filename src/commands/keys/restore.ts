/** `aegis keys restore`: makes a new home from a backup. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { readDocument } from '../../cli/documents.ts';
import { facts } from '../../cli/format.ts';
import { safeText } from '../../cli/text.ts';
import { VERSION } from '../../cli/version.ts';
import type { KeysRestoreResult } from '../../core/api/contract/keys.ts';
import { AegisError } from '../../core/errors.ts';
import { statIfPresent, writeFileAtomic } from '../../core/files.ts';
import type { Backup } from '../../core/keys/backup.ts';

export default class KeysRestore extends BaseCommand<typeof KeysRestore, KeysRestoreResult> {
  static override readonly summary = 'Make a new home from a backup.';
  static override readonly description =
    'Puts the keys, the succession, the genesis and the settings of a backup into a home that ' +
    'does not exist yet. The node starts with the passphrase that its keys had. It follows the ' +
    'chain, but it does not vote with the keys from the backup, since the lost home may have ' +
    'voted with them: rotate them with `aegis keys rotate --consensus`, or vouch with ' +
    '`aegis node start --vouch` that it has not. Never run the old and the restored home at once.';
  static override readonly examples = [
    {
      description: 'Into a new home',
      command: '<%= config.bin %> keys restore alice.backup --home /srv/aegis',
    },
  ];
  static override readonly args = {
    file: Args.string({
      required: true,
      description: 'The file that `keys backup` wrote; - is standard input.',
    }),
  };
  static override readonly flags = {
    'backup-passphrase-file': Flags.string({
      helpValue: '<file>',
      description: 'Read the passphrase of the backup from this file.',
    }),
  };

  protected override async work(): Promise<KeysRestoreResult> {
    const paths = this.home();
    if ((await statIfPresent(paths.format)) !== undefined) {
      throw new AegisError('EXISTS', `there is an aegis home at ${paths.label} already`, {
        hint: 'Restore into a new home: --home DIR',
      });
    }
    const { BACKUP_BYTES_MAX, openBackup, restoreKeys } = await import('../../core/keys/backup.ts');
    const bytes = await readDocument(this.args.file, BACKUP_BYTES_MAX);
    const file = this.flags['backup-passphrase-file'];
    const passphrase = await this.passphrase('the backup', {
      ...(file === undefined ? {} : { file }),
      fresh: true,
    });
    const backup = openBackup(bytes, passphrase);
    const clusterId = await this.#writeBelongings(backup);
    const { current, keys } = await restoreKeys(backup, paths.keys);
    // Last: a home that was cut off before is none, and the same call finishes it.
    const { writeFormat } = await import('../../core/config/format.ts');
    await writeFormat(paths, { aegis: VERSION });
    this.note('It does not vote with these keys. Next: aegis node start, and then');
    this.note('  aegis keys rotate --consensus --next FILE');
    return {
      schema: 'aegis.keys.restore/1',
      home: paths.label,
      nodeId: backup.nodeId,
      name: backup.name,
      backupAt: new Date(backup.createdAt).toISOString(),
      number: current.number,
      keyEpoch: current.keyEpoch,
      successor: keys.some(({ role }) => role === 'next'),
      clusterId,
    };
  }

  protected override view(result: KeysRestoreResult): string {
    return facts([
      ['home', safeText(result.home)],
      ['node', safeText(result.name)],
      ['node id', result.nodeId],
      ['cluster', result.clusterId ?? 'none'],
      ['backup of', result.backupAt],
      ['entry', `${result.number}, key epoch ${result.keyEpoch}`],
      ['successor', result.successor ? 'in this home' : 'not in this home'],
    ]);
  }

  async #writeBelongings({ genesis, config }: Backup): Promise<string | null> {
    const paths = this.home();
    const { ensureHome } = await import('../../core/config/home.ts');
    const { openGenesis } = await import('../../core/model/genesis.ts');
    const clusterId = genesis === undefined ? null : openGenesis(genesis).clusterId;
    await ensureHome(paths);
    if (config !== undefined) await writeFileAtomic(paths.config, config, { mode: 0o600 });
    if (genesis !== undefined) await writeFileAtomic(paths.genesis, genesis, { mode: 0o600 });
    return clusterId;
  }
}
