import { multiaddr } from '@multiformats/multiaddr';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { onionKeyOf, onionMultiaddr } from '../../../../src/core/crypto/onion.ts';
import { AddressClasses } from '../../../../src/core/tor/transport/classes.ts';
import { peerNameOf, targetOf } from '../../../../src/core/tor/transport/target.ts';

const { publicKey, address } = onionKeyOf(new Uint8Array(32).fill(7));
const onion = onionMultiaddr(publicKey);
const peerId = '12D3KooWGzBHZT3tk5WX7oXQk3kiCoEJcUGyZQWqFbKt2CzH8V6x';
const of = (text: string) => targetOf(multiaddr(text));

describe('what an address asks of Tor', () => {
  test('no name that is an onion service in disguise', () => {
    for (const name of ['a.onion', 'a.onion..', 'a\u3002onion', 'a\uff0eonion']) {
      expect(of(`/dns4/${name}/tcp/1`)).toBeUndefined();
    }
  });

  test('an onion service: its host, its key and its port, whatever the case', () => {
    expect(of(onion)).toEqual({
      host: address,
      port: 4001,
      onion: publicKey,
      isPrivate: false,
      purpose: 'talk',
      address: onion,
    });
    const loud = onion.replace(/[a-z2-7]{56}/, (name) => name.toUpperCase());
    expect(of(loud)).toEqual(of(onion));
  });

  test('no address with a wrong letter anywhere in it (O12)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 55 }), fc.integer({ min: 1, max: 31 }), (at, by) => {
        const letters = 'abcdefghijklmnopqrstuvwxyz234567';
        const name = address.slice(0, 56);
        const wrong = letters[(letters.indexOf(name[at]!) + by) % 32]!;
        expect(
          of(`/onion3/${name.slice(0, at)}${wrong}${name.slice(at + 1)}:4001`),
        ).toBeUndefined();
      }),
    );
  });

  test('a lane by its purpose, which is no part of the address of the connection', () => {
    expect(of(`${onion}/memory/bulk-1`)).toMatchObject({ purpose: 'bulk-1', address: onion });
    expect(of(`${onion}/p2p/${peerId}/memory/bulk-2`)).toMatchObject({
      purpose: 'bulk-2',
      address: `${onion}/p2p/${peerId}`,
    });
    expect(of(`${onion}/memory/${'x'.repeat(33)}`)).toBeUndefined();
    expect(of(`${onion}/memory/a/memory/b`)).toBeUndefined();
  });

  test.each([
    ['/ip4/93.184.216.34/tcp/4001', '93.184.216.34', false],
    ['/ip4/192.168.1.7/tcp/4001', '192.168.1.7', true],
    ['/ip4/127.0.0.1/tcp/4001', '127.0.0.1', true],
    ['/ip6/2606:2800:220:1::1/tcp/4001', '2606:2800:220:1::1', false],
    ['/ip6/::1/tcp/4001', '::1', true],
    ['/ip6/fd00::1/tcp/4001', 'fd00::1', true],
    ['/dns4/node.example.org/tcp/4001', 'node.example.org', false],
    ['/dns/localhost/tcp/4001', 'localhost', true],
  ])('%s as a host for SOCKS, as it is', (text, host, isPrivate) => {
    expect(of(text)).toEqual({ host, port: 4001, isPrivate, purpose: 'talk', address: text });
    expect(peerNameOf(of(text)!)).toBe(host);
  });

  test.each([
    '/dns4/facebookwkhpilnemxj7asaniu7vnjjbiltxjqhye3mhbshg7kx5tfyd.onion/tcp/80',
    '/dns/x.ONION/tcp/80',
    '/dns/x.onion./tcp/80',
    '/dnsaddr/example.org',
    '/ip4/192.0.2.1/udp/4001',
    '/ip4/192.0.2.1/udp/4001/quic-v1',
    '/ip4/192.0.2.1/tcp/4001/ws',
    `/ip4/192.0.2.1/tcp/4001/p2p/${peerId}/p2p-circuit`,
    '/memory/onion-1',
    '/unix/tmp%2Fx',
    `/p2p/${peerId}`,
  ])('nothing of %s', (text) => {
    expect(of(text)).toBeUndefined();
  });
});

describe('the class of a connection', () => {
  test('goes with the object, and with what libp2p makes of it, not with the text', () => {
    const classes = new AddressClasses();
    const text = '/ip4/93.184.216.34/tcp/4001';
    const exit = classes.mark(multiaddr(text), 'exit');
    const direct = classes.mark(multiaddr(text), 'direct');
    expect(classes.of(exit)).toBe('exit');
    expect(classes.of(direct)).toBe('direct');
    expect(classes.of(multiaddr(text))).toBeUndefined();
    const derived = direct.encapsulate(`/p2p/${peerId}`);
    expect(derived.toString()).toBe(`${text}/p2p/${peerId}`);
    expect(classes.of(derived)).toBe('direct');
  });
});
