/**
 * The format `aegis.key/1`: one key in one JSON file. The secret is encrypted (Argon2id,
 * XChaCha20-Poly1305) with all other fields as associated data. A checksum over the whole content
 * tells a damaged file from a wrong passphrase; it is no protection against an attacker, who
 * learns nothing by changing it. The text must be exactly what `renderKeyFile` writes, so that
 * any changed byte is seen.
 */
import { AEAD_NONCE_BYTES, AEAD_TAG_BYTES, seal, unseal } from '../crypto/aead.ts';
import { sha256 } from '../crypto/hash.ts';
import { checkKdfCost, KDF_SALT_BYTES, type KdfCost } from '../crypto/kdf.ts';
import { AegisError, hasCode } from '../errors.ts';
import type { Random } from '../ports.ts';
import {
  fromHex,
  generateKey,
  hex,
  KEY_SIZES,
  KEY_TYPES,
  type KeyMaterial,
  type KeyType,
  type PublicPart,
  publicKeyFor,
} from './material.ts';
import { type Kdf, newKdf, Unlocker } from './unlocker.ts';

const KEY_FILE_SCHEMA = 'aegis.key/1';
export const KEY_FILE_BYTES_MAX = 8192;

export interface KeyFile {
  readonly schema: typeof KEY_FILE_SCHEMA;
  readonly type: KeyType;
  readonly public: PublicPart;
  /** RFC 3339, UTC. */
  readonly createdAt: string;
  readonly kdf: {
    readonly name: 'argon2id';
    readonly memoryKib: number;
    readonly passes: number;
    readonly lanes: number;
    readonly salt: string;
  };
  readonly cipher: { readonly name: 'xchacha20-poly1305'; readonly nonce: string };
  readonly ciphertext: string;
}

type Header = Omit<KeyFile, 'ciphertext'>;

const headerOf = ({ schema, type, public: pub, createdAt, kdf, cipher }: Header): Header => ({
  schema,
  type,
  public: {
    key: pub.key,
    ...(pub.proofOfPossession === undefined ? {} : { proofOfPossession: pub.proofOfPossession }),
    ...(pub.address === undefined ? {} : { address: pub.address }),
  },
  createdAt,
  kdf: {
    name: kdf.name,
    memoryKib: kdf.memoryKib,
    passes: kdf.passes,
    lanes: kdf.lanes,
    salt: kdf.salt,
  },
  cipher: { name: cipher.name, nonce: cipher.nonce },
});

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Encrypts a key. The nonce is fresh; the salt may be shared with files of the same passphrase. */
export function sealKey(
  material: KeyMaterial,
  options: { readonly createdAt: number; readonly kdf: Kdf },
  deps: { readonly unlocker: Unlocker; readonly random: Random },
): KeyFile {
  const { memoryKib, passes, lanes, salt } = options.kdf;
  const nonce = deps.random.bytes(AEAD_NONCE_BYTES);
  const header = headerOf({
    schema: KEY_FILE_SCHEMA,
    type: material.type,
    public: material.public,
    createdAt: new Date(options.createdAt).toISOString(),
    kdf: { name: 'argon2id', memoryKib, passes, lanes, salt: hex(salt) },
    cipher: { name: 'xchacha20-poly1305', nonce: hex(nonce) },
  });
  const key = deps.unlocker.keyFor(options.kdf);
  const ciphertext = seal(key, nonce, material.secret, utf8(JSON.stringify(header)));
  return { ...header, ciphertext: hex(ciphertext) };
}

/** Makes a stand-alone key, encrypted under a passphrase. */
export async function makeKeyFile(
  options: {
    readonly type: KeyType;
    readonly passphrase: string;
    /** Milliseconds since the Unix epoch. */
    readonly createdAt: number;
    /** Only tests choose less. @default KDF_COST_DEFAULT */
    readonly kdfCost?: KdfCost;
  },
  { random }: { readonly random: Random },
): Promise<KeyFile> {
  const { type, passphrase, createdAt, kdfCost } = options;
  using unlocker = new Unlocker(passphrase);
  const material = await generateKey(type, random);
  const kdf = newKdf(random, kdfCost);
  const file = sealKey(material, { createdAt, kdf }, { unlocker, random });
  material.secret.fill(0);
  return file;
}

/**
 * Decrypts a key.
 * @throws {AegisError} `WRONG_PASSPHRASE`; `KEYSTORE_DAMAGED` when secret and public part differ.
 */
export async function unsealKey(file: KeyFile, unlocker: Unlocker): Promise<KeyMaterial> {
  const { memoryKib, passes, lanes } = file.kdf;
  const key = unlocker.keyFor({ memoryKib, passes, lanes, salt: fromHex(file.kdf.salt) });
  const associated = utf8(JSON.stringify(headerOf(file)));
  let secret: Uint8Array;
  try {
    secret = unseal(key, fromHex(file.cipher.nonce), fromHex(file.ciphertext), associated);
  } catch (error) {
    if (!hasCode(error, 'BAD_DATA')) throw error;
    throw new AegisError('WRONG_PASSPHRASE', `the passphrase does not open the ${file.type} key`, {
      hint: 'Try again; there is no way to open the key without its passphrase.',
    });
  }
  if ((await publicKeyFor(file.type, secret)) !== file.public.key) {
    secret.fill(0);
    throw new AegisError('KEYSTORE_DAMAGED', `the secret and public ${file.type} keys differ`);
  }
  return { type: file.type, secret, public: file.public };
}

/** The text of a key file: two spaces of indentation, fixed order, checksum last. */
export function renderKeyFile(file: KeyFile): string {
  const content = { ...headerOf(file), ciphertext: file.ciphertext };
  const checksum = hex(sha256(utf8(JSON.stringify(content))));
  return `${JSON.stringify({ ...content, checksum }, null, 2)}\n`;
}

const damaged = (why: string): AegisError =>
  new AegisError('KEYSTORE_DAMAGED', `the key file is damaged: ${why}`);

/**
 * Reads the text of a key file and checks all that can be checked without the passphrase.
 * @throws {AegisError} `KEYSTORE_DAMAGED`; `UNSUPPORTED_FILE` for a later format.
 */
export function parseKeyFile(text: string): KeyFile {
  if (text.length > KEY_FILE_BYTES_MAX) throw damaged('it is too long');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw damaged('it is not JSON');
  }
  const schema = (value as Partial<KeyFile> | null)?.schema as unknown;
  if (typeof schema === 'string' && /^aegis\.key\/[1-9][0-9]*$/.test(schema)) {
    if (schema !== KEY_FILE_SCHEMA) {
      throw new AegisError('UNSUPPORTED_FILE', `the key file has the unknown format ${schema}`, {
        hint: 'Use the aegis that wrote it, or a newer one.',
      });
    }
  }
  if (!isKeyFile(value)) throw damaged('a field is missing or malformed');
  if (renderKeyFile(value) !== text) throw damaged('its checksum or its form does not fit');
  try {
    checkKdfCost(value.kdf);
  } catch (error) {
    throw damaged((error as Error).message);
  }
  return value;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

const isHex = (value: unknown, lengthBytes: number): boolean =>
  typeof value === 'string' && value.length === lengthBytes * 2 && /^[0-9a-f]*$/.test(value);

function isKeyFile(value: unknown): value is KeyFile {
  if (!isObject(value)) return false;
  const type = KEY_TYPES.find((known) => known === value['type']);
  const { kdf, cipher, createdAt } = value;
  if (type === undefined || !isObject(kdf) || !isObject(cipher)) return false;
  return (
    value['schema'] === KEY_FILE_SCHEMA &&
    isPublicPart(value['public'], type) &&
    typeof createdAt === 'string' &&
    !Number.isNaN(Date.parse(createdAt)) &&
    kdf['name'] === 'argon2id' &&
    ['memoryKib', 'passes', 'lanes'].every((name) => Number.isSafeInteger(kdf[name])) &&
    isHex(kdf['salt'], KDF_SALT_BYTES) &&
    cipher['name'] === 'xchacha20-poly1305' &&
    isHex(cipher['nonce'], AEAD_NONCE_BYTES) &&
    isHex(value['ciphertext'], KEY_SIZES[type].secret + AEAD_TAG_BYTES)
  );
}

function isPublicPart(value: unknown, type: KeyType): boolean {
  if (!isObject(value) || !isHex(value['key'], KEY_SIZES[type].public)) return false;
  const { proofOfPossession, address } = value;
  const proofFits =
    type === 'consensus' ? isHex(proofOfPossession, 96) : proofOfPossession === undefined;
  const addressFits =
    type === 'onion'
      ? typeof address === 'string' && /^[a-z2-7]{56}\.onion$/.test(address)
      : address === undefined;
  return proofFits && addressFits;
}
