import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ApiEvent, Change } from '../../../../src/core/api/contract/events.ts';
import { EventQueue } from '../../../../src/core/api/server/event-queue.ts';
import { harness } from '../harness.ts';
import { OTHER, peer } from '../memory-backend.ts';
import { head, wire } from '../wire.ts';

const logLine = (message: string): Change => ({
  type: 'log',
  line: { time: '2026-11-20T12:00:00.000Z', level: 'info', room: 'kb', message },
});

function drain(queue: EventQueue): ApiEvent[] {
  const events: ApiEvent[] = [];
  for (let event = queue.take(); event !== undefined; event = queue.take()) events.push(event);
  return events;
}

const LIMITS = { eventQueueMax: 100, eventLogLinesMax: 3 };

it('merges changes of one key, the last wins, the first place stays', () => {
  const queue = new EventQueue(LIMITS);
  queue.push({ type: 'peer', peer: peer({ rttMs: 1 }) });
  queue.push({ type: 'peer', peer: peer({ nodeId: 'aegis1other' }) });
  queue.push({ type: 'peer', peer: peer({ rttMs: 2 }) });
  expect(drain(queue)).toMatchObject([{ peer: { rttMs: 2 } }, { peer: { nodeId: 'aegis1other' } }]);
  queue.push({ type: 'peer', peer: peer() });
  queue.push({ type: 'peer-gone', nodeId: OTHER, address: null });
  expect(drain(queue)).toEqual([{ type: 'peer-gone', nodeId: OTHER, address: null }]);
});

it('drops the oldest log lines and says how many', () => {
  const queue = new EventQueue(LIMITS);
  for (const word of ['a', 'b', 'c', 'd', 'e']) queue.push(logLine(word));
  expect(drain(queue)).toMatchObject([
    { type: 'dropped', logLines: 2 },
    { line: { message: 'c' } },
    { line: { message: 'd' } },
    { line: { message: 'e' } },
  ]);
});

it('never grows beyond its limit, and ends the reader instead', () => {
  const queue = new EventQueue({ eventQueueMax: 3, eventLogLinesMax: 3 });
  for (const id of ['1', '2', '3']) queue.push({ type: 'peer', peer: peer({ nodeId: id }) });
  expect(queue.overflowed).toBe(false);
  queue.push({ type: 'peer', peer: peer({ nodeId: '4' }) });
  expect([queue.overflowed, queue.size]).toEqual([true, 0]);
  queue.push(logLine('late'));
  expect(queue.take()).toBeUndefined();
});

it('tells the last state of every key, however pushes and takes mix', () => {
  const step = fc.oneof(
    fc.record({ id: fc.constantFrom('a', 'b', 'c'), rttMs: fc.nat(1000) }),
    fc.constant('take' as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new EventQueue(LIMITS);
      const told = new Map<string | null, number | null>();
      const truth = new Map<string, number>();
      const hear = (event: ApiEvent | undefined): void => {
        if (event?.type === 'peer') told.set(event.peer.nodeId, event.peer.rttMs);
      };
      for (const each of steps) {
        if (each === 'take') hear(queue.take());
        else {
          truth.set(each.id, each.rttMs);
          queue.push({ type: 'peer', peer: peer({ nodeId: each.id, rttMs: each.rttMs }) });
        }
      }
      for (const event of drain(queue)) hear(event);
      expect(told).toEqual(truth);
    }),
  );
});

it('tells the snapshot first and no change too few', async () => {
  await using h = await harness();
  // This change falls between the subscription and the snapshot.
  h.backend.onSnapshot = async () => h.backend.tell({ type: 'peer', peer: peer({ rttMs: 7 }) });
  const events = h.reader.events();
  expect((await events.next()).value).toMatchObject({ type: 'snapshot', node: { name: 'alice' } });
  expect((await events.next()).value).toMatchObject({ type: 'peer', peer: { rttMs: 7 } });
  h.backend.tell(logLine('grün'));
  expect((await events.next()).value).toMatchObject({ type: 'log', line: { message: 'grün' } });
  await events.return();
  await expect.poll(() => h.backend.listeners.size).toBe(0);
});

it('sends heartbeats while nothing happens', async () => {
  await using h = await harness({ limits: { heartbeatMs: 20 } });
  const events = h.reader.events();
  await events.next();
  expect((await events.next()).value).toMatchObject({ type: 'heartbeat' });
  expect((await events.next()).value).toMatchObject({ type: 'heartbeat' });
  await events.return();
});

it('ends for the caller who stops listening', async () => {
  await using h = await harness();
  const listening = new AbortController();
  const events = h.reader.events({ signal: listening.signal });
  await events.next();
  listening.abort();
  expect((await events.next()).done).toBe(true);
  await expect.poll(() => h.backend.listeners.size).toBe(0);
});

it('cuts a reader that is too slow for what happens', async () => {
  await using h = await harness({ limits: { eventQueueMax: 50, eventStallMs: 200 } });
  const { socket, until, closed } = wire(h.paths.socket);
  socket.write(head('GET /v1/events', { authorization: `Bearer ${h.readToken}` }));
  await until(/"snapshot"/);
  socket.pause();
  const error = 'x'.repeat(100_000);
  for (let at = 0; h.backend.listeners.size > 0; at += 1) {
    h.backend.tell({ type: 'peer', peer: peer({ nodeId: `n${at}`, lastError: error }) });
    await new Promise(setImmediate);
  }
  socket.resume();
  await closed;
});
