import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ENTRIES_MAX,
  LOG_LINES_MAX,
  NO_DATA,
  PEERS_MAX,
  reduceEvents,
} from '../../src/tui/data.ts';
import { anyChange, anyEvent, anySnapshot } from './arbitrary.ts';
import { entry, idOf, logLine, peer, snapshot } from './fixtures.ts';

describe('the state that events make', () => {
  test('no order of events throws, and none changes an older state', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 30 }), (events) => {
        let data = NO_DATA;
        for (const event of events) {
          const copy = structuredClone(data);
          const next = reduceEvents(data, [event]);
          expect(data).toEqual(copy);
          data = next;
        }
        expect(reduceEvents(NO_DATA, events)).toEqual(data);
      }),
    );
  });

  test('a change that comes twice is the same as once', () => {
    fc.assert(
      fc.property(anySnapshot, fc.array(anyChange, { maxLength: 20 }), (first, changes) => {
        const doubled = changes.flatMap((change) => [change, change]);
        expect(reduceEvents(NO_DATA, [first, ...doubled])).toEqual(
          reduceEvents(NO_DATA, [first, ...changes]),
        );
      }),
    );
  });

  test('a snapshot replaces all that was known before', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 10 }), anySnapshot, (before, last) => {
        expect(reduceEvents(NO_DATA, [...before, last])).toEqual(reduceEvents(NO_DATA, [last]));
      }),
    );
  });

  test('nothing new gives the same object, so that nothing is drawn', () => {
    const data = reduceEvents(NO_DATA, [snapshot()]);
    expect(reduceEvents(data, [{ type: 'heartbeat', time: 'now' }])).toBe(data);
  });

  test('an address that has answered does not stay a second time without its node id', () => {
    const address = '/ip4/10.0.0.7/tcp/4001';
    const unknown = peer({ nodeId: null, name: null, address, state: 'dialing' });
    const known = peer({ nodeId: idOf('e'), address });
    const data = reduceEvents(NO_DATA, [
      { type: 'peer', peer: unknown },
      { type: 'peer', peer: known },
    ]);
    expect([...data.peers.values()]).toEqual([known]);
    const gone = { type: 'peer-gone', nodeId: idOf('e'), address } as const;
    expect(reduceEvents(data, [gone]).peers.size).toBe(0);
  });

  test('who watches sees other custodians when there are others', () => {
    const dave = { nodeId: idOf('d'), name: 'dave' };
    const data = reduceEvents(NO_DATA, [snapshot()]);
    expect(data.custodians).not.toEqual([dave]);
    expect(reduceEvents(data, [{ type: 'custodians', custodians: [dave] }]).custodians).toEqual([
      dave,
    ]);
  });

  test('a kind of event that a later aegis sends changes nothing', () => {
    const later = JSON.parse('{"type":"weather","height":7}');
    expect(reduceEvents(NO_DATA, [later])).toBe(NO_DATA);
  });
});

describe('limits', () => {
  test('the path that has not changed for longest makes room', () => {
    const many = Array.from({ length: ENTRIES_MAX + 1 }, (_, i) => entry({ path: `p${i}` }));
    const changes = many.map((one) => ({ type: 'kb', entry: one }) as const);
    const refreshed = { type: 'kb', entry: entry({ path: 'p0', sizeBytes: 5 }) } as const;
    const data = reduceEvents(NO_DATA, [...changes.slice(0, -1), refreshed, ...changes.slice(-1)]);
    expect(data.entries.size).toBe(ENTRIES_MAX);
    expect(data.entries.get('p0')?.sizeBytes).toBe(5);
    expect(data.entries.has('p1')).toBe(false);
    const first = reduceEvents(NO_DATA, [snapshot({ kb: many })]);
    expect(first.entries.size).toBe(ENTRIES_MAX);
    expect(first.entries.has('p0')).toBe(true);
  });

  test('peers and log lines are bounded too', () => {
    const peers = Array.from({ length: PEERS_MAX + 5 }, (_, i) => peer({ nodeId: `aegis1${i}` }));
    const log = Array.from({ length: LOG_LINES_MAX + 5 }, () => logLine());
    const full = reduceEvents(NO_DATA, [snapshot({ peers, log })]);
    const data = reduceEvents(full, [
      { type: 'peer', peer: peer({ nodeId: 'aegis1new' }) },
      { type: 'log', line: logLine({ message: 'newest' }) },
    ]);
    expect(data.peers.size).toBe(PEERS_MAX);
    expect(data.log.length).toBe(LOG_LINES_MAX);
    expect(data.log.at(-1)?.message).toBe('newest');
  });
});
