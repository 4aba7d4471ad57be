import { createHmac } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { agreementKeyOf } from '../../../src/core/crypto/agree.ts';
import {
  clientEpochsAt,
  clientKeyEpochAt,
  clientKeyOf,
  clientKeysOf,
  nextEpochChange,
  serviceEpochsAt,
} from '../../../src/core/crypto/client-key.ts';
import { onionKeyOf } from '../../../src/core/crypto/onion.ts';
import { publicKeyOf } from '../../../src/core/crypto/sign.ts';
import { hasCode } from '../../../src/core/errors.ts';
import { seedOf } from '../../helpers/nodes.ts';
import { fromHex, toHex } from '../../helpers/vectors.ts';

const HOUR = 3600 * 1000;
const WEEK = 7 * 24 * HOUR;
const clusterId = 'aegisc1qebcfpgwi267ey6j64oeuc53rtyt7eqyfzwfkshtqa7ysgdpsfra';
const { Point } = ed25519;

/**
 * O13 without any code of the program: the agreement on the Edwards curve, then its u coordinate,
 * HKDF (RFC 5869) by two HMACs.
 */
function otherwise(a: Uint8Array, b: Uint8Array, cluster: string, epoch: number): string {
  const scalarOf = (seed: Uint8Array): bigint => ed25519.utils.getExtendedPublicKey(seed).scalar;
  const publicOf = (seed: Uint8Array): Uint8Array => ed25519.getPublicKey(seed);
  const point = Point.fromBytes(publicOf(b)).multiply(scalarOf(a));
  const { Fp } = Point;
  const u = Fp.toBytes(Fp.div(Fp.ONE + point.y, Fp.sub(Fp.ONE, point.y)));
  const epochHex = epoch.toString(16).padStart(16, '0');
  const label = Buffer.from('aegis/onion-client/1').toString('hex');
  const info = fromHex(`${label}${toHex(publicOf(a))}${toHex(publicOf(b))}${epochHex}`);
  const extracted = createHmac('sha256', Buffer.from(cluster)).update(u).digest();
  const last = Buffer.concat([info, Uint8Array.of(1)]);
  return createHmac('sha256', extracted).update(last).digest('hex');
}

/**
 * Bytes of the seeds of onion and network key, epoch, client key: by a program in another language,
 * with the ladder of RFC 7748.
 */
const VECTORS: readonly [number, number, number, string][] = [
  [1, 2, 0, '4400b5246380e5afd8821dcd0b90a606bdf91208a5e98c99edd7ea2cf6a7ef74'],
  [1, 2, 2967, 'c544e91c82b19cd444b9bc4644838dd388c5a5d7d956292739ac949a4903f234'],
  [2, 1, 2967, '1dc270578c4c5a89323e65acf9d52c37f79cf0426bdb2226dddd30b78de8d64e'],
  [7, 200, 2 ** 40, '165bd6e93ac9efca7e7bcf24fc28b354c06b7797e9776e32151d09ce5ea63273'],
];

describe('client keys', () => {
  test('do not change with the program, on either side, however they are computed', () => {
    for (const [onion, network, epoch, expected] of VECTORS) {
      const service = onionKeyOf(seedOf(onion));
      const client = publicKeyOf(seedOf(network));
      const names = { clusterId, service: service.publicKey, client, epoch };
      const there = clientKeyOf(names, { onion: service.expandedSecret });
      const here = clientKeyOf(names, { network: seedOf(network) });
      const other = otherwise(seedOf(onion), seedOf(network), clusterId, epoch);
      expect([toHex(there), toHex(here), other]).toEqual([expected, expected, expected]);
    }
  });

  const seed = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const epochs = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

  test('are the same on both sides, and secrets of X25519', () => {
    fc.assert(
      fc.property(seed, seed, epochs, fc.string(), (onion, network, epoch, cluster) => {
        const { publicKey: service, expandedSecret } = onionKeyOf(onion);
        const names = { clusterId: cluster, service, client: publicKeyOf(network), epoch };
        const key = clientKeyOf(names, { onion: expandedSecret });
        expect(clientKeyOf(names, { network })).toEqual(key);
        expect(agreementKeyOf(key)).toHaveLength(32);
      }),
      { numRuns: 30 },
    );
  });

  test('of other nodes, clusters and epochs are others', () => {
    const [a, b] = [onionKeyOf(seedOf(1)), onionKeyOf(seedOf(2))];
    const [x, y] = [seedOf(3), seedOf(4)].map(publicKeyOf) as [Uint8Array, Uint8Array];
    const one = { clusterId, service: a.publicKey, client: x, epoch: 5 };
    const keys = [
      clientKeyOf(one, { onion: a.expandedSecret }),
      clientKeyOf({ ...one, epoch: 6 }, { onion: a.expandedSecret }),
      clientKeyOf({ ...one, client: y }, { onion: a.expandedSecret }),
      clientKeyOf({ ...one, clusterId: 'another' }, { onion: a.expandedSecret }),
      clientKeyOf({ ...one, service: b.publicKey }, { onion: b.expandedSecret }),
      // Whoever has only their own secret, and claims to be another one.
      clientKeyOf(one, { network: seedOf(4) }),
      clientKeyOf(one, { onion: b.expandedSecret }),
    ];
    expect(new Set(keys.map(toHex)).size).toBe(keys.length);
  });

  test('of several epochs cost one agreement, and leave the secret as it was', () => {
    const { publicKey: service, expandedSecret } = onionKeyOf(seedOf(1));
    const before = toHex(expandedSecret);
    const names = { clusterId, service, client: publicKeyOf(seedOf(2)) };
    const keys = clientKeysOf(names, [8, 7], { onion: expandedSecret });
    const network = seedOf(2);
    expect(keys).toEqual([8, 7].map((epoch) => clientKeyOf({ ...names, epoch }, { network })));
    expect([toHex(expandedSecret), network]).toEqual([before, seedOf(2)]);
  });

  test('are the same for a public key with torsion, which no secret gets through', () => {
    const { publicKey: service, expandedSecret } = onionKeyOf(seedOf(1));
    // A point of order 8.
    const torsion = Point.fromBytes(
      fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'),
    );
    const client = Point.fromBytes(publicKeyOf(seedOf(2)))
      .add(torsion)
      .toBytes();
    expect(client).not.toEqual(publicKeyOf(seedOf(2)));
    const names = { clusterId, service, client, epoch: 1 };
    expect(clientKeyOf(names, { onion: expandedSecret })).toEqual(
      clientKeyOf(names, { network: seedOf(2) }),
    );
  });

  test.each([
    ['zero', '0000000000000000000000000000000000000000000000000000000000000000'],
    ['one, the neutral element', `01${'00'.repeat(31)}`],
    ['minus one', 'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'],
    ['of order 8', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'],
    ['of order 8, too', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'],
    ['not reduced', 'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'],
    ['on no curve', `02${'00'.repeat(31)}`],
  ])('are none for a key that is %s', (_, client) => {
    const { publicKey: service, expandedSecret } = onionKeyOf(seedOf(1));
    const names = { clusterId, service, client: fromHex(client), epoch: 1 };
    expect(() => clientKeyOf(names, { onion: expandedSecret })).toThrow(
      expect.toSatisfy((error) => hasCode(error, 'BAD_DATA')) as Error,
    );
    const other = { ...names, service: fromHex(client), client: publicKeyOf(seedOf(2)) };
    expect(() => clientKeyOf(other, { network: seedOf(2) })).toThrow(
      expect.toSatisfy((error) => hasCode(error, 'BAD_DATA')) as Error,
    );
  });
});

describe('key epochs (O14)', () => {
  /** Times around a change of epochs, and any others. */
  const time = fc.oneof(
    fc
      .tuple(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: -5 * HOUR, max: 5 * HOUR }))
      .map(([week, offset]) => week * WEEK + offset),
    fc.integer({ min: 0, max: 253_402_300_799_999 }),
  );
  const difference = fc.integer({ min: -2 * HOUR + 1, max: 2 * HOUR - 1 });

  test('a client begins with what the service takes, if clocks differ by less than 2 h', () => {
    fc.assert(
      fc.property(time, difference, (now, ahead) => {
        const [first, ...more] = clientEpochsAt(Math.max(0, now + ahead));
        expect(serviceEpochsAt(now)).toContain(first);
        expect(more.length).toBeLessThan(2);
        // Where both are near a change, whatever is taken there is tried here.
        const taken = serviceEpochsAt(now);
        if (more.length + taken.length > 2)
          expect(new Set([first, ...more])).toEqual(new Set(taken));
      }),
    );
  });

  test('a service takes one or two that follow each other, and looks again in time', () => {
    fc.assert(
      fc.property(time, (now) => {
        const taken = serviceEpochsAt(now);
        expect(taken).toContain(clientKeyEpochAt(now));
        expect(taken.length === 1 || taken[1] === taken[0]! + 1).toBe(true);
        const change = nextEpochChange(now);
        expect(change).toBeGreaterThan(now);
        expect(serviceEpochsAt(change - 1)).toEqual(taken);
        expect(change - now).toBeLessThanOrEqual(WEEK);
      }),
    );
  });

  test('they are weeks of the Unix epoch, and both hold for four hours', () => {
    const change = 2967 * WEEK;
    expect(new Date(change).toISOString()).toBe('2026-11-12T00:00:00.000Z');
    expect([clientKeyEpochAt(change - 1), clientKeyEpochAt(change)]).toEqual([2966, 2967]);
    const taken = [-2 * HOUR - 1, -2 * HOUR, 0, 2 * HOUR - 1, 2 * HOUR];
    expect(taken.map((offset) => serviceEpochsAt(change + offset))).toEqual([
      [2966],
      [2966, 2967],
      [2966, 2967],
      [2966, 2967],
      [2967],
    ]);
    expect(clientEpochsAt(change - 1)).toEqual([2966, 2967]);
    expect(clientEpochsAt(change)).toEqual([2967, 2966]);
    expect(nextEpochChange(change)).toBe(change + 2 * HOUR);
    expect(nextEpochChange(change + 2 * HOUR)).toBe(change + WEEK - 2 * HOUR);
  });
});
