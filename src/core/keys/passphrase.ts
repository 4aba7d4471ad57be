/**
 * Where a passphrase comes from, in the one order of the command line's contract. It never comes
 * from the value of a flag, never appears in an error, and is asked for only through `prompt`.
 */
import { spawn } from 'node:child_process';
import { constants, createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { AegisError, hasCode } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import { checkPassphrase, PASSPHRASE_BYTES_MAX } from './unlocker.ts';

export interface PassphraseSources {
  /** Path, or `-` for standard input. */
  readonly file?: string;
  /** An open file descriptor. */
  readonly fd?: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What it is for, to complete "a passphrase for ...". */
  readonly purpose: string;
  /** Asks the person; absent when nobody may be asked. */
  readonly prompt?: () => Promise<string>;
  readonly warn?: (line: string) => void;
}

type Bytes = AsyncIterable<Uint8Array>;

/**
 * The passphrase of the first source that is given: file, descriptor, AEGIS_PASSPHRASE_FILE, the
 * systemd credential `aegis-passphrase`, AEGIS_PASSPHRASE_COMMAND, AEGIS_PASSPHRASE, prompt.
 * One trailing newline is dropped.
 *
 * @throws {AegisError} `PASSPHRASE_REQUIRED` when there is no source or a command fails,
 * `NOT_FOUND`, `DENIED`, `UNREADABLE`, `BAD_REQUEST` when it is empty, too long or not UTF-8.
 */
export async function resolvePassphrase(sources: PassphraseSources): Promise<string> {
  const { env, purpose, prompt } = sources;
  if (sources.file !== undefined) return await fromFile(sources.file);
  if (sources.fd !== undefined) return await fromDescriptor(sources.fd);
  const file = env['AEGIS_PASSPHRASE_FILE'];
  if (file) return await fromFile(file);
  const credentials = env['CREDENTIALS_DIRECTORY'];
  if (credentials) {
    const path = join(credentials, 'aegis-passphrase');
    if ((await statIfPresent(path)) !== undefined) return await fromFile(path);
  }
  const command = env['AEGIS_PASSPHRASE_COMMAND'];
  if (command) return await fromCommand(command);
  const value = env['AEGIS_PASSPHRASE'];
  if (value) {
    sources.warn?.(
      'aegis: warning: AEGIS_PASSPHRASE can be seen by others; prefer AEGIS_PASSPHRASE_FILE',
    );
    return checkPassphrase(value);
  }
  if (prompt !== undefined) return checkPassphrase(await prompt());
  throw new AegisError('PASSPHRASE_REQUIRED', `a passphrase for ${purpose} is needed`);
}

async function fromFile(path: string): Promise<string> {
  if (path === '-') return toPassphrase(await collect(process.stdin, 'standard input'));
  try {
    const handle = await open(path, constants.O_RDONLY);
    return toPassphrase(await collect(handle.createReadStream(), path));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (hasCode(error, 'BAD_REQUEST')) throw error;
    const kind =
      code === 'ENOENT' || code === 'ENOTDIR'
        ? 'NOT_FOUND'
        : code === 'EACCES' || code === 'EPERM'
          ? 'DENIED'
          : 'UNREADABLE';
    const why = kind === 'NOT_FOUND' ? 'does not exist' : `cannot be read (${code})`;
    throw new AegisError(kind, `the passphrase file ${path} ${why}`, { cause: error });
  }
}

async function fromDescriptor(fd: number): Promise<string> {
  try {
    return toPassphrase(await collect(createReadStream('', { fd }), `descriptor ${fd}`));
  } catch (error) {
    if (hasCode(error, 'BAD_REQUEST')) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new AegisError('BAD_REQUEST', `cannot read the passphrase: descriptor ${fd}: ${code}`, {
      hint: `Open it in the shell: aegis ... --passphrase-fd ${fd} ${fd}< FILE`,
      cause: error,
    });
  }
}

async function fromCommand(command: string): Promise<string> {
  const child = spawn('/bin/sh', ['-c', command], { stdio: ['inherit', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  ended.catch(() => undefined);
  try {
    const bytes = await collect(child.stdout, 'AEGIS_PASSPHRASE_COMMAND');
    const status = await ended;
    if (status !== 0) {
      throw new AegisError(
        'PASSPHRASE_REQUIRED',
        `AEGIS_PASSPHRASE_COMMAND failed with status ${status}`,
        { hint: 'Run the command by hand; it must print the passphrase.' },
      );
    }
    return toPassphrase(bytes);
  } finally {
    child.kill();
  }
}

/** Reads to the end, and no more than a passphrase can have. */
async function collect(stream: Bytes, source: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes > PASSPHRASE_BYTES_MAX + 2) {
      throw new AegisError('BAD_REQUEST', `the passphrase from ${source} is too long`, {
        hint: `A passphrase has at most ${PASSPHRASE_BYTES_MAX} bytes.`,
      });
    }
  }
  return Buffer.concat(chunks);
}

function toPassphrase(bytes: Buffer): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new AegisError('BAD_REQUEST', 'the passphrase is not UTF-8');
  }
  bytes.fill(0);
  return checkPassphrase(text.replace(/\r?\n$/, ''));
}
