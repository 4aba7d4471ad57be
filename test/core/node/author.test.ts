import { expect, test } from 'vitest';
import { AegisError } from '../../../src/core/errors.ts';
import { Author, type AuthorDeps } from '../../../src/core/node/author.ts';

const unreachable = () => new AegisError('SIGNER_UNREACHABLE', 'the signer is out of reach');

function authorWaiting() {
  const waits = { count: 0 };
  const ring = {
    reached: async () => {
      waits.count += 1;
    },
  };
  // Nothing else of a ring is asked.
  return { author: new Author('node', { ring } as unknown as AuthorDeps), waits };
}

/** Fails so often before it succeeds. */
const failing = (errors: AegisError[]) => () => {
  const error = errors.shift();
  if (error !== undefined) throw error;
  return 'signed';
};

test('what a signer out of reach does not sign is tried once more when it is back', async () => {
  const { author, waits } = authorWaiting();
  expect(await author.signed(failing([]))).toBe('signed');
  expect(waits.count).toBe(0);
  expect(await author.signed(failing([unreachable()]))).toBe('signed');
  expect(waits.count).toBe(1);
  const gone = { code: 'SIGNER_UNREACHABLE' };
  const twice = author.signed(failing([unreachable(), unreachable()]));
  await expect(twice).rejects.toMatchObject(gone);
  expect(waits.count).toBe(2);
});

test('what it refuses, and what fails after the signature, is not tried again', async () => {
  const { author, waits } = authorWaiting();
  const refused = new AegisError('SIGNER_REFUSED', 'the signer refuses');
  const refusal = { code: 'SIGNER_REFUSED' };
  await expect(author.signed(failing([refused]))).rejects.toMatchObject(refusal);
  const later = author.signed(() => Promise.reject(unreachable()));
  await expect(later).rejects.toMatchObject({ code: 'SIGNER_UNREACHABLE' });
  expect(waits.count).toBe(0);
});
