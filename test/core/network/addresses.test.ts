import { multiaddr } from '@multiformats/multiaddr';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasCode } from '../../../src/core/errors.ts';
import {
  hostOf,
  isLoopback,
  parseDialAddress,
  parseListenAddress,
  peerIn,
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
      fc.constantFrom('/', 'ip4', 'tcp', '127.0.0.1', '1', 'p2p', PEER, 'dns4', '::', '-1', '%'),
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
