import { expect, test } from 'vitest';
import { NO_DATA, reduceEvents } from '../../src/tui/data.ts';
import { type History, NO_HISTORY, SAMPLES_MAX, sample } from '../../src/tui/history.ts';
import { idOf, NOW_MS, peer, snapshot } from './fixtures.ts';

const dataOf = (bytesIn: number) =>
  reduceEvents(NO_DATA, [snapshot({ peers: [peer({ bytesIn, bytesOut: 0 })] })]);

test('without data there is nothing to sample', () => {
  expect(sample(NO_HISTORY, NO_DATA, NOW_MS)).toBe(NO_HISTORY);
});

test('samples are a second apart, whatever the pace of the ticks', () => {
  let history: History = NO_HISTORY;
  for (let ms = 0; ms < 5000; ms += 100) history = sample(history, dataOf(0), NOW_MS + ms);
  expect(history.cpuPercent.length).toBe(5);
});

test('rates are differences over time; a connection that counts from nought is no burst', () => {
  let history = sample(NO_HISTORY, dataOf(1000), NOW_MS);
  history = sample(history, dataOf(5000), NOW_MS + 2000);
  history = sample(history, dataOf(10), NOW_MS + 3000);
  expect(history.inBytesPerSecond).toEqual([Number.NaN, 2000, 0]);
});

test('a series is bounded, and that of a peer ends with the peer', () => {
  let history: History = NO_HISTORY;
  for (let i = 0; i < SAMPLES_MAX + 10; i += 1) {
    history = sample(history, dataOf(i), NOW_MS + i * 1000);
  }
  expect(history.cpuPercent.length).toBe(SAMPLES_MAX);
  expect(history.rttMs.get(idOf('b'))?.length).toBe(SAMPLES_MAX);
  const empty = reduceEvents(NO_DATA, [snapshot({ peers: [] })]);
  expect(sample(history, empty, NOW_MS + 10_000_000).rttMs.size).toBe(0);
});
