import { ed25519 } from '@noble/curves/ed25519.js';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromBase32 } from '../../../src/core/crypto/base32.ts';
import { onionAddressOf, onionKeyOf, onionPublicKeyOf } from '../../../src/core/crypto/onion.ts';
import { toHex } from '../../helpers/vectors.ts';

test('addresses of the Tor specification (rend-spec-v3, encoding onion addresses)', () => {
  const addresses = [
    'pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion',
    'sp3k262uwy4r2k3ycr5awluarykdpag6a7y33jxop4cs2lu5uz5sseqd.onion',
    'xa4r2iadxm55fbnqgwwi5mymqdcofiu3w6rpbtqn7b2dyn7mgwj64jyd.onion',
  ];
  for (const address of addresses) {
    const publicKey = fromBase32(address.slice(0, 56)).subarray(0, 32);
    expect(onionAddressOf(publicKey)).toBe(address);
  }
});

test('the expanded key is that of RFC 8032', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (seed) => {
      const { expandedSecret, publicKey, address } = onionKeyOf(seed);
      const { head, prefix } = ed25519.utils.getExtendedPublicKey(seed);
      expect(toHex(expandedSecret)).toBe(toHex(head) + toHex(prefix));
      expect(toHex(publicKey)).toBe(toHex(ed25519.getPublicKey(seed)));
      expect(onionPublicKeyOf(expandedSecret)).toEqual(publicKey);
      expect(address).toMatch(/^[a-z2-7]{55}d\.onion$/);
    }),
    { numRuns: 10 },
  );
});
