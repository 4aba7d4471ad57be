/** The page of consensus, in the states in which a person looks at it. */
import { describe, expect, test } from 'vitest';
import { BLOCKS_MAX, type ConsensusStatus, NO_DATA, reduceEvents } from '../../src/tui/data.ts';
import { frame } from '../../src/tui/frame.ts';
import { type Line, lineWidth, plain } from '../../src/tui/line.ts';
import { intervalsMs } from '../../src/tui/panes/blocks.ts';
import { consensusPage } from '../../src/tui/panes/consensus.ts';
import { standingOf, votesOf } from '../../src/tui/panes/votes.ts';
import { reduce, selected } from '../../src/tui/state.ts';
import { block, consensus, idOf, isoBefore, press, snapshot, started } from './fixtures.ts';

const SIZE = { columns: 80, rows: 24 };
const page = (status: Partial<ConsensusStatus>, size = SIZE): Line[] =>
  consensusPage.body(started(size, { event: snapshot({ consensus: consensus(status) }) }), size);
const text = (lines: readonly Line[]): string => lines.map(plain).join('\n');
const toneOf = (lines: readonly Line[], words: string): string | undefined =>
  lines.flat().find((span) => span.text.includes(words))?.tone;

describe('the row of custodians', () => {
  test('says how far each has come; giving up wins over any vote', () => {
    const status = consensus({ timeouts: [idOf('c')] });
    const standings = ['a', 'b', 'c', 'd', 'e'].map((letter) => standingOf(idOf(letter), status));
    expect(standings).toEqual(['commit', 'prepare', 'timed out', 'away', '-']);
    const silent = consensus({ votes: { prepare: [], commit: [] } });
    expect(standingOf(idOf('b'), silent)).toBe('missing');
  });

  test('is letters with a legend where the names do not fit, and never wider than it may', () => {
    const custodians = Array.from({ length: 256 }, (_, i) => ({
      nodeId: idOf(i === 0 ? 'a' : i === 1 ? 'd' : 'z'),
      name: `node${i + 1}`,
    }));
    const data = { ...NO_DATA, custodians };
    for (const columns of [1, 20, 66, 200]) {
      const rows = votesOf(data, consensus(), columns);
      expect(rows.length).toBeLessThanOrEqual(5);
      for (const row of rows.slice(0, -1)) expect(lineWidth(row)).toBeLessThanOrEqual(columns);
    }
    const [first, , , , legend] = votesOf(data, consensus(), 66).map(plain);
    expect(first).toMatch(/^Cx-+$/);
    expect(legend).toBe('C commit  x away');
  });
});

describe('what needs attention', () => {
  test('comes first and is red', () => {
    const lines = page({
      doubt: 'this home was restored from a copy',
      isVoting: false,
      keyElsewhere: 'a vote at height 41 that this node did not send',
      evidence: 1,
      connected: 2,
    });
    expect(plain(lines[0] ?? [])).toMatch(/^now +this node's consensus key seems to be in use/);
    for (const words of ['key seems', 'it is in doubt', 'no quorum: 2 of 4', 'there is a proof']) {
      expect(toneOf(lines, words)).toBe('bad');
    }
  });

  test('a view that failed, and leaders that are passed over', () => {
    const dave = { nodeId: idOf('d'), name: 'dave' };
    const lines = page({ view: 2, phase: 'timeout', timeouts: [idOf('a')], passedOver: [dave] });
    expect(text(lines)).toContain('height 43  view 2  leader carol  timeout');
    expect(text(lines)).toMatch(/^passed over +dave$/m);
    expect(toneOf(lines, 'height 43  view 2')).toBe('warn');
    expect(text(lines)).toMatch(/alice timed out/);
  });
});

describe('states without votes', () => {
  test('idle, before the first block, behind, an agent', () => {
    const idle: Partial<ConsensusStatus> = { phase: 'idle', viewSince: null, missing: [] };
    expect(text(page({ ...idle, height: 0, digest: null, lastFinalAt: null }))).toMatch(
      /nothing has been decided yet\n.*no block yet/,
    );
    expect(text(page({ ...idle, lastFinalAt: null }))).toContain('before this daemon started');
    expect(text(page({ behind: 7, phase: 'catch-up' }))).toContain('7 blocks that others hold');
    expect(text(page({ ...idle, role: 'agent', isVoting: false }))).toContain('is an agent');
  });

  test('no cluster, no daemon, no block', () => {
    const none = snapshot({ consensus: null, custodians: [], blocks: [] });
    expect(text(consensusPage.body(started(SIZE, { event: none }), SIZE))).toContain(
      'no cluster yet',
    );
    const empty = snapshot({ blocks: [] });
    expect(text(consensusPage.body(started(SIZE, { event: empty }), SIZE))).toContain(
      'no block is final yet',
    );
  });
});

describe('the blocks', () => {
  const blocks = Array.from({ length: 60 }, (_, i) => block({ height: i + 1 }));

  test('scroll in what the summary leaves of the screen, so that the selected row shows', () => {
    for (const rows of [8, 10, 14, 24, 40]) {
      const size = { columns: 80, rows };
      let state = press(started(size, { event: snapshot({ blocks }) }), '4');
      for (let i = 0; i < 30; i += 1) state = press(state, 'j');
      expect(selected(state)).toBe('30');
      const bar = frame(state).filter((row) => row.some(({ tone }) => tone === 'selected'));
      expect(text(bar)).toMatch(/^ +30 /m);
    }
  });

  test('are kept up to a limit, and come one by one', () => {
    let data = reduceEvents(NO_DATA, [snapshot({ blocks })]);
    for (let height = 61; height <= BLOCKS_MAX + 20; height += 1) {
      data = reduceEvents(data, [{ type: 'block', block: block({ height }) }]);
    }
    expect(data.blocks.size).toBe(BLOCKS_MAX);
    expect([...data.blocks.keys()].at(-1)).toBe(String(BLOCKS_MAX + 20));
    expect(data.blocks.has('20')).toBe(false);
  });

  test('their intervals are those of neighbours; what is not known is a gap', () => {
    const at = (height: number, ms: number) => block({ height, time: isoBefore(ms) });
    const known = [at(7, 300), at(5, 1000), at(4, 1500), at(8, 0)];
    expect(intervalsMs(known)).toEqual([500, Number.NaN, 300]);
    expect(intervalsMs([])).toEqual([]);
  });
});

test('a new state of consensus shows after a tick, all of it', () => {
  let state = press(started(SIZE), '4');
  const next = consensus({ height: 43, phase: 'idle', viewSince: null, votes: NO_VOTES });
  const events = [
    { type: 'consensus', consensus: next },
    { type: 'block', block: block({ height: 43 }) },
  ] as const;
  state = reduce(state, { type: 'events', events, nowMs: state.nowMs });
  expect(text(frame(state))).toContain('height 42');
  state = reduce(state, { type: 'tick', nowMs: state.nowMs });
  expect(text(frame(state))).toMatch(/final +height 43 /);
  expect(text(frame(state))).toMatch(/^ +43 +3\/4/m);
});

const NO_VOTES = { prepare: [], commit: [] };
