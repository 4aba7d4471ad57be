import type { MultiaddrConnection } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it } from 'vitest';
import { Gate } from '../../../src/core/network/gate.ts';
import { type HostLimits, limitsOf } from '../../../src/core/network/limits.ts';
import { type Passage, Passages } from '../../../src/core/network/passages.ts';
import { NO_SECURITY, Refusals } from '../../../src/core/network/refusals.ts';
import { instant } from '../../../src/core/units.ts';
import { type LogLine, memoryLog, noMetrics } from './cluster.ts';

const TALK: Passage = { class: 'direct', purpose: 'talk' };

interface Bench {
  readonly gate: Gate;
  readonly lines: LogLine[];
  readonly time: { now: number };
  readonly cut: Set<string>;
  readonly passages: Passages;
}

function setUp(open = 0, changes: Partial<HostLimits> = {}): Bench {
  const lines: LogLine[] = [];
  const time = { now: 0 };
  const cut = new Set<string>();
  const clock = { now: () => instant(time.now), wakeAt: () => () => undefined };
  const deps = { log: memoryLog(lines), metrics: noMetrics, clock, security: NO_SECURITY };
  const limits = limitsOf('network', { maxConnections: 5, maxConnectionsPerPeer: 3, ...changes });
  const passages = new Passages();
  const lanes: Record<string, number> = { aegis1quiet: 0, aegis1busy: 3 };
  const gate = new Gate(
    { limits },
    {
      refusals: new Refusals(deps),
      clock,
      conduct: { isCut: (nodeId) => cut.has(nodeId) },
      passages,
      connections: () => open,
      talks: (peerId) => (peerId === 'crowded' ? 3 : 0),
      lanes: (nodeId) => lanes[nodeId],
      wantsDial: (address) => address.toString().endsWith('/tcp/1'),
    },
  );
  return { gate, lines, time, cut, passages };
}

/** A connection that has been accepted, as much of it as the gate looks at. */
class Inbound extends EventTarget {
  readonly remoteAddr: ReturnType<typeof multiaddr>;
  isAborted = false;

  constructor(address: string) {
    super();
    this.remoteAddr = multiaddr(`/ip4/${address}/tcp/4001`);
  }

  abort(): void {
    this.isAborted = true;
    this.dispatchEvent(new Event('close'));
  }

  comes({ gate }: Bench): boolean {
    return gate.gater().denyInboundConnection!(this as unknown as MultiaddrConnection) === false;
  }
}

const comes = (bench: Bench, address: string): Inbound | undefined => {
  const inbound = new Inbound(address);
  return inbound.comes(bench) ? inbound : undefined;
};

describe('Gate', () => {
  it('lets libp2p dial nothing that the owner of the host has not asked for', async () => {
    const deny = setUp().gate.gater().denyDialMultiaddr!;
    expect(await deny(multiaddr('/ip4/127.0.0.1/tcp/1'))).toBe(false);
    expect(await deny(multiaddr('/ip4/127.0.0.1/tcp/2'))).toBe(true);
  });

  it('has a place for a member, or names the knob, or is stopping', () => {
    const { gate, lines } = setUp();
    expect(gate.place('aegis1a', 'peer', TALK)).toBeUndefined();
    expect(gate.place('aegis1b', 'crowded', TALK)).toBe('BUSY');
    expect(setUp(5).gate.place('aegis1a', 'peer', TALK)).toBe('BUSY');
    expect(lines[0]!.fields).toEqual({
      peer: 'aegis1b',
      knob: 'limits.connectionsPerPeer',
      change: 'aegis config set limits.connectionsPerPeer NUMBER',
      repeated: 0,
    });
    gate.stop();
    expect(gate.place('aegis1a', 'peer', TALK)).toBe('STOPPING');
  });

  it('writes one line for many refusals, and says later how many there were', () => {
    const { gate, lines, time } = setUp();
    for (let i = 0; i < 40; i += 1) gate.place('aegis1b', 'crowded', TALK);
    expect(lines).toHaveLength(1);
    time.now = 10_000;
    gate.place('aegis1b', 'crowded', TALK);
    expect(lines.map((line) => line.fields['repeated'])).toEqual([0, 39]);
  });

  it('has no place for a member that was cut for a flood', () => {
    const { gate, cut } = setUp();
    cut.add('aegis1c');
    expect(gate.place('aegis1c', 'peer', TALK)).toBe('BUSY');
    expect(gate.isApart('aegis1c')).toBe(true);
    expect(gate.isIsolated('aegis1c')).toBe(false);
  });
});

describe('connections before hello', () => {
  it('are refused when all places are taken by others that have just come', () => {
    const bench = setUp(0, { maxPendingInbound: 2 });
    expect(comes(bench, '192.0.2.1')).toBeDefined();
    expect(comes(bench, '192.0.2.2')).toBeDefined();
    expect(comes(bench, '192.0.2.3')).toBeUndefined();
    expect(bench.lines[0]!.fields['knob']).toBe('limits.pendingInbound');
    expect(bench.gate.pending).toBe(2);
  });

  it('give way, the oldest first, once they have had time for a hello', () => {
    const bench = setUp(0, { maxPendingInbound: 2 });
    const first = comes(bench, '192.0.2.1')!;
    bench.time.now = 600;
    const second = comes(bench, '192.0.2.2')!;
    bench.time.now = 1200;
    expect(comes(bench, '192.0.2.3')).toBeDefined();
    expect([first.isAborted, second.isAborted]).toEqual([true, false]);
    expect(comes(bench, '192.0.2.4')).toBeUndefined();
    bench.time.now = 1700;
    expect(comes(bench, '192.0.2.4')).toBeDefined();
    expect(second.isAborted).toBe(true);
    expect(bench.gate.pending).toBe(2);
  });

  it('are counted by address, and only one of the same address gives way', () => {
    const bench = setUp(0, { maxPendingInboundPerAddress: 1 });
    const other = comes(bench, '192.0.2.9')!;
    const first = comes(bench, '192.0.2.1')!;
    expect(comes(bench, '192.0.2.1')).toBeUndefined();
    expect(bench.lines[0]!.fields['knob']).toBe('limits.pendingInboundPerAddress');
    bench.time.now = 2000;
    expect(comes(bench, '192.0.2.1')).toBeDefined();
    expect([other.isAborted, first.isAborted]).toEqual([false, true]);
  });

  it('that are over before the deadline give their place back, and those at it are named', () => {
    const bench = setUp();
    comes(bench, '192.0.2.1')!.abort();
    expect([bench.gate.pending, bench.lines.length]).toEqual([0, 0]);
    const slow = comes(bench, '192.0.2.1')!;
    bench.time.now = 5000;
    slow.abort();
    expect(bench.gate.pending).toBe(0);
    expect(bench.lines[0]!.fields['knob']).toBe('limits.helloTimeoutMs');
    expect(JSON.stringify(bench.lines)).not.toContain('192.0.2.1');
  });
});
