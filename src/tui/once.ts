/** One plain frame for pipes, logs and terminals that cannot move the cursor. Needs no Ink. */
import { AegisError } from '../core/errors.ts';
import type { EventSource } from './feed.ts';
import { frame } from './frame.ts';
import { paint, plain } from './line.ts';
import { reduce } from './state.ts';
import { initialState, type Size, type StateOptions } from './view.ts';

/** Tall enough for all of the overview with a full list of peers. */
const ROWS = 40;

/**
 * The first snapshot as text, without blank rows at the end.
 * @throws {AegisError} what the client throws; `STALLED` if no snapshot comes.
 */
export async function once(
  source: EventSource,
  options: Omit<StateOptions, 'size'> & { readonly columns: number; readonly signal: AbortSignal },
): Promise<string> {
  const { nowMs, columns } = options;
  const size: Size = { columns, rows: ROWS };
  for await (const event of source.events({ signal: options.signal })) {
    if (event.type !== 'snapshot') continue;
    let state = initialState({ ...options, size });
    state = reduce(state, { type: 'connected', nowMs });
    state = reduce(state, { type: 'events', events: [event], nowMs });
    state = reduce(state, { type: 'tick', nowMs });
    // Tabs and keys are of no use on paper.
    const rows = frame(state).filter((_, i) => i !== 1 && i !== ROWS - 1);
    const asText = (row: (typeof rows)[number]): string =>
      options.ascii
        ? paint(
            row.map(({ text }) => ({ text, tone: 'plain' })),
            PLAIN,
          )
        : plain(row);
    return rows
      .map((row) => asText(row).trimEnd())
      .join('\n')
      .trimEnd();
  }
  throw new AegisError('STALLED', 'the daemon ended the event stream before its snapshot');
}

const PLAIN = { color: false, ascii: true } as const;
