import * as dagCbor from '@ipld/dag-cbor';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { expect, test } from 'vitest';
import { recipientOfSecret } from '../../../src/core/crypto/reading-key.ts';
import { type ErrorCode, hasCode } from '../../../src/core/errors.ts';
import { parseNode } from '../../../src/core/kb/reader.ts';
import {
  encodeSealedRoot,
  readSealedRoot,
  SEALED_CODEC,
  SEALED_RECIPIENTS_MAX,
  SEALED_ROOT_BYTES_MAX,
} from '../../../src/core/model/sealed.ts';

const cidOf = (codec: number, fill = 1) =>
  CID.createV1(codec, Digest.create(0x1e, new Uint8Array(32).fill(fill)));
const readerOf = (n: number) =>
  recipientOfSecret(new Uint8Array(32).fill(n >> 8).fill(n & 255, 16));
const key = cidOf(0x55, 1);
const content = cidOf(0x70, 2);
const fields = { v: 1, type: 'sealed', key, content, to: [readerOf(7)] };
const refuses = (change: object, ...codes: ErrorCode[]) =>
  expect(() => readSealedRoot(new Uint8Array(dagCbor.encode({ ...fields, ...change })))).toThrow(
    expect.toSatisfy((error) => hasCode(error, ...codes)) as Error,
  );

test('what is written is read, and recipients have one order', () => {
  const to = [readerOf(1), readerOf(2), readerOf(3)].toSorted();
  const bytes = encodeSealedRoot({ key, content, to: to.toReversed() });
  expect(readSealedRoot(bytes)).toEqual({ key, content, to });
  expect(encodeSealedRoot({ key, content, to })).toEqual(bytes);
  expect(dagCbor.decode(bytes)).toEqual({ v: 1, type: 'sealed', key, content, to });
});

test('its form does not change', () => {
  const bytes = encodeSealedRoot({ key, content, to: fields.to });
  expect(Buffer.from(bytes).toString('hex')).toMatchSnapshot();
});

test('what is no sealed root is refused', () => {
  refuses({ key: content }, 'BAD_DATA');
  refuses({ key: CID.createV1(0x55, Digest.create(0x13, new Uint8Array(64))) }, 'BAD_DATA');
  refuses({ content: cidOf(SEALED_CODEC) }, 'BAD_DATA');
  refuses({ to: [] }, 'BAD_DATA');
  refuses({ to: ['somebody'] }, 'BAD_DATA');
  refuses({ to: [readerOf(1), readerOf(1)] }, 'BAD_DATA');
  refuses({ to: [readerOf(1), readerOf(2)].toSorted().toReversed() }, 'BAD_DATA');
  refuses({ v: 2 }, 'BAD_ENCODING');
  refuses({ type: 'other' }, 'BAD_ENCODING');
  refuses({ more: 1 }, 'BAD_ENCODING');
});

test('as many recipients as are allowed fit, and no more', () => {
  const many = Array.from({ length: SEALED_RECIPIENTS_MAX }, (_, n) => readerOf(n)).toSorted();
  const bytes = encodeSealedRoot({ key, content, to: many });
  expect(bytes.length).toBeLessThan(SEALED_ROOT_BYTES_MAX);
  expect(readSealedRoot(bytes).to).toEqual(many);
  refuses({ to: [...many, readerOf(999)].toSorted() }, 'BAD_ENCODING');
  refuses({ to: [], pad: new Uint8Array(SEALED_ROOT_BYTES_MAX) }, 'TOO_LARGE');
});

test('a walk finds the key object and the content below it', () => {
  const node = parseNode(cidOf(SEALED_CODEC), encodeSealedRoot({ key, content, to: fields.to }));
  expect(node.kind).toBe('sealed');
  expect(node.links.map(({ cid }) => cid)).toEqual([key, content]);
});
