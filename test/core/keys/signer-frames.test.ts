import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hasCode } from '../../../src/core/errors.ts';
import {
  decodeDescription,
  decodeReply,
  decodeRequest,
  encodeDescription,
  encodeReply,
  encodeRequest,
  frameOf,
  OPERATIONS,
  REFUSALS,
  SIGNER_FRAME_BYTES_MAX,
  SIGNER_PROTOCOL,
  SignerFrames,
} from '../../../src/core/keys/signer-frames.ts';

const ID = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const BYTES = fc.uint8Array({ maxLength: 300 });

test('frames come out as they went in, however the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(ID, BYTES), { maxLength: 8 }), fc.nat(97), (sent, cut) => {
      const stream = Buffer.concat(sent.map(([id, body]) => frameOf(id, body)));
      const frames = new SignerFrames();
      const got = [];
      for (let at = 0; at < stream.length; at += cut + 1) {
        got.push(...frames.push(stream.subarray(at, at + cut + 1)));
      }
      expect(got).toEqual(sent.map(([id, body]) => ({ version: SIGNER_PROTOCOL, id, body })));
    }),
  );
});

test('a frame has a head, and at most so many bytes', () => {
  const head = (length: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(length);
    return bytes;
  };
  const code = (length: number): unknown => {
    try {
      return new SignerFrames().push(head(length));
    } catch (error) {
      return hasCode(error, 'TOO_LARGE', 'BAD_ENCODING') ? error.code : error;
    }
  };
  expect(code(SIGNER_FRAME_BYTES_MAX)).toEqual([]);
  expect(code(SIGNER_FRAME_BYTES_MAX + 1)).toBe('TOO_LARGE');
  expect(code(4)).toBe('BAD_ENCODING');
});

test('requests, replies and descriptions', () => {
  const key = fc.uint8Array({ maxLength: 48 });
  fc.assert(
    fc.property(fc.constantFrom(...OPERATIONS), key, BYTES, (op, of, payload) => {
      const request = { op, key: of, payload };
      expect(decodeRequest(encodeRequest(request))).toEqual(request);
    }),
  );
  for (const refusal of REFUSALS) {
    const reply = { type: 'refused', refusal, why: 'so' } as const;
    expect(decodeReply(encodeReply(reply))).toEqual(reply);
  }
  const done = { type: 'done', bytes: Uint8Array.of(1, 2) } as const;
  expect(decodeReply(encodeReply(done))).toEqual(done);
  const [a, b] = [new Uint8Array(32).fill(1), new Uint8Array(48).fill(2)];
  const told = {
    ...{ nodeId: 'n', inception: a, number: 3, pending: b },
    origin: { consensusKey: b, possession: a, vrfKey: a },
    ...{ identity: [a], consensus: [b], vrf: [] },
  };
  expect(decodeDescription(encodeDescription(told))).toEqual(told);
});

test('hostile bytes are refused, and nothing else happens', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      for (const read of [decodeRequest, decodeReply, decodeDescription]) {
        try {
          read(bytes);
        } catch (error) {
          expect(hasCode(error, 'BAD_ENCODING', 'TOO_LARGE')).toBe(true);
        }
      }
    }),
  );
});
