import { renderToString } from 'ink';
import { describe, expect, test } from 'vitest';
import { Screen } from '../../src/tui/app.tsx';
import { frame } from '../../src/tui/frame.ts';
import { plain } from '../../src/tui/line.ts';
import { reduce, type State } from '../../src/tui/state.ts';
import { peer, press, snapshot, started } from './fixtures.ts';

const draw = (state: State, how = { color: false, ascii: false }): string =>
  renderToString(<Screen rows={frame(state)} how={how} />, { columns: state.size.columns });

/** Bold, faint and inverse may stay without colour; the snapshots read better without. */
const text = (state: State): string =>
  // oxlint-disable-next-line no-control-regex -- removes the escape sequences that paint writes
  draw(state).replace(/\u001b\[\d+m/g, '');

describe.each([
  [40, 10],
  [80, 24],
  [120, 40],
])('%i columns, %i rows', (columns, rows) => {
  const size = { columns, rows };
  const state = started(size);

  test.each([
    ['overview', []],
    ['peers', ['2', 'j']],
    ['one peer', ['2', 'j', 'j', 'enter']],
    ['knowledge base', ['3']],
    ['one document', ['3', 'j', 'enter']],
    ['consensus', ['4', 'j']],
    ['one block', ['4', 'j', 'j', 'enter']],
    ['filter', ['3', '/', 'n', 'o']],
    ['help', ['2', '?']],
  ])('%s', (_, keys) => {
    expect(text(press(state, ...keys))).toMatchSnapshot();
  });

  test('without a daemon', () => {
    const lost = { reason: 'connection refused', attempts: 2, nextAtMs: state.nowMs + 2000 };
    expect(text(reduce(state, { type: 'lost', ...lost }))).toMatchSnapshot();
  });
});

describe('colour', () => {
  const state = press(started({ columns: 80, rows: 24 }), '2');

  test('says nothing that the words do not say too', () => {
    const colours = draw(state, { color: true, ascii: false });
    expect(colours).toContain('\u001b[32mconnected');
    expect(colours).toContain('\u001b[31mwaiting');
    expect(colours).toMatchSnapshot();
  });

  test('is absent with NO_COLOR; only bold, faint and the bar of the selection stay', () => {
    const codes = draw(state).match(/\u001b\[\d+m/g);
    expect(new Set(codes)).toEqual(new Set(['1', '2', '22', '7', '27'].map((n) => `\u001b[${n}m`)));
  });
});

test('ASCII means ASCII, names too', () => {
  const peers = [peer({ name: 'Müller 山田' })];
  const event = snapshot({ peers });
  for (const page of ['1', '2', '3', '4', '?']) {
    const state = press(started({ columns: 100, rows: 30 }, { ascii: true, event }), page);
    // oxlint-disable-next-line no-control-regex -- escape sequences are ASCII as well
    expect(draw(state, { color: true, ascii: true })).toMatch(/^[\u0000-\u007f]*$/);
  }
});

test('a name cannot send anything to the terminal', () => {
  const evil = '\u001b]0;owned\u0007\u001b[2J\r\nevil\u202e';
  const event = snapshot({ peers: [peer({ name: evil, lastError: evil, zone: evil })] });
  for (const keys of [['1'], ['2'], ['2', 'enter']]) {
    const drawn = draw(press(started({ columns: 120, rows: 40 }, { event }), ...keys));
    expect(drawn).toContain('\\u001b]0;owned');
    // oxlint-disable-next-line no-control-regex -- all but our own sequences and the line ends
    expect(drawn.replace(/\u001b\[\d+m|\n/g, '')).not.toMatch(/\p{Cc}|\u202e/u);
  }
});

test('every height and width from nothing on has a frame of just that size', () => {
  for (let rows = 0; rows < 16; rows += 1) {
    for (const columns of [0, 1, 5, 20, 59, 60]) {
      for (const page of ['2', '4']) {
        const drawn = frame(press(started({ columns, rows }), page));
        expect(drawn.length).toBe(rows);
        for (const row of drawn) expect(plain(row).length).toBeLessThanOrEqual(columns);
      }
    }
  }
});
