/** What `kb put` and `kb import` share: a new version of a path from bytes, and how it is shown. */
import { type Command, Flags } from '@oclif/core';
import type { Reply } from '../../core/api/contract/endpoints.ts';
import { AegisError } from '../../core/errors.ts';
import { BaseCommand, type Result } from '../base.ts';
import { finalText } from '../chain.ts';
import { bytes, facts, safeText } from '../format.ts';
import { mayDraw } from '../terminal.ts';
import { withProgress } from './progress.ts';
import type { Source } from './source.ts';

const TIMEOUT_MS = 60_000;

/** Of every command that writes a version. */
export const writeFlags = {
  'if-version': Flags.string({
    helpValue: '<cid>|none',
    description:
      'Refuse (exit status 73) unless this is the only version of the path, or it has none.',
  }),
  wait: Flags.option({
    options: ['local', 'replicated', 'final'] as const,
    default: 'final' as const,
    description: 'Return when it is durable here, on enough nodes, or also final.',
  })(),
  replicas: Flags.integer({
    min: 1,
    max: 64,
    helpValue: '<number>',
    description: 'Copies to wait for, this node counted.',
  }),
  message: Flags.string({
    char: 'm',
    helpValue: '<text>',
    description: 'Why, for the log of the path.',
  }),
};

export const putFlags = {
  path: Flags.string({
    char: 'p',
    helpValue: '<path>',
    description: 'Path in the knowledge base. Default: the name of the file.',
  }),
  ...writeFlags,
  hash: Flags.option({
    options: ['blake3', 'sha2-256'] as const,
    default: 'blake3' as const,
    description: 'Hash of the objects; sha2-256 gives the CIDs of other IPFS tools.',
  })(),
  plain: Flags.boolean({
    description: 'Do not encrypt the content.',
    exclusive: ['encrypt-to'],
  }),
  'encrypt-to': Flags.string({
    multiple: true,
    helpValue: '<member>|<namespace>/|age1...',
    description: 'Encrypt it to these only; name this node, too, to read it here.',
  }),
};

interface WriteFlags {
  readonly 'if-version'?: string | undefined;
  readonly wait: 'local' | 'replicated' | 'final';
  readonly replicas?: number | undefined;
  readonly message?: string | undefined;
}

/** What a write says beside what it writes. */
export const writingOf = (flags: WriteFlags) => ({
  wait: flags.wait,
  ...(flags.message !== undefined && { message: flags.message }),
  ...(flags.replicas !== undefined && { replicas: flags.replicas }),
  ...(flags['if-version'] !== undefined && { ifVersion: flags['if-version'] }),
});

/** A version that was written, for people. */
export function writtenView(put: Omit<Reply<'kb.put'>, 'schema'>): string {
  const { height } = put;
  const { confirmed, wanted } = put.replicas;
  return facts([
    ['path', safeText(put.path)],
    ['cid', put.cid],
    ['version', `${put.version}${put.created ? '' : ' (unchanged)'}`],
    ['size', bytes(put.sizeBytes)],
    ['copies', `${confirmed} durable, ${wanted} wanted`],
    ['final', height === null ? 'not yet' : finalText(height)],
  ]);
}

interface PutFlags extends WriteFlags {
  readonly hash: 'blake3' | 'sha2-256';
  readonly plain: boolean;
  readonly 'encrypt-to'?: readonly string[];
  readonly quiet: boolean;
}

export abstract class PutCommand<T extends typeof Command, R extends Result> extends BaseCommand<
  T,
  R
> {
  protected async put(source: Source, path: string): Promise<Reply<'kb.put'>> {
    const flags = this.flags as unknown as PutFlags;
    const draw = mayDraw({ quiet: flags.quiet, json: this.json });
    const progress = { label: safeText(path), totalBytes: source.sizeBytes, draw };
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs });
    return await client.put(
      {
        path,
        ...writingOf(flags),
        ...storingOf(flags),
        timeoutMs,
      },
      { ...source, bytes: withProgress(source.bytes, progress) },
      { signal: this.interruption() },
    );
  }

  /** Each file of a directory under a path of its own. */
  protected async putEach(source: Source, prefix: string): Promise<Reply<'kb.each'>> {
    const flags = this.flags as unknown as PutFlags;
    const { wait, message, quiet } = flags;
    if (source.kind !== 'directory' || wait === 'replicated') throw notEach(source.kind);
    const draw = mayDraw({ quiet, json: this.json });
    const progress = { label: safeText(prefix), totalBytes: source.sizeBytes, draw };
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client({ timeoutMs });
    return await client.putEach(
      {
        ...{ prefix, wait, timeoutMs },
        ...storingOf(flags),
        ...(message !== undefined && { message }),
      },
      { ...source, bytes: withProgress(source.bytes, progress) },
      { signal: this.interruption() },
    );
  }
}

const storingOf = ({ hash, plain, 'encrypt-to': to }: PutFlags) => ({
  hash,
  ...(plain && { plain }),
  ...(to !== undefined && { encryptTo: to.join(',') }),
});

const notEach = (kind: Source['kind']): AegisError =>
  kind === 'directory'
    ? new AegisError('USAGE', '--each cannot wait for copies', {
        hint: 'Each path has holders of its own. See what lacks copies: aegis kb status',
      })
    : new AegisError('USAGE', '--each is for directories');
