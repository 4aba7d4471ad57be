import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '../../../src/core/crypto/hash.ts';
import { hasCode } from '../../../src/core/errors.ts';
import {
  createSession,
  openSession,
  SESSION_BYTES_MAX,
  SESSION_LIFETIME_MAX_MS,
  type Session,
} from '../../../src/core/model/session.ts';
import { signRecord } from '../../../src/core/model/signed.ts';
import { mutated, onlyAegisErrors } from '../../helpers/mutation.ts';
import { testNode } from '../../helpers/nodes.ts';
import { seedFor } from '../../helpers/owner.ts';
import { toHex } from '../../helpers/vectors.ts';

const node = testNode(1);
const session: Session = {
  nodeId: node.nodeId,
  keyEpoch: 2,
  number: 7,
  sessionKey: seedFor('session'),
  startsAt: 1_800_000_000_000,
  expiresAt: 1_800_000_000_000 + SESSION_LIFETIME_MAX_MS,
};
const made = createSession(session, node.signer);
const keyOf = (nodeId: string, keyEpoch: number): Uint8Array | undefined =>
  nodeId === node.nodeId && keyEpoch === 2 ? node.signer.publicKey : undefined;
const sign = (change: object): Uint8Array =>
  signRecord({ v: 1, type: 'session', ...session, ...change }, node.signer);

test('a session certificate is read as it was made', () => {
  expect(openSession(made.bytes, keyOf)).toEqual(made);
  expect(made.session).toEqual(session);
  expect(made.bytes.length).toBeLessThan(SESSION_BYTES_MAX);
});

test('it counts with the identity key of its key epoch, and no other', () => {
  expect(() => openSession(sign({ keyEpoch: 1 }), keyOf)).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'DENIED')) as Error,
  );
  expect(() => openSession(sign({ nodeId: testNode(2).nodeId }), keyOf)).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'DENIED')) as Error,
  );
  expect(() => openSession(made.bytes, () => testNode(2).signer.publicKey)).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'BAD_SIGNATURE')) as Error,
  );
});

test.each([
  { expiresAt: session.expiresAt + 1 },
  { expiresAt: session.startsAt },
  { startsAt: session.expiresAt + 1 },
  { startsAt: -1 },
  { number: 0 },
  { keyEpoch: -1 },
  { sessionKey: new Uint8Array(31) },
  { nodeId: 'aegis1' },
  { v: 2 },
  { extra: 1 },
])('with %o it is refused', (change) => {
  expect(onlyAegisErrors(() => openSession(sign({}), keyOf))).toBe('accepted');
  expect(onlyAegisErrors(() => openSession(sign(change), keyOf))).toBe('refused');
});

test('a longer one than the limit is TOO_LARGE', () => {
  expect(() => openSession(new Uint8Array(SESSION_BYTES_MAX + 200), keyOf)).toThrow(
    expect.toSatisfy((error) => hasCode(error, 'TOO_LARGE')) as Error,
  );
});

test('mutations and other bytes are refused, with nothing but an AegisError', () => {
  fc.assert(
    fc.property(fc.oneof(mutated(made.bytes), fc.uint8Array({ maxLength: 300 })), (bad) => {
      fc.pre(Buffer.compare(bad, made.bytes) !== 0);
      expect(onlyAegisErrors(() => openSession(bad, keyOf))).toBe('refused');
    }),
    { numRuns: 1000 },
  );
});

test('the encoding does not change with the program', () => {
  expect(toHex(sha256(made.bytes))).toBe(
    'c8ab13b8f7b9ae7125b72a7d578c3fb345270a88d5f6678736f29a98d5166afb',
  );
});
