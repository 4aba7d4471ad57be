/** Key files as people hand them over: one alone, or in a document of `keys export`. */
import { AegisError, toAegisError } from '../errors.ts';
import { readSmallFile } from './disk.ts';
import { type KeyFile, parseKeyFile, renderKeyFile } from './key-file.ts';
import type { KeyRole } from './layout.ts';

const DOCUMENT_BYTES_MAX = 65_536;

export interface HandedKey {
  /** Undefined for a key file alone, which does not say it. */
  readonly role: KeyRole | undefined;
  readonly file: KeyFile;
}

/**
 * The encrypted keys in a file.
 * @throws {AegisError} `NOT_FOUND`, `UNREADABLE`, `DENIED`, `TOO_LARGE`, `KEYSTORE_DAMAGED`,
 * `UNSUPPORTED_FILE` for a document without encrypted keys.
 */
export async function readKeyDocument(path: string): Promise<readonly HandedKey[]> {
  const text = Buffer.from((await readSmallFile(path, DOCUMENT_BYTES_MAX)).bytes).toString('utf8');
  try {
    const exported = exportedKeys(text);
    if (exported === undefined) return [{ role: undefined, file: parseKeyFile(text) }];
    return exported.map(({ role, keyFile }) => ({ role, file: parseKeyFile(textOf(keyFile)) }));
  } catch (error) {
    const { code, message, hint } = toAegisError(error);
    throw new AegisError(code, `${message} (${path})`, hint === undefined ? {} : { hint });
  }
}

interface Exported {
  readonly role: KeyRole;
  readonly keyFile: unknown;
}

/** Undefined for what is not a document of `keys export`. */
function exportedKeys(text: string): readonly Exported[] | undefined {
  let value: { schema?: unknown; keys?: unknown };
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    return undefined;
  }
  if (value?.schema !== 'aegis.keystore/1' || !Array.isArray(value.keys)) return undefined;
  const keys = (value.keys as Partial<Exported>[]).filter((key) => key?.keyFile !== undefined);
  if (keys.length > 0) return keys as Exported[];
  throw new AegisError('UNSUPPORTED_FILE', 'the document has no encrypted keys', {
    hint: 'Make one that has: aegis keys export --secret, or --next',
  });
}

/** A document keeps the fields and not the checksum; the tag of the ciphertext covers them all. */
function textOf(keyFile: unknown): string {
  try {
    return renderKeyFile(keyFile as KeyFile);
  } catch {
    throw new AegisError('KEYSTORE_DAMAGED', 'the document is damaged');
  }
}
