/** Latency profiles: shapes to make orders differ. They are nobody's measurement. */
import type { NetworkOptions } from './network.ts';

export const LATENCIES = ['lan', 'wan', 'tor'] as const;

export type LatencyName = (typeof LATENCIES)[number];

export const PROFILES: Readonly<Record<LatencyName, NetworkOptions>> = {
  lan: {
    minLatencyMs: 0.1,
    maxLatencyMs: 1,
    jitterMs: 3,
    noticeMs: 1000,
    dialTimeoutMs: 1000,
    isOrdered: true,
    lingerRate: 0.5,
  },
  wan: {
    minLatencyMs: 5,
    maxLatencyMs: 120,
    jitterMs: 60,
    noticeMs: 5000,
    dialTimeoutMs: 5000,
    isOrdered: true,
    lingerRate: 0.5,
  },
  tor: {
    minLatencyMs: 100,
    maxLatencyMs: 500,
    jitterMs: 1200,
    noticeMs: 10_000,
    dialTimeoutMs: 15_000,
    isOrdered: true,
    lingerRate: 0.5,
  },
};
