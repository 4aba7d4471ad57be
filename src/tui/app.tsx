/**
 * The only file that knows Ink and React, with `use-keys.ts`: it draws the rows of the store and
 * hands it keys, sizes and ticks. Loaded by `await import()` in the command alone, so that no other
 * command pays for it.
 */
import { Box, render, Text, useApp, useStdout, useWindowSize } from 'ink';
import { memo, type ReactElement, useEffect, useSyncExternalStore } from 'react';
import { type EventSource, follow } from './feed.ts';
import { type Line, type Paint, paint } from './line.ts';
import { Store } from './store.ts';
import { useKeys } from './use-keys.ts';

interface RowProps {
  readonly row: Line;
  readonly how: Paint;
}

/** One string a row: a box for each cell costs ten times as much. */
const Row = memo(({ row, how }: RowProps) => <Text wrap="truncate">{paint(row, how) || ' '}</Text>);

export interface ScreenProps {
  readonly rows: readonly Line[];
  readonly how: Paint;
}

export const Screen = ({ rows, how }: ScreenProps): ReactElement => (
  <Box flexDirection="column">
    {rows.map((row, i) => (
      // A row of the screen is its place, so the index is its key.
      <Row key={i} row={row} how={how} />
    ))}
  </Box>
);

export interface AppProps {
  readonly store: Store;
  readonly how: Paint;
  readonly now: () => number;
}

export function App({ store, how, now }: AppProps): ReactElement {
  const rows = useSyncExternalStore(store.subscribe, store.frame);
  const size = useWindowSize();
  const { exit } = useApp();
  const { stdout } = useStdout();
  useEffect(() => store.dispatch({ type: 'resize', size }), [store, size]);
  useKeys((key) => {
    const before = store.state.copied;
    store.dispatch({ type: 'key', key, nowMs: now() });
    const { copied, quit } = store.state;
    if (copied !== undefined && copied !== before) stdout.write(osc52(copied.text));
    if (quit) exit();
  });
  return <Screen rows={rows} how={how} />;
}

/** Asks the terminal to put a text on the clipboard; one that cannot or may not ignores it. */
const osc52 = (text: string): string => `\u001b]52;c;${Buffer.from(text).toString('base64')}\u0007`;

export interface MonitorOptions {
  readonly open: () => Promise<EventSource>;
  readonly intervalMs: number;
  readonly ascii: boolean;
  readonly color: boolean;
  readonly readonly: boolean;
  readonly signal: AbortSignal;
}

/** Nothing is drawn more often than this, whatever happens. */
const FPS_MAX = 30;

const now = (): number => Date.now();

/** Shows the monitor until the person quits or the signal aborts. The screen is restored then. */
export async function monitor(options: MonitorOptions): Promise<void> {
  const { ascii, color, intervalMs } = options;
  const size = { columns: process.stdout.columns, rows: process.stdout.rows };
  const store = new Store({ size, nowMs: now(), ascii, readonly: options.readonly });
  const stop = new AbortController();
  const app = render(<App store={store} how={{ ascii, color }} now={now} />, {
    alternateScreen: true,
    incrementalRendering: true,
    maxFps: FPS_MAX,
    // Keys and quitting go through the reducer, and CI is no reason not to draw on a terminal.
    exitOnCtrlC: false,
    interactive: true,
  });
  const tick = (): void => store.dispatch({ type: 'tick', nowMs: now() });
  const feed = follow({
    open: options.open,
    signal: stop.signal,
    connected: () => store.dispatch({ type: 'connected', nowMs: now() }),
    event(event) {
      const first = store.state.data.node === undefined;
      store.collect(event, now());
      if (first && event.type === 'snapshot') tick();
    },
    lost: (reason, attempts, delayMs) =>
      store.dispatch({ type: 'lost', reason, attempts, nextAtMs: now() + delayMs }),
  });
  const timer = setInterval(tick, intervalMs);
  const onAbort = (): void => app.unmount();
  options.signal.addEventListener('abort', onAbort);
  if (options.signal.aborted) onAbort();
  try {
    await app.waitUntilExit();
  } finally {
    clearInterval(timer);
    options.signal.removeEventListener('abort', onAbort);
    stop.abort();
    await feed;
  }
}
