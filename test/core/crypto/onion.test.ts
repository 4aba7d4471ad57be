import { ed25519 } from '@noble/curves/ed25519.js';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { base32, fromBase32 } from '../../../src/core/crypto/base32.ts';
import {
  ONION_PORT,
  onionAddressOf,
  onionKeyOf,
  onionMultiaddr,
  parseOnionAddress,
} from '../../../src/core/crypto/onion.ts';
import { onionPublicKeyOf } from '../../../src/core/crypto/onion-secret.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { seedOf } from '../../helpers/nodes.ts';
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
    const name = address.slice(0, 56);
    for (const text of [address, name, address.toUpperCase(), name.toUpperCase()]) {
      expect(parseOnionAddress(text)).toEqual(publicKey);
    }
    expect(onionMultiaddr(publicKey)).toBe(`/onion3/${name}:${ONION_PORT}`);
  }
});

test('an address that is none, or has one letter wrong, is refused (O12)', () => {
  const { address } = onionKeyOf(seedOf(1));
  const name = address.slice(0, 56);
  const version2 = base32(Buffer.concat([fromBase32(name).subarray(0, 34), Uint8Array.of(2)]));
  const none = ['', '.onion', name.slice(1), `${name}a`, `www.${address}`, `${address}.onion`];
  const odd = [`${name}.com`, `${address}.`, ` ${address}`, `${address}:4001`, version2];
  const typos = Array.from(name, (letter, at) => {
    const other = letter === 'a' ? 'b' : 'a';
    return `${name.slice(0, at)}${other}${name.slice(at + 1)}`;
  });
  for (const text of [...none, ...odd, ...typos]) {
    expect(() => parseOnionAddress(text), text).toThrow(
      expect.toSatisfy((error) => hasCode(error, 'BAD_ONION_ADDRESS')) as Error,
    );
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
