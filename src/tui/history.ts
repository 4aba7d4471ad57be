/**
 * Samples for the sparklines: one a second at most, taken from the state, so that a burst of events
 * does not stretch the time axis. Pure.
 */
import type { Data } from './data.ts';

export const SAMPLES_MAX = 240;
const SAMPLE_EVERY_MS = 1000;
/** Peers whose round trips are remembered; the others show none. */
const RTT_SERIES_MAX = 256;

/** Not a number marks a gap: the value was not known at that time. */
export type Series = readonly number[];

export interface History {
  readonly sampledAtMs: number;
  readonly cpuPercent: Series;
  readonly rssBytes: Series;
  readonly loopLagMs: Series;
  readonly inBytesPerSecond: Series;
  readonly outBytesPerSecond: Series;
  readonly rttMs: ReadonlyMap<string, Series>;
  /** Bytes by peer at the last sample. A peer that comes anew must not look like a burst. */
  readonly totals: ReadonlyMap<string, readonly [inBytes: number, outBytes: number]>;
}

export const NO_HISTORY: History = {
  sampledAtMs: 0,
  cpuPercent: [],
  rssBytes: [],
  loopLagMs: [],
  inBytesPerSecond: [],
  outBytesPerSecond: [],
  rttMs: new Map(),
  totals: new Map(),
};

const push = (series: Series, value: number | null | undefined): Series => [
  ...(series.length >= SAMPLES_MAX ? series.slice(1 - SAMPLES_MAX) : series),
  value ?? Number.NaN,
];

/** Takes a sample if one is due; otherwise returns the same object. */
export function sample(history: History, data: Data, nowMs: number): History {
  const sinceMs = nowMs - history.sampledAtMs;
  if (data.node === undefined || sinceMs < SAMPLE_EVERY_MS) return history;
  const { cpuPercent, rssBytes, loopLagMsP99 } = data.node.resources;
  const totals = new Map<string, readonly [number, number]>();
  const rttMs = new Map<string, Series>();
  let inBytes = 0;
  let outBytes = 0;
  for (const [key, peer] of data.peers) {
    totals.set(key, [peer.bytesIn, peer.bytesOut]);
    const before = history.totals.get(key);
    // The daemon counts from nought again for each connection.
    inBytes += Math.max(0, peer.bytesIn - (before?.[0] ?? peer.bytesIn));
    outBytes += Math.max(0, peer.bytesOut - (before?.[1] ?? peer.bytesOut));
    if (rttMs.size < RTT_SERIES_MAX) rttMs.set(key, push(history.rttMs.get(key) ?? [], peer.rttMs));
  }
  const first = history.sampledAtMs === 0;
  const perSecond = (bytes: number): number => (first ? Number.NaN : (bytes * 1000) / sinceMs);
  return {
    sampledAtMs: nowMs,
    cpuPercent: push(history.cpuPercent, cpuPercent),
    rssBytes: push(history.rssBytes, rssBytes),
    loopLagMs: push(history.loopLagMs, loopLagMsP99),
    inBytesPerSecond: push(history.inBytesPerSecond, perSecond(inBytes)),
    outBytesPerSecond: push(history.outBytesPerSecond, perSecond(outBytes)),
    rttMs,
    totals,
  };
}
