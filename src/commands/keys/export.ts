/** `aegis keys export`: public parts, encrypted key files, or the successor to keep elsewhere. */
import { Flags } from '@oclif/core';
import { BaseCommand, confirmFlags, passphraseFlags } from '../../cli/base.ts';
import { PUBLIC_MODE, SECRET_MODE, writeNewDocument } from '../../cli/documents.ts';
import { inspectOwnKeys } from '../../cli/own-home.ts';
import type { KeysExportResult } from '../../core/api/contract/keys.ts';
import { AegisError } from '../../core/errors.ts';
import type { ExportDocument, ExportKind } from '../../core/keys/export.ts';
import type { Inspection } from '../../core/keys/home.ts';
import type { KeyRole } from '../../core/keys/layout.ts';

export default class KeysExport extends BaseCommand<typeof KeysExport, KeysExportResult> {
  static override readonly summary = 'Write the keys of this node to a file.';
  static override readonly description =
    'Without more, the public parts. With --secret the encrypted key files as they are; they ' +
    'open with the same passphrase. With --next only the encrypted successor of the identity ' +
    'key, which belongs somewhere else than on this machine: with --remove it is deleted here ' +
    'once it is written there. Only --secret --unencrypted writes secrets in the clear, and ' +
    'asks first.';
  static override readonly examples = [
    { description: 'The public parts', command: '<%= config.bin %> keys export' },
    {
      description: 'All keys, encrypted, for a safe place',
      command: '<%= config.bin %> keys export --secret --out keys.json',
    },
    {
      description: 'Move the successor away',
      command: '<%= config.bin %> keys export --next --remove --out /media/usb/next.json --yes',
    },
  ];
  static override readonly flags = {
    ...passphraseFlags,
    ...confirmFlags,
    public: Flags.boolean({
      exclusive: ['secret', 'next'],
      description: 'Public parts only; this is the default.',
    }),
    secret: Flags.boolean({ exclusive: ['next'], description: 'The key files, encrypted.' }),
    next: Flags.boolean({ description: 'The encrypted successor of the identity key, alone.' }),
    remove: Flags.boolean({
      dependsOn: ['next'],
      description: 'Delete the successor in this home after it was written.',
    }),
    unencrypted: Flags.boolean({
      dependsOn: ['secret'],
      description: 'Write the secrets in the clear.',
    }),
    out: Flags.string({
      char: 'o',
      default: '-',
      helpValue: '<file>',
      description: 'Where to write; - is standard output.',
    }),
  };

  protected override async work(): Promise<KeysExportResult> {
    const { flags } = this;
    const keystore = await inspectOwnKeys(this.home());
    const toStdout = flags.out === '-';
    if (flags.remove && toStdout) {
      throw new AegisError('USAGE', '--remove needs a file name in --out, not -');
    }
    if (flags.next && keystore.pending?.entry.succession.replaced.includes('identity')) {
      this.note('A rotation is pending after which another key is the successor: export it then.');
    }
    await this.#confirmDanger(toStdout);
    const document = await this.#document(keystore);
    if (!toStdout) {
      const mode = document.kind === 'public' ? PUBLIC_MODE : SECRET_MODE;
      await writeNewDocument(flags.out, `${JSON.stringify(document, null, 2)}\n`, mode);
    }
    if (flags.remove) await removeSuccessor(keystore);
    return {
      schema: 'aegis.keys.export/1',
      kind: document.kind,
      roles: document.keys.map((key) => key.role),
      out: toStdout ? null : flags.out,
      removed: flags.remove,
      ...(toStdout ? { document: { ...document } } : {}),
    };
  }

  protected override view({ document, roles, out, kind }: KeysExportResult): string {
    if (document !== undefined) return JSON.stringify(document, null, 2);
    return `wrote ${roles.join(', ')} (${kind}) to ${out}`;
  }

  async #document(keystore: Inspection): Promise<ExportDocument> {
    const { secret, next, unencrypted } = this.flags;
    const { exportKeys } = await import('../../core/keys/export.ts');
    const kind: ExportKind = unencrypted ? 'plain' : secret || next ? 'encrypted' : 'public';
    const only: { roles?: readonly KeyRole[] } = next ? { roles: ['next'] } : {};
    if (kind !== 'plain') return await exportKeys(keystore, kind, only);
    const passphrase = await this.passphrase('the keystore');
    return await exportKeys(keystore, kind, { ...only, passphrase });
  }

  /** Secrets reach a screen, leave their encryption, or vanish here only after a yes. */
  async #confirmDanger(toStdout: boolean): Promise<void> {
    const { secret, next, remove, unencrypted } = this.flags;
    if (unencrypted) await this.confirm('write the secret keys of this node in the clear?');
    else if ((secret || next) && toStdout && process.stdout.isTTY) {
      await this.confirm('print the encrypted secret keys on this terminal?');
    }
    if (remove) await this.confirm("delete the identity's successor from this home?");
  }
}

/** Erases the file and its backup, durably. */
async function removeSuccessor(keystore: Inspection): Promise<void> {
  const { erase } = await import('../../core/keys/steps.ts');
  const { path } = keystore.keys.find((entry) => entry.role === 'next')!;
  await erase(path);
  await erase(`${path}.bak`);
}
