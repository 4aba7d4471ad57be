import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAegisError } from '../../../src/core/errors.ts';
import { decodeRecord, encodeRecord, isAddress } from '../../../src/core/peers/record.ts';

const address = fc
  .tuple(fc.ipV4(), fc.integer({ min: 1, max: 65_535 }))
  .map(([ip, port]) => `/ip4/${ip}/tcp/${port}`);

describe('record', () => {
  it('reads what it has written', () => {
    fc.assert(
      fc.property(fc.array(address, { maxLength: 8 }), fc.boolean(), (addresses, removed) => {
        expect(decodeRecord(encodeRecord({ addresses, removed }))).toEqual({ addresses, removed });
      }),
    );
  });

  it('throws nothing but AegisError, whatever it is given', () => {
    const valid = encodeRecord({ addresses: ['/ip4/127.0.0.1/tcp/1'], removed: true });
    const mutated = fc
      .tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 255 }))
      .map(([at, byte]) => {
        const bytes = valid.slice();
        bytes[at] = byte;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (bytes) => {
        try {
          decodeRecord(bytes);
        } catch (error) {
          expect(isAegisError(error)).toBe(true);
        }
      }),
    );
    expect(() => decodeRecord(new Uint8Array(100_000))).toThrow(/more than/);
  });

  it('knows an address that can be dialled', () => {
    const good = [
      '/ip4/1.2.3.4/tcp/1',
      '/ip6/::1/tcp/65535/p2p/12D3KooWabc',
      '/dns4/a.example.org/tcp/443',
    ];
    const bad = ['', '/ip4/1.2.3.4/udp/1/quic', '/ip4/1.2.3.4', 'a.example.org:1', '/ip4/ /tcp/1'];
    expect(good.map(isAddress)).toEqual([true, true, true]);
    expect(bad.map(isAddress)).toEqual(bad.map(() => false));
    // What a resolver takes for `.onion`.
    const onions = ['a.onion', 'a.onion.', 'a.onion..', 'a\u3002onion', 'a\uff0eonion'];
    expect(onions.filter((name) => isAddress(`/dns4/${name}/tcp/1`))).toEqual([]);
    expect(isAddress(`/dns4/${'a'.repeat(600)}/tcp/1`)).toBe(false);
  });
});
