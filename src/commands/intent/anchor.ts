/** `aegis intent anchor`: has the custodians make the hash of a state final. */
import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../../cli/base.ts';
import { fateText } from '../../cli/chain.ts';
import { hashFile } from '../../cli/documents.ts';
import { facts, safeText } from '../../cli/format.ts';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { AegisError } from '../../core/errors.ts';

const TIMEOUT_MS = 60_000;
const DIGEST = /^[0-9a-f]{64}$/;

export default class IntentAnchor extends BaseCommand<
  typeof IntentAnchor,
  Reply<'intents.anchor'>
> {
  static override readonly summary = 'Anchor the hash of a state under a label.';
  static override readonly description =
    'What the hash is of, only this node knows; that it was there at that height, and after ' +
    'which other one, the whole cluster does. Each anchor of a label follows the one before it. ' +
    'The protocol version of the cluster must be 2.';
  static override readonly examples = [
    {
      description: 'The SHA-256 of a file',
      command: '<%= config.bin %> intent anchor ledger --file ./ledger.db',
    },
    {
      description: 'A hash, if the last one is the one that was read',
      command: '<%= config.bin %> intent anchor ledger 3b1f... --previous 90ac...',
    },
  ];
  static override readonly args = {
    label: Args.string({
      required: true,
      ignoreStdin: true,
      description: 'A label of this node, e.g. ledger.',
    }),
    digest: Args.string({ ignoreStdin: true, description: 'SHA-256, 64 hexadecimal digits.' }),
  };
  static override readonly flags = {
    file: Flags.string({ helpValue: '<file>', description: 'Anchor the SHA-256 of this file.' }),
    previous: Flags.string({
      helpValue: '<digest>|none',
      description: 'Refuse unless this is the last anchor of the label, or there is none.',
    }),
  };

  protected override async work(): Promise<Reply<'intents.anchor'>> {
    const { label } = this.args;
    const { previous } = this.flags;
    const digest = await this.#digest();
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs: timeoutMs + 5000 });
    const before =
      previous === undefined
        ? {}
        : { previous: previous === 'none' ? null : checkDigest(previous) };
    const body = { label, digest, ...before, wait: 'final' as const, timeoutMs };
    return await client.call('intents.anchor', { body, signal: this.interruption() });
  }

  async #digest(): Promise<string> {
    const { file } = this.flags;
    const { digest } = this.args;
    if ((file === undefined) === (digest === undefined)) {
      throw new AegisError('USAGE', 'give either DIGEST or --file', {
        hint: 'See: aegis intent anchor --help',
      });
    }
    return file === undefined ? checkDigest(digest!) : await hashFile(file);
  }

  protected override view(reply: Reply<'intents.anchor'>): string {
    const { label, digest, previous, intent } = reply;
    return facts([
      ['label', safeText(label)],
      ['digest', digest],
      ['previous', previous ?? 'none'],
      ['status', fateText(intent)],
    ]);
  }
}

function checkDigest(text: string): string {
  if (DIGEST.test(text)) return text;
  throw new AegisError('USAGE', `not a SHA-256: ${safeText(text)}`, {
    hint: 'It has 64 hexadecimal digits in lower case, as sha256sum prints them.',
  });
}
