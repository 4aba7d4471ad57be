import { multiaddr } from '@multiformats/multiaddr';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { onionKeyOf, onionMultiaddr } from '../../../src/core/crypto/onion.ts';
import { hasCode } from '../../../src/core/errors.ts';
import {
  hostOf,
  isFromOnion,
  isLoopback,
  isOnion,
  laneIn,
  laneOf,
  networkOf,
  parseDialAddress,
  parseListenAddress,
  peerIn,
  withoutLane,
  withoutPeer,
} from '../../../src/core/network/addresses.ts';

const PEER = '12D3KooWGzBzQGTXFNMyFyh9MTEKXMgRpZ5uJWXjCkRtuNLoGJHN';

describe('addresses', () => {
  it('of TCP over IP and names can be dialled', () => {
    for (const text of ['/ip4/192.0.2.1/tcp/1', '/ip6/::1/tcp/2', '/dns4/a.example.org/tcp/3']) {
      expect(parseDialAddress(text).toString()).toBe(text);
      const full = parseDialAddress(`${text}/p2p/${PEER}`);
      expect([withoutPeer(full), peerIn(full)]).toEqual([text, PEER]);
    }
    expect(peerIn(multiaddr('/ip4/1.2.3.4/tcp/1'))).toBeUndefined();
    expect(hostOf(multiaddr('/ip4/1.2.3.4/tcp/1'))).toBe('1.2.3.4');
    const near = ['/ip4/127.0.0.1/tcp/1', '/ip6/::1/tcp/1', '/ip4/10.0.0.1/tcp/1'].map(multiaddr);
    expect(near.map(isLoopback)).toEqual([true, true, false]);
  });

  it('name no onion service that the system would look up', () => {
    for (const name of ['a.onion', 'a.onion..', 'a\u3002onion', 'a\uff0eonion\uff61']) {
      expect(() => parseDialAddress(`/dns4/${name}/tcp/1`)).toThrow(
        expect.objectContaining({ code: 'BAD_REQUEST' }) as Error,
      );
    }
  });

  it('of onion services have one text, their host is the service, and a checksum (O12)', () => {
    const onion = onionMultiaddr(onionKeyOf(new Uint8Array(32)).publicKey);
    const name = onion.slice(8, 64);
    const upper = `/onion3/${name.toUpperCase()}:4001`;
    expect([onion, upper].map((text) => parseDialAddress(text).toString())).toEqual([onion, onion]);
    const full = parseDialAddress(`${upper}/p2p/${PEER}`);
    expect([withoutPeer(full), peerIn(full), hostOf(full)]).toEqual([onion, PEER, name]);
    expect(parseListenAddress(onion).toString()).toBe(onion);
    expect([isLoopback(full), isOnion(full), networkOf(name)]).toEqual([false, true, name]);
    const wrong = `/onion3/${name.slice(0, -2)}aa:4001`;
    expect(() => parseDialAddress(wrong)).toThrow(
      expect.objectContaining({ code: 'BAD_ONION_ADDRESS' }),
    );
    const forms = [`/dns4/${name}.onion/tcp/4001`, `/dns/x.${name}.ONION/tcp/1`, `${onion}/tcp/1`];
    forms.push(`/onion3/${name}`, `/onion3/${name}:0`, '/onion3/abc:1', '/onion/abc:1');
    for (const text of forms) {
      expect(() => parseDialAddress(text), text).toThrow(
        expect.objectContaining({
          code: 'BAD_REQUEST',
          hint: expect.stringContaining('/onion3/') as string,
        }),
      );
    }
    expect(() => parseListenAddress(`${onion}/p2p/${PEER}`)).toThrow('names a peer');
  });

  it('of what comes in through an onion service are none: it has a class (O20)', () => {
    const inside = [1, 2].map((number) => multiaddr(`/memory/onion-${number}/p2p/${PEER}`));
    expect(inside.map(hostOf)).toEqual(['onion', 'onion']);
    expect(['onion', 'onion-7', '/memory/onion-7'].map(networkOf)).toEqual([
      ...['onion', 'onion', 'onion'],
    ]);
    expect(inside.map(isFromOnion)).toEqual([true, true]);
    // Nobody gets into that class by a name.
    expect(isFromOnion(multiaddr('/dns4/onion-1/tcp/1'))).toBe(false);
  });

  it('of lanes are those of their service', () => {
    const onion = onionMultiaddr(onionKeyOf(new Uint8Array(32)).publicKey);
    const lane = laneOf(onion, 3);
    expect([laneIn(lane), withoutLane(lane).toString()]).toEqual([3, onion]);
    expect(laneIn(multiaddr(onion))).toBeUndefined();
    expect(withoutLane(multiaddr(onion)).toString()).toBe(onion);
    // Nobody asks for one from outside.
    expect(() => parseDialAddress(lane.toString())).toThrow('is not the address of an onion');
  });

  it('of other transports are refused with a hint', () => {
    const relayed = `/ip4/1.2.3.4/tcp/1/p2p/${PEER}/p2p-circuit`;
    for (const text of ['/ip4/1.2.3.4', '/ip4/1.2.3.4/udp/1/quic-v1', relayed, '/unix/tmp', '']) {
      expect(() => parseDialAddress(text), text).toThrow(
        expect.objectContaining({ code: 'BAD_REQUEST', hint: expect.any(String) as string }),
      );
    }
    for (const text of ['/dns4/a.example.org/tcp/1', `/ip4/1.2.3.4/tcp/1/p2p/${PEER}`]) {
      expect(() => parseListenAddress(text), text).toThrow(/transport/);
    }
  });

  it('throw nothing but BAD_REQUEST, whatever the text', () => {
    const nearly = fc.array(
      fc.constantFrom(
        '/',
        'onion3',
        'ip4',
        'tcp',
        '127.0.0.1',
        '1',
        'p2p',
        PEER,
        'dns4',
        '::',
        '-1',
        '%',
      ),
      { maxLength: 12 },
    );
    const texts = fc.oneof(
      fc.string(),
      nearly.map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          parseDialAddress(text);
        } catch (error) {
          expect(hasCode(error, 'BAD_REQUEST')).toBe(true);
        }
      }),
      { numRuns: 500 },
    );
    expect(() => parseDialAddress(`/dns4/${'a'.repeat(600)}/tcp/1`)).toThrow('not a multiaddr');
  });
});
