import { expect, test } from 'vitest';
import type { ApiEvent } from '../../src/tui/data.ts';
import { once } from '../../src/tui/once.ts';
import { isoBefore, NOW_MS, peer, snapshot } from './fixtures.ts';

const source = (...events: ApiEvent[]) => ({
  async *events(): AsyncIterable<ApiEvent> {
    yield* events;
  },
});

const options = {
  nowMs: NOW_MS,
  columns: 80,
  ascii: false,
  readonly: false,
  signal: new AbortController().signal,
};

test('one frame as plain text, without tabs, keys and blank rows at the end', async () => {
  const text = await once(source(snapshot()), options);
  expect(text).toMatchSnapshot();
  expect(text).not.toMatch(/\u001b| \n|\s$/);
});

test('ASCII if asked for, whatever the names', async () => {
  const event = snapshot({ peers: [peer({ name: 'Müller' })] });
  expect(await once(source(event), { ...options, ascii: true })).toMatch(/^[\n -~]*$/);
});

test('a stream that ends before its snapshot is an error', async () => {
  const beat: ApiEvent = { type: 'heartbeat', time: isoBefore(0) };
  await expect(once(source(beat), options)).rejects.toMatchObject({ code: 'STALLED' });
});
