import { once } from 'node:events';
import { connect } from 'node:net';
import { tcp } from '@libp2p/tcp';
import { multiaddr } from '@multiformats/multiaddr';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { networkOf } from '../../../src/core/network/addresses.ts';
import { Door, guardListeners } from '../../../src/core/network/door.ts';
import { type HostLimits, limitsOf } from '../../../src/core/network/limits.ts';
import { NO_SECURITY, Refusals } from '../../../src/core/network/refusals.ts';
import { silentLogger } from '../../../src/core/silent-logger.ts';
import { instant } from '../../../src/core/units.ts';
import { type LogLine, memoryLog, noMetrics } from './cluster.ts';

function setUp(limits: Partial<HostLimits> = {}) {
  const lines: LogLine[] = [];
  const time = { now: 1_000_000 };
  const clock = { now: () => instant(time.now), wakeAt: () => () => undefined };
  const deps = { log: memoryLog(lines), metrics: noMetrics, clock, security: NO_SECURITY };
  const refusals = new Refusals(deps);
  const door = new Door({ limits: limitsOf('network', limits) }, { clock, refusals });
  return { door, time, lines };
}

describe('the door', () => {
  test('lets no more in than the burst and the rate, from one address or from thousands', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), (addresses) => {
        const { door, time } = setUp();
        const admitted = new Map<string, number>();
        let all = 0;
        for (let i = 0; i < 5000; i += 1) {
          time.now += 1;
          const address = `10.0.${(i % addresses) >> 8}.${(i % addresses) & 255}`;
          if (!door.admits(address)) continue;
          all += 1;
          admitted.set(address, (admitted.get(address) ?? 0) + 1);
        }
        expect(all).toBeLessThanOrEqual(40 * 4 + 40 * 5);
        expect(Math.max(...admitted.values())).toBeLessThanOrEqual(10 * 4 + 10 * 5);
      }),
      { numRuns: 30 },
    );
  });

  test('keeps a part of the rate for addresses from which members came', () => {
    const { door, time } = setUp();
    door.welcome('192.0.2.1');
    let member = 0;
    let stranger = 0;
    for (let i = 0; i < 10_000; i += 1) {
      time.now += 1;
      door.admits(`10.0.${i >> 8}.${i & 255}`);
      // A member that was lost dials again now and then, and so does a stranger.
      if (i > 2000 && i % 1000 === 0) {
        member += Number(door.admits('192.0.2.1'));
        stranger += Number(door.admits('192.0.2.2'));
      }
    }
    expect(member).toBe(7);
    expect(stranger).toBeLessThan(member);
  });

  test('counts what comes by the onion service apart, and members by their tickets (O20)', () => {
    const { door, time, lines } = setUp({ onionInboundPerSecond: 2, inboundPerSecond: 1 });
    const count = (times: number, admits: () => boolean): number =>
      Array.from({ length: times }, admits).filter(Boolean).length;
    // All are glanced at, up to a bound; few strangers go on.
    expect(count(1000, () => door.admits('onion'))).toBe(2 * 32 * 4);
    expect(count(100, () => door.admitsOnion(undefined))).toBe(8);
    expect(count(100, () => door.admitsOnion('aegis1a'))).toBe(12);
    expect(count(100, () => door.admitsOnion('aegis1b'))).toBe(12);
    // Nothing of it has been taken from direct ones, and what they do takes nothing from it.
    expect(count(100, () => door.admits('192.0.2.1'))).toBe(4);
    time.now += 3000;
    expect(count(100, () => door.admitsOnion('aegis1a'))).toBe(3);
    expect(count(100, () => door.admitsOnion(undefined))).toBe(6);
    const knobs = lines.map(({ fields }) => [fields['peer'], fields['knob']]);
    expect(knobs).toContainEqual(['onion', 'limits.onionInboundPerSecond']);
    expect(knobs).toContainEqual(['aegis1a', 'limits.onionInboundPerSecond']);
    // A welcome to the class would be one to everybody in it.
    door.welcome('onion');
    expect(count(100, () => door.admitsOnion(undefined))).toBe(0);
  });

  test('names the setting, and no address', () => {
    const { door, lines } = setUp({ inboundPerSecondPerAddress: 1, inboundPerSecond: 2 });
    for (let i = 0; i < 5; i += 1) door.admits('192.0.2.7');
    for (let i = 0; i < 20; i += 1) door.admits(`192.0.2.${100 + i}`);
    const knobs = new Set(lines.map(({ fields }) => fields['knob']));
    expect(knobs).toContain('limits.inboundPerSecondPerAddress');
    expect(knobs).toContain('limits.inboundPerSecond');
    expect(JSON.stringify(lines)).not.toMatch(/192\.0\.2/);
  });
});

describe('addresses', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::9', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '::1'],
  ])('%s is counted with %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});

describe('a listener of libp2p behind the door', () => {
  test('sees what is let in, and a refused socket is reset at once', async () => {
    const upgraded: string[] = [];
    let refusing = false;
    const transport = guardListeners(tcp()({ logger: silentLogger() }), {
      admits: () => !refusing,
    });
    const listener = transport.createListener({
      upgrader: {
        upgradeInbound: async (connection: { remoteAddr: { toString(): string } }) => {
          upgraded.push(connection.remoteAddr.toString());
        },
      } as never,
    });
    await listener.listen(multiaddr('/ip4/127.0.0.1/tcp/0'));
    const port = Number(listener.getAddrs()[0]!.toString().split('/')[4]);
    const first = connect(port, '127.0.0.1');
    await once(first, 'connect');
    refusing = true;
    const second = connect(port, '127.0.0.1');
    const [error] = (await once(second, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNRESET');
    expect(upgraded).toHaveLength(1);
    expect(first.destroyed).toBe(false);
    first.destroy();
    await listener.close();
  });
});
