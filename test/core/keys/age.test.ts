import { armor, Decrypter, Encrypter } from 'age-encryption';
import { expect, test } from 'vitest';
import { identityOf, recipientOfSecret } from '../../../src/core/crypto/reading-key.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { ageFileOf, openAgeFile } from '../../../src/core/keys/age.ts';
import { KEY_OBJECT_BYTES_MAX, SEALED_RECIPIENTS_MAX } from '../../../src/core/model/sealed.ts';

const secretOf = (fill: number) => new Uint8Array(32).fill(fill);
const plaintext = new Uint8Array(32).fill(77);

test('each recipient opens the file, alone or among other keys, and nobody else', async () => {
  const file = await ageFileOf(
    plaintext,
    [1, 2].map((n) => recipientOfSecret(secretOf(n))),
  );
  expect(await openAgeFile(file, [secretOf(1)])).toEqual(plaintext);
  expect(await openAgeFile(file, [secretOf(9), secretOf(2)])).toEqual(plaintext);
  expect(await openAgeFile(file, [secretOf(9)])).toBeUndefined();
  expect(await openAgeFile(file, [])).toBeUndefined();
});

test('the library opens what is made here, and the other way round', async () => {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identityOf(secretOf(1)));
  const file = await ageFileOf(plaintext, [recipientOfSecret(secretOf(1))]);
  expect(await decrypter.decrypt(file)).toEqual(plaintext);
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipientOfSecret(secretOf(1)));
  expect(await openAgeFile(await encrypter.encrypt(plaintext), [secretOf(1)])).toEqual(plaintext);
});

test('what is damaged or no file of age is refused', async () => {
  const file = await ageFileOf(plaintext, [recipientOfSecret(secretOf(1))]);
  const odd = [
    ...[new Uint8Array(), file.subarray(0, 60), file.subarray(0, -1)],
    new Uint8Array(Buffer.from(armor.encode(file))),
    file.with(file.length - 1, file.at(-1)! ^ 1),
  ];
  for (const bytes of odd) {
    await expect(openAgeFile(bytes, [secretOf(1)])).rejects.toSatisfy((error) =>
      hasCode(error, 'BAD_DATA'),
    );
  }
});

test('a file for as many recipients as a content may have is no larger than is read', async () => {
  const all = Array.from({ length: SEALED_RECIPIENTS_MAX }, () => recipientOfSecret(secretOf(1)));
  expect((await ageFileOf(plaintext, all)).length).toBeLessThanOrEqual(KEY_OBJECT_BYTES_MAX);
});
