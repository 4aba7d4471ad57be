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

  it('has places of their own for what goes through Tor, and for lanes (O4, O11)', () => {
    const onion = { class: 'onion', purpose: 'talk' } as const;
    const lane = { class: 'onion', purpose: 'lane' } as const;
    const limits = { maxConnections: 1, maxOnionConnections: 8, maxOnionConnectionsPerPeer: 4 };
    const { gate } = setUp(4, limits);
    expect(gate.place('aegis1a', 'peer', TALK)).toBe('BUSY');
    expect(gate.place('aegis1a', 'peer', onion)).toBeUndefined();
    expect(gate.place('aegis1b', 'crowded', onion)).toBeUndefined();
    expect(gate.place('aegis1quiet', 'crowded', lane)).toBeUndefined();
    // It has three, no connection that talks, or it is no lane at all.
    expect(gate.place('aegis1busy', 'peer', lane)).toBe('BUSY');
    expect(gate.place('aegis1alone', 'peer', lane)).toBe('BUSY');
    expect(gate.place('aegis1quiet', 'peer', { class: 'direct', purpose: 'lane' })).toBe('BUSY');
    // A quarter is left to peers that have no connection yet.
    const fuller = setUp(6, limits).gate;
    expect(fuller.place('aegis1quiet', 'peer', lane)).toBe('BUSY');
    expect(fuller.place('aegis1a', 'peer', onion)).toBeUndefined();
    expect(setUp(8, limits).gate.place('aegis1a', 'peer', onion)).toBe('BUSY');
    expect(setUp(0, { maxOnionConnectionsPerPeer: 3 }).gate.place('b', 'crowded', onion)).toBe(
      'BUSY',
    );
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

/** One that comes in through the onion service, with a ticket or without. */
function comesByOnion(bench: Bench, number: number, holder?: string): Inbound | undefined {
  const inbound = new Inbound('192.0.2.1');
  Object.assign(inbound, { remoteAddr: multiaddr(`/memory/onion-${number}`), status: 'open' });
  bench.passages.note(inbound as unknown as MultiaddrConnection, {
    ...{ class: 'onion', purpose: 'talk' },
    ...(holder === undefined ? {} : { holder }),
  });
  return inbound.comes(bench) ? inbound : undefined;
}

describe('connections through the onion service before hello (O20)', () => {
  it('take no place of direct ones, and strangers none of those who hold tickets', () => {
    const bench = setUp(0, { maxPendingInbound: 1, maxPendingOnionInbound: 8 });
    const strangers = Array.from({ length: 12 }, (_, i) => comesByOnion(bench, i));
    expect(strangers.filter((one) => one !== undefined)).toHaveLength(8);
    expect(comes(bench, '192.0.2.2')).toBeDefined();
    expect(comes(bench, '192.0.2.3')).toBeUndefined();
    expect(comesByOnion(bench, 20, 'aegis1a')).toBeDefined();
    expect(comesByOnion(bench, 21, 'aegis1b')).toBeDefined();
    expect(comesByOnion(bench, 22, 'aegis1a')).toBeUndefined();
    expect(bench.lines.map(({ fields }) => fields['peer'])).toEqual(
      expect.arrayContaining(['onion', 'aegis1a']) as unknown,
    );
    // Through Tor an honest hello takes longer before it has to give way.
    bench.time.now = 5000;
    expect(comesByOnion(bench, 23)).toBeUndefined();
    bench.time.now = 10_000;
    expect(comesByOnion(bench, 24)).toBeDefined();
    expect(strangers[0]!.isAborted).toBe(true);
  });
});

it('one that holds a ticket takes the places of its own connections, not of other members', () => {
  const bench = setUp(0, { maxPendingOnionInbound: 32, maxOnionConnectionsPerPeer: 2 });
  const greedy = Array.from({ length: 20 }, (_, i) => comesByOnion(bench, i, 'aegis1m'));
  expect(greedy.every((one) => one !== undefined)).toBe(true);
  expect(greedy.map((one) => one?.isAborted)).toEqual(greedy.map((_, i) => i < 18));
  const others = ['aegis1a', 'aegis1b', 'aegis1c'].map((id, i) => comesByOnion(bench, 30 + i, id));
  expect(others.map((one) => one?.isAborted)).toEqual([false, false, false]);
  expect(bench.gate.pending).toBe(5);
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
