/**
 * What leaves a keystore as a document: public parts, encrypted key files, or, only when asked for
 * in so many words, secrets in the clear.
 */
import { AegisError } from '../errors.ts';
import type { Inspection, KeyEntry } from './home.ts';
import type { KeyFile } from './key-file.ts';
import type { KeyRole } from './layout.ts';
import { hex, type KeyType, type PublicPart } from './material.ts';
import { openKey } from './open-key.ts';
import { Unlocker } from './unlocker.ts';

export type ExportKind = 'public' | 'encrypted' | 'plain';

export interface ExportedKey {
  readonly role: KeyRole;
  readonly type: KeyType;
  readonly public: PublicPart;
  /** RFC 3339, UTC. */
  readonly createdAt: string;
  /** Encrypted exports: the key file as it lies in the home. */
  readonly keyFile?: KeyFile;
  /** Plain exports: the secret in hexadecimal. */
  readonly secret?: string;
}

export interface ExportDocument {
  readonly schema: 'aegis.keystore/1';
  readonly kind: ExportKind;
  readonly nodeId: string;
  /** The signed inception entry in base64. */
  readonly inception: string;
  readonly keys: readonly ExportedKey[];
}

/**
 * @param passphrase only plain exports need it.
 * @throws {AegisError} `NOT_FOUND` for a role that is not in this home, `WRONG_PASSPHRASE`.
 */
export async function exportKeys(
  keystore: Inspection,
  kind: ExportKind,
  options: { readonly roles?: readonly KeyRole[]; readonly passphrase?: string } = {},
): Promise<ExportDocument> {
  const roles = options.roles ?? keystore.keys.map((entry) => entry.role);
  const entries = roles.map((role) => entryOf(keystore, role));
  const { nodeId, bytes } = keystore;
  const inception = Buffer.from(bytes).toString('base64');
  const keys =
    kind === 'plain'
      ? await openAll(entries, options.passphrase ?? '')
      : entries.map((entry) =>
          kind === 'public' ? publicOf(entry) : { ...publicOf(entry), keyFile: entry.file },
        );
  return { schema: 'aegis.keystore/1', kind, nodeId, inception, keys };
}

function entryOf(keystore: Inspection, role: KeyRole): KeyEntry {
  const entry = keystore.keys.find((candidate) => candidate.role === role);
  if (entry !== undefined) return entry;
  throw new AegisError('NOT_FOUND', `the ${role} key is not in this home`, {
    hint: 'Its file has been moved away; look where you keep it.',
  });
}

const publicOf = ({ role, file }: KeyEntry): ExportedKey => ({
  role,
  type: file.type,
  public: file.public,
  createdAt: file.createdAt,
});

async function openAll(entries: readonly KeyEntry[], passphrase: string): Promise<ExportedKey[]> {
  using unlocker = new Unlocker(passphrase);
  const keys: ExportedKey[] = [];
  for (const entry of entries) {
    const { secret } = await openKey(entry.path, unlocker);
    keys.push({ ...publicOf(entry), secret: hex(secret) });
    secret.fill(0);
  }
  return keys;
}
