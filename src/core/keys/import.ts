/**
 * Puts key files back into a home that has lost them: each must be the key in force, or the
 * committed successor. What is there and whole is never replaced. A whole home comes back from a
 * backup instead (backup.ts).
 */
import { sha256 } from '../crypto/hash.ts';
import { AegisError, toAegisError } from '../errors.ts';
import type { Random } from '../ports.ts';
import { type HandedKey, readKeyDocument } from './document.ts';
import { type Inspection, readHome } from './home.ts';
import { type KeyFile, renderKeyFile, sealKey, unsealKey } from './key-file.ts';
import { type KeyRole, keyInForce, keyPath, OPEN_ROLES } from './layout.ts';
import { fromHex, hex } from './material.ts';
import { openKey } from './open-key.ts';
import { realDisk } from './steps.ts';
import { kdfOf, newKdf, Unlocker } from './unlocker.ts';

export interface ImportOptions {
  /** Of the home. */
  readonly dir: string;
  readonly from: string;
  /** Of the home; asked for unless only the successor comes. */
  readonly passphrase: () => Promise<string>;
  /** Of the file. @default that of the home */
  readonly fromPassphrase?: () => Promise<string>;
}

export interface Imported {
  readonly imported: readonly KeyRole[];
  /** They are here already. */
  readonly unchanged: readonly KeyRole[];
}

/**
 * @throws {AegisError} `BAD_DATA` for keys that are not those in force, `WRONG_PASSPHRASE`, what
 * reading throws.
 */
export async function importKeys(
  options: ImportOptions,
  { random }: { readonly random: Random },
): Promise<Imported> {
  const { dir, from } = options;
  const handed = await readKeyDocument(from);
  const faults = new Map<KeyRole, AegisError>();
  const home = await readHome(dir, { spare: handed.map(({ file }) => file), faults });
  const unchanged: KeyRole[] = [];
  const wanted: { role: KeyRole; file: KeyFile }[] = [];
  for (const key of handed) {
    const role = roleOf(home, key);
    if (role === undefined) {
      throw new AegisError('BAD_DATA', `the ${key.file.type} key in ${from} is not in force here`, {
        hint: 'Only keys in force come back this way; compare: aegis keys list',
      });
    }
    if (home.keys.some((entry) => entry.role === role)) unchanged.push(role);
    else wanted.push({ role, file: key.file });
  }
  const files = await sealForHome(wanted, home, options, random);
  for (const { role, file } of files) await realDisk.write(keyPath(dir, role), renderKeyFile(file));
  return { imported: files.map(({ role }) => role), unchanged };
}

/** The role in which the key is in force; undefined for any other key. */
function roleOf({ current }: Inspection, { role, file }: HandedKey): KeyRole | undefined {
  const key = file.public.key;
  const isNext = hex(sha256(fromHex(key))) === hex(current.keys.nextIdentityDigest);
  if (file.type === 'identity' && role !== 'identity' && isNext) return 'next';
  const type = file.type;
  return OPEN_ROLES.find((one) => one === type && keyInForce(current, one) === key);
}

/** Under the passphrase of the home, but for the successor, which keeps its own. */
async function sealForHome(
  wanted: readonly { readonly role: KeyRole; readonly file: KeyFile }[],
  home: Inspection,
  options: ImportOptions,
  random: Random,
): Promise<readonly { readonly role: KeyRole; readonly file: KeyFile }[]> {
  if (wanted.every(({ role }) => role === 'next')) return wanted;
  const passphrase = await options.passphrase();
  const fromPassphrase = (await options.fromPassphrase?.()) ?? passphrase;
  using unlocker = new Unlocker(passphrase);
  using fromUnlocker = new Unlocker(fromPassphrase);
  const any = home.keys.find(({ role }) => role !== 'next');
  if (any !== undefined) (await openKey(any.path, unlocker)).secret.fill(0);
  const kdf = any === undefined ? newKdf(random) : kdfOf(any.file);
  const files: { role: KeyRole; file: KeyFile }[] = [];
  for (const { role, file } of wanted) {
    if (role === 'next') {
      files.push({ role, file });
      continue;
    }
    const material = await openFrom(options.from, file, fromUnlocker);
    const createdAt = Date.parse(file.createdAt);
    files.push({ role, file: sealKey(material, { createdAt, kdf }, { unlocker, random }) });
    material.secret.fill(0);
  }
  return files;
}

async function openFrom(path: string, file: KeyFile, unlocker: Unlocker) {
  try {
    return await unsealKey(file, unlocker);
  } catch (error) {
    const { code, message } = toAegisError(error);
    throw new AegisError(code, `${message} (${path})`, {
      hint: 'The file may have a passphrase of its own: --from-passphrase-file F',
    });
  }
}
