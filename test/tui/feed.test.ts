import { describe, expect, test } from 'vitest';
import { AegisError } from '../../src/core/errors.ts';
import type { ApiEvent } from '../../src/tui/data.ts';
import { type EventSource, follow } from '../../src/tui/feed.ts';
import { isoBefore, snapshot } from './fixtures.ts';

type Attempt = (signal: AbortSignal) => AsyncIterable<ApiEvent>;

/** Follows a script of attempts, and ends when it is used up. */
async function play(attempts: Attempt[], options: { silenceMs?: number } = {}): Promise<string[]> {
  const told: string[] = [];
  const stop = new AbortController();
  const script = [...attempts];
  await follow({
    ...options,
    backoff: { firstMs: 1, maxMs: 4 },
    signal: stop.signal,
    open(): Promise<EventSource> {
      const next = script.shift();
      if (next === undefined) stop.abort();
      const events: EventSource['events'] = ({ signal }) => (next ?? silence)(signal);
      return Promise.resolve({ events });
    },
    connected: () => told.push('connected'),
    event: (event) => told.push(event.type),
    lost: (reason, count, delayMs) => told.push(`${reason} (${count}, ${delayMs} ms)`),
  });
  return told;
}

const says = (...events: ApiEvent[]): Attempt =>
  async function* stream() {
    yield* events;
  };

const refuses: Attempt = async function* refused() {
  yield* [];
  throw new AegisError('DAEMON_UNREACHABLE', 'no daemon answers');
};

/** Like the client: waits, and throws when the signal aborts. */
const silence: Attempt = async function* quiet(signal) {
  yield* [];
  await new Promise<void>((_, reject) => {
    const abort = (): void => reject(new AegisError('INTERRUPTED', 'interrupted'));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
  });
};

describe('following the daemon', () => {
  test('opens the stream again when it ends, and says so', async () => {
    const end: ApiEvent = { type: 'end', reason: 'stopping' };
    expect(await play([says(snapshot(), end), says(snapshot())])).toEqual([
      'connected',
      'snapshot',
      'end',
      'the daemon stops (1, 1 ms)',
      'connected',
      'snapshot',
      'the daemon closed the stream (1, 1 ms)',
    ]);
  });

  test('waits longer from attempt to attempt, up to a limit, until it is heard', async () => {
    const told = await play([refuses, refuses, refuses, refuses, says(snapshot()), refuses]);
    expect(told).toEqual([
      'no daemon answers (1, 1 ms)',
      'no daemon answers (2, 2 ms)',
      'no daemon answers (3, 4 ms)',
      'no daemon answers (4, 4 ms)',
      'connected',
      'snapshot',
      'the daemon closed the stream (1, 1 ms)',
      'no daemon answers (2, 2 ms)',
    ]);
  });

  test('cuts a stream that is silent for too long', async () => {
    expect(await play([silence], { silenceMs: 5 })).toEqual([
      'it was silent for too long (1, 1 ms)',
    ]);
  });

  test('a failure to open is like a failure of the stream', async () => {
    const stop = new AbortController();
    const reasons: string[] = [];
    await follow({
      backoff: { firstMs: 1, maxMs: 1 },
      signal: stop.signal,
      open: () => Promise.reject(new AegisError('DAEMON_UNREACHABLE', 'no daemon runs')),
      connected: () => undefined,
      event: () => undefined,
      lost(reason, attempts) {
        reasons.push(reason);
        if (attempts === 2) stop.abort();
      },
    });
    expect(reasons).toEqual(['no daemon runs', 'no daemon runs']);
  });

  test('ends at once when the monitor is closed, also while it waits', async () => {
    const stop = new AbortController();
    const done = follow({
      signal: stop.signal,
      backoff: { firstMs: 1e8, maxMs: 1e8 },
      open: () => Promise.reject(new AegisError('DAEMON_UNREACHABLE', 'no daemon runs')),
      connected: () => undefined,
      event: () => undefined,
      lost: () => stop.abort(),
    });
    await expect(done).resolves.toBeUndefined();
  });

  test('a heartbeat counts as a word', async () => {
    const beat: ApiEvent = { type: 'heartbeat', time: isoBefore(0) };
    expect(await play([says(beat)])).toContain('heartbeat');
  });
});
