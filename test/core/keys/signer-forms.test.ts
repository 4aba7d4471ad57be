import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seedAlpha } from '../../../src/core/chain/seeds.ts';
import {
  digestMessage,
  readPlace,
  timeoutMessage,
} from '../../../src/core/consensus/signed-bytes.ts';
import { formOf } from '../../../src/core/keys/signer-forms.ts';
import { encode } from '../../../src/core/model/cbor.ts';
import { signedMessage } from '../../../src/core/model/signed.ts';

const HEIGHT = fc.integer({ min: 1, max: 2 ** 48 - 1 });
const VIEW = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const CLUSTER = fc.stringMatching(/^[a-z2-7]{1,59}$/);
const DIGEST = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((b) => Buffer.from(b).toString('hex'));

describe('the bytes under a vote are read as they were written', () => {
  test('prepare, commit and proposal', () => {
    const kinds = fc.constantFrom('proposal' as const, 'prepare' as const, 'commit' as const);
    fc.assert(
      fc.property(CLUSTER, kinds, HEIGHT, VIEW, DIGEST, (clusterId, kind, height, view, digest) => {
        const payload = digestMessage(clusterId, kind, height, view, digest);
        expect(readPlace(payload)).toEqual({ clusterId, kind, height, view });
        const op = kind === 'proposal' ? 'sign' : 'vote';
        expect(formOf({ op, payload })?.type).toBe(kind === 'proposal' ? 'proposal' : 'vote');
        const other = kind === 'proposal' ? 'vote' : 'sign';
        expect(formOf({ op: other, payload })).toBeUndefined();
        expect(formOf({ op: 'prove', payload })).toBeUndefined();
        expect(readPlace(payload.subarray(1))).toBeUndefined();
        expect(readPlace(payload.subarray(0, -1))).toBeUndefined();
        expect(readPlace(Buffer.concat([payload, Buffer.of(0)]))).toBeUndefined();
      }),
    );
  });

  test('timeouts', () => {
    fc.assert(
      fc.property(CLUSTER, HEIGHT, VIEW, fc.option(VIEW), (clusterId, height, view, high) => {
        const payload = timeoutMessage(clusterId, height, view, high ?? undefined);
        expect(readPlace(payload)).toEqual({ clusterId, kind: 'timeout', height, view });
        expect(formOf({ op: 'vote', payload })?.type).toBe('vote');
      }),
    );
  });

  test('no other bytes are a vote', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (payload) => {
        expect(readPlace(payload)).toBeUndefined();
        expect(formOf({ op: 'vote', payload })).toBeUndefined();
        expect(formOf({ op: 'sign', payload })).toBeUndefined();
        expect(formOf({ op: 'prove', payload })).toBeUndefined();
      }),
    );
  });

  test('one byte more in the head, and there is no place', () => {
    const payload = Buffer.from(digestMessage('c', 'prepare', 1, 0, 'a'.repeat(64)));
    const start = payload.length - 32 - 13;
    for (const [at, value] of [
      [0, 5],
      [1, 1],
      [2, 1],
    ] as const) {
      const bytes = Buffer.from(payload);
      bytes.writeUInt8(value, start + at);
      expect(readPlace(bytes), `byte ${at}`).toBeUndefined();
    }
    expect(readPlace(digestMessage('c', 'prepare', 0, 0, 'a'.repeat(64)))).toBeUndefined();
    expect(readPlace(digestMessage('', 'prepare', 1, 0, 'a'.repeat(64)))).toBeUndefined();
    expect(readPlace(digestMessage('a b', 'prepare', 1, 0, 'a'.repeat(64)))).toBeUndefined();
  });
});

describe('records', () => {
  const payloadOf = (type: string): Uint8Array => encode({ v: 1, type, text: 'x' });

  test.each(['intent', 'version', 'session', 'bundle', 'invitation', 'admission', 'departure'])(
    '%s is signed with the identity key, and with no other',
    (record) => {
      const payload = signedMessage(record, payloadOf(record));
      expect(formOf({ op: 'sign', payload })).toEqual({ type: 'record', record });
      expect(formOf({ op: 'vote', payload })).toBeUndefined();
    },
  );

  test.each([
    ['the inception is signed before there is a signer', 'inception', payloadOf('inception')],
    ['the successor signs a succession (S2)', 'succession', payloadOf('succession')],
    ['another type than the domain says', 'intent', payloadOf('version')],
    ['no record', 'intent', encode([1, 2])],
    ['no version', 'intent', encode({ type: 'intent' })],
    ['not canonical', 'intent', Buffer.concat([payloadOf('intent'), Buffer.of(0)])],
    ['nothing', 'intent', new Uint8Array()],
    ['too long', 'intent', encode({ v: 1, type: 'intent', text: 'x'.repeat(64 * 1024) })],
  ])('not signed: %s', (_, type, payload) => {
    expect(formOf({ op: 'sign', payload: signedMessage(type, payload) })).toBeUndefined();
  });
});

test('of seeds only what a leader proves', () => {
  const payload = seedAlpha(new Uint8Array(32).fill(3), 12);
  expect(formOf({ op: 'prove', payload })).toEqual({ type: 'seed' });
  expect(formOf({ op: 'prove', payload: payload.subarray(1) })).toBeUndefined();
  expect(formOf({ op: 'prove', payload: Buffer.concat([payload, Buffer.of(1)]) })).toBeUndefined();
  expect(formOf({ op: 'sign', payload })).toBeUndefined();
});
