import { render } from 'ink-testing-library';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { App } from '../../src/tui/app.tsx';
import { Store } from '../../src/tui/store.ts';
import { block, consensus, idOf, NOW_MS, nodeStatus, snapshot } from './fixtures.ts';

const opened: { unmount: () => void }[] = [];
afterEach(() => {
  for (const app of opened.splice(0)) app.unmount();
});

async function open() {
  const size = { columns: 100, rows: 30 };
  const store = new Store({ size, nowMs: NOW_MS, ascii: false, readonly: false });
  const app = render(<App store={store} how={{ color: true, ascii: false }} now={() => NOW_MS} />);
  opened.push(app);
  store.dispatch({ type: 'connected', nowMs: NOW_MS });
  store.collect(snapshot(), NOW_MS);
  store.dispatch({ type: 'tick', nowMs: NOW_MS });
  const shows = (text: string): Promise<void> =>
    vi.waitFor(() => expect(app.lastFrame()).toContain(text), { timeout: 5000 });
  await shows('alice');
  return { ...app, store, shows };
}

describe('the app', () => {
  test('turns pages, filters and opens a row by keys', async () => {
    const { stdin, shows, store } = await open();
    stdin.write('2');
    await shows('carol');
    stdin.write('/');
    await vi.waitFor(() => expect(store.state.mode).toBe('filter'));
    // A script or a fast hand: everything in one piece, Enter included.
    stdin.write('dave\r');
    await shows('filter "dave"');
    stdin.write('\r');
    await shows('connection refused at /ip4/127.0.0.1/tcp/4004');
    stdin.write('\u001b');
    await vi.waitFor(() => expect(store.state.detail).toBe(false));
  });

  test('shows who has voted, and the next block when it is final', async () => {
    const { stdin, store, shows } = await open();
    stdin.write('4');
    await shows('away');
    store.collect({ type: 'consensus', consensus: consensus({ timeouts: [idOf('a')] }) }, NOW_MS);
    store.collect({ type: 'block', block: block({ height: 43, absent: [idOf('b')] }) }, NOW_MS);
    store.dispatch({ type: 'tick', nowMs: NOW_MS });
    await shows('timed out');
    stdin.write('g\r');
    await shows('3/4 custodians');
  });

  test('moves by arrows', async () => {
    const { stdin, store } = await open();
    stdin.write('2');
    await vi.waitFor(() => expect(store.state.page).toBe('peers'));
    stdin.write('\u001b[B');
    await vi.waitFor(() => expect(store.state.lists.peers?.selected).toBe(idOf('c')));
  });

  test('shows help and closes it', async () => {
    const { stdin, shows, store } = await open();
    stdin.write('?');
    await shows('KEYS  (overview)');
    stdin.write('x');
    await vi.waitFor(() => expect(store.state.mode).toBe('browse'));
  });

  test('shows new data after a tick', async () => {
    const { store, shows } = await open();
    store.collect({ type: 'node', node: nodeStatus({ name: 'alice-again' }) }, NOW_MS);
    store.dispatch({ type: 'tick', nowMs: NOW_MS });
    await shows('alice-again');
  });

  test('copies the id by OSC 52', async () => {
    const { stdin, stdout, store } = await open();
    stdin.write('2');
    await vi.waitFor(() => expect(store.state.page).toBe('peers'));
    stdin.write('y');
    const sequence = `\u001b]52;c;${Buffer.from(idOf('b')).toString('base64')}\u0007`;
    await vi.waitFor(() => expect(stdout.frames).toContain(sequence));
  });

  test.each(['q', '\u0003'])('quits by %j', async (key) => {
    const { stdin, store } = await open();
    stdin.write(key);
    await vi.waitFor(() => expect(store.state.quit).toBe(true));
  });
});
