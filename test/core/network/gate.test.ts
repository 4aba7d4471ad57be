import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it } from 'vitest';
import { Gate } from '../../../src/core/network/gate.ts';
import { limitsOf } from '../../../src/core/network/limits.ts';
import { Refusals } from '../../../src/core/network/refusals.ts';
import { instant } from '../../../src/core/units.ts';
import { type LogLine, memoryLog, noMetrics } from './cluster.ts';

function setUp(open = 0): { gate: Gate; lines: LogLine[]; time: { now: number } } {
  const lines: LogLine[] = [];
  const time = { now: 0 };
  const clock = { now: () => instant(time.now), wakeAt: () => () => undefined };
  const refusals = new Refusals({ log: memoryLog(lines), metrics: noMetrics, clock });
  const gate = new Gate(
    { limits: limitsOf('network', { maxConnections: 5, maxConnectionsPerPeer: 3 }) },
    {
      refusals,
      clock,
      connections: (peerId) => (peerId === 'crowded' ? 3 : open),
      wantsDial: (address) => address.toString().endsWith('/tcp/1'),
    },
  );
  return { gate, lines, time };
}

describe('Gate', () => {
  it('lets libp2p dial nothing that the owner of the host has not asked for', async () => {
    const deny = setUp().gate.gater().denyDialMultiaddr!;
    expect(await deny(multiaddr('/ip4/127.0.0.1/tcp/1'))).toBe(false);
    expect(await deny(multiaddr('/ip4/127.0.0.1/tcp/2'))).toBe(true);
  });

  it('has a place for a member, or names the knob, or is stopping', () => {
    const { gate, lines } = setUp();
    expect(gate.place('aegis1a', 'peer')).toBeUndefined();
    expect(gate.place('aegis1b', 'crowded')).toBe('BUSY');
    expect(setUp(5).gate.place('aegis1a', 'peer')).toBe('BUSY');
    expect(lines[0]!.fields).toEqual({
      peer: 'aegis1b',
      knob: 'maxConnectionsPerPeer',
      repeated: 0,
    });
    gate.stop();
    expect(gate.place('aegis1a', 'peer')).toBe('STOPPING');
  });

  it('writes one line for many refusals, and says later how many there were', () => {
    const { gate, lines, time } = setUp();
    for (let i = 0; i < 50; i += 1) gate.place('aegis1b', 'crowded');
    expect(lines).toHaveLength(1);
    time.now = 10_000;
    gate.place('aegis1b', 'crowded');
    expect(lines.map((line) => line.fields['repeated'])).toEqual([0, 49]);
  });
});
