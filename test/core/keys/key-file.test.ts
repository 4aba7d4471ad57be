import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { KDF_COST_MAX } from '../../../src/core/crypto/kdf.ts';
import { isAegisError } from '../../../src/core/errors.ts';
import {
  KEY_FILE_BYTES_MAX,
  type KeyFile,
  makeKeyFile,
  parseKeyFile,
  renderKeyFile,
  unsealKey,
} from '../../../src/core/keys/key-file.ts';
import { KEY_TYPES, publicKeyFor } from '../../../src/core/keys/material.ts';
import { Unlocker } from '../../../src/core/keys/unlocker.ts';
import { fixedRandom, QUICK_KDF } from '../../helpers/keystores.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { toHex } from '../../helpers/vectors.ts';

const make = (type: KeyFile['type'], passphrase = 'right'): Promise<KeyFile> =>
  makeKeyFile(
    { type, passphrase, createdAt: 1_800_000_000_000, kdfCost: QUICK_KDF },
    { random: fixedRandom(1) },
  );
const open = async (file: KeyFile, passphrase: string) => {
  using unlocker = new Unlocker(passphrase);
  return await unsealKey(file, unlocker);
};
/** The text with its checksum made right again, as an attacker would. */
const render = (file: object): string => {
  const content = file as Record<string, unknown>;
  const checksum = toHex(sha256(Buffer.from(JSON.stringify(content))));
  return `${JSON.stringify({ ...content, checksum }, null, 2)}\n`;
};

test.each(KEY_TYPES)('a %s key opens with its passphrase and with no other', async (type) => {
  const file = parseKeyFile(renderKeyFile(await make(type)));
  const { secret } = await open(file, 'right');
  expect(await publicKeyFor(type, secret)).toBe(file.public.key);
  await expect(open(file, 'wrong')).rejects.toMatchObject({ code: 'WRONG_PASSPHRASE', exit: 77 });
  expect(renderKeyFile(file)).not.toContain(toHex(secret));
});

test('the form does not change with the program', async () => {
  expect(renderKeyFile(await make('network'))).toMatchSnapshot();
});

test('any changed byte is damage, never a wrong passphrase', async () => {
  const text = renderKeyFile(await make('network'));
  const good = Buffer.from(text);
  const version = text.indexOf('aegis.key/1') + 'aegis.key/'.length;
  fc.assert(
    fc.property(mutated(good), (bad) => {
      fc.pre(Buffer.compare(bad, good) !== 0);
      try {
        parseKeyFile(Buffer.from(bad).toString('utf8'));
        return false;
      } catch (error) {
        if (!isAegisError(error)) throw error;
        // The digit of the version may have been what changed.
        if (bad[version] !== good[version] && error.code === 'UNSUPPORTED_FILE') return true;
        return error.code === 'KEYSTORE_DAMAGED';
      }
    }),
    { numRuns: 3000 },
  );
});

test('whatever JSON it is, nothing but an AegisError is thrown', () => {
  const field = fc.constantFrom('schema', 'type', 'public', 'kdf', 'cipher', 'ciphertext', 'key');
  const value = fc.oneof(fc.jsonValue(), fc.constant('aegis.key/1'), fc.constant('network'));
  fc.assert(
    fc.property(fc.dictionary(field, value), (json) => {
      return onlyAegisErrors(() => parseKeyFile(render(json))) === 'refused';
    }),
  );
  for (const text of ['', 'null', '[]', '0', '"x"', '{"__proto__":{"schema":"aegis.key/1"}}']) {
    expect(onlyAegisErrors(() => parseKeyFile(text))).toBe('refused');
  }
  expect(() => parseKeyFile(' '.repeat(KEY_FILE_BYTES_MAX + 1))).toThrow('too long');
});

test('a later format is told from damage', async () => {
  const file = await make('network');
  expect(() => parseKeyFile(render({ ...file, schema: 'aegis.key/2' }))).toThrow(
    expect.toSatisfy((error) => isAegisError(error) && error.code === 'UNSUPPORTED_FILE') as Error,
  );
});

test('a hostile file cannot ask for more memory or time than the limits', async () => {
  const file = await make('network');
  expect(onlyAegisErrors(() => parseKeyFile(render(file)))).toBe('accepted');
  const costs = [
    { memoryKib: KDF_COST_MAX.memoryKib + 1 },
    { memoryKib: 2 ** 31 },
    { memoryKib: -1 },
    { passes: KDF_COST_MAX.passes + 1 },
    { lanes: KDF_COST_MAX.lanes + 1 },
    { lanes: 0 },
    { salt: '00' },
    { name: 'scrypt' },
  ];
  for (const cost of costs) {
    const text = render({ ...file, kdf: { ...file.kdf, ...cost } });
    expect(() => parseKeyFile(text), JSON.stringify(cost)).toThrow('damaged');
  }
  expect(() => parseKeyFile(render({ ...file, ciphertext: 'ab'.repeat(3000) }))).toThrow('damaged');
});

test('the header is authenticated: a repaired checksum does not help', async () => {
  const file = await make('network');
  const other = await make('session');
  const forged: KeyFile[] = [
    { ...file, createdAt: '2001-01-01T00:00:00.000Z' },
    { ...file, public: other.public },
    { ...file, type: 'identity' },
    { ...file, kdf: { ...file.kdf, passes: 2 } },
    { ...file, cipher: { ...file.cipher, nonce: '00'.repeat(24) } },
    { ...file, ciphertext: other.ciphertext },
  ];
  for (const one of forged) {
    const parsed = parseKeyFile(renderKeyFile(one));
    await expect(open(parsed, 'right')).rejects.toMatchObject({ code: 'WRONG_PASSPHRASE' });
  }
});

test('a closed unlocker opens nothing, and passphrases have limits', async () => {
  const file = await make('network');
  const unlocker = new Unlocker('right');
  unlocker.close();
  await expect(unsealKey(file, unlocker)).rejects.toMatchObject({ code: 'PASSPHRASE_REQUIRED' });
  expect(() => new Unlocker('')).toThrow('is empty');
  expect(() => new Unlocker('x'.repeat(1025))).toThrow('longer than 1024 bytes');
});
