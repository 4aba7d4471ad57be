/** `aegis keygen`: one key in one encrypted file, for use outside a home. */
import { Flags } from '@oclif/core';
import { BaseCommand, passphraseFlags } from '../cli/base.ts';
import { PUBLIC_MODE, requireAbsent, SECRET_MODE, writeNewDocument } from '../cli/documents.ts';
import { facts } from '../cli/format.ts';
import type { KeygenResult } from '../core/api/contract/keys.ts';
import { AegisError } from '../core/errors.ts';
import type { KeyFile } from '../core/keys/key-file.ts';

const TYPES = ['network', 'consensus', 'vrf', 'session', 'onion'] as const;

export default class Keygen extends BaseCommand<typeof Keygen, KeygenResult> {
  static override readonly summary = 'Make one key in one encrypted file.';
  static override readonly description =
    'The keys of a node are made by `aegis init`; this makes stand-alone ones. Types: network ' +
    '(Ed25519), consensus (BLS12-381 with proof of possession), vrf (edwards25519, for ' +
    'verifiable randomness), session (X25519) and onion (Ed25519 for a v3 onion service). The ' +
    'secret is always encrypted; the file is readable by its owner only and is never written ' +
    'over another one.';
  static override readonly examples = [
    {
      description: 'A consensus key and its public part beside it',
      command: '<%= config.bin %> keygen --type consensus --out consensus.key.json --public',
    },
    {
      description: 'An onion address for a script',
      command:
        '<%= config.bin %> keygen --type onion --out o.json --passphrase-file ./passphrase --json',
    },
  ];
  static override readonly flags = {
    ...passphraseFlags,
    type: Flags.option({
      options: TYPES,
      required: true,
      helpValue: '<type>',
      description: 'Kind of key: network, consensus, vrf, session or onion.',
    })(),
    out: Flags.string({
      required: true,
      helpValue: '<file>',
      description: 'Where to write the encrypted key; - is standard output.',
    }),
    public: Flags.boolean({ description: 'Write the public part beside it as well, as FILE.pub.' }),
  };

  protected override async work(): Promise<KeygenResult> {
    const { type, out, public: withPublic } = this.flags;
    const toStdout = out === '-';
    if (toStdout && withPublic) {
      throw new AegisError('USAGE', '--public needs a file name in --out, not -');
    }
    if (!toStdout) await requireAbsent(out);
    if (withPublic) await requireAbsent(`${out}.pub`);
    const passphrase = await this.passphrase(`the new ${type} key`, { confirm: true });
    const { makeKeyFile, renderKeyFile } = await import('../core/keys/key-file.ts');
    const { systemRandom } = await import('../core/keys/random.ts');
    const options = { type, passphrase, createdAt: Date.now() };
    const file = await makeKeyFile(options, { random: systemRandom });
    if (!toStdout) await writeNewDocument(out, renderKeyFile(file), SECRET_MODE);
    if (withPublic) await writeNewDocument(`${out}.pub`, publicText(file), PUBLIC_MODE);
    return {
      schema: 'aegis.keygen/1',
      type,
      public: file.public,
      createdAt: file.createdAt,
      out: toStdout ? null : out,
      publicOut: withPublic ? `${out}.pub` : null,
      ...(toStdout ? { keyFile: JSON.parse(renderKeyFile(file)) } : {}),
    };
  }

  protected override view(result: KeygenResult): string {
    if (result.keyFile !== undefined) return JSON.stringify(result.keyFile, null, 2);
    const { key, proofOfPossession, address } = result.public;
    return facts([
      ['type', result.type],
      ['public key', key],
      ['proof', proofOfPossession],
      ['address', address],
      ['file', result.out ?? undefined],
    ]);
  }
}

/** The public part as a file of its own. */
function publicText({ type, public: part, createdAt }: KeyFile): string {
  const content = { schema: 'aegis.public-key/1', type, public: part, createdAt };
  return `${JSON.stringify(content, null, 2)}\n`;
}
