/**
 * Metrics in the Prometheus text format, with a registry of their own: several nodes can live in
 * one process. It serves nothing itself; the API hands out what `text()` returns.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { assert } from '../assert.ts';
import type { Metrics } from '../ports.ts';

export interface NodeMetrics extends Metrics {
  /** All metrics in the Prometheus text format 0.0.4. */
  text(): Promise<string>;
}

/** Names are written in code, never made from input; more than this is a leak. */
const NAMES_MAX = 500;
const SECONDS_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60];
const BYTES_BUCKETS = [1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 16_777_216, 268_435_456];

export function createMetrics(): NodeMetrics {
  const registry = new Registry();
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();

  /** The metric of that name, made when it is first used. */
  const get = <T>(kind: Map<string, T>, name: string, make: () => T): T => {
    const known = kind.get(name);
    if (known !== undefined) return known;
    const used = counters.size + gauges.size + histograms.size;
    assert(used < NAMES_MAX, 'metric names are few and fixed');
    assert(/^aegis_[a-z0-9_]+$/.test(name), `not a metric name: ${name}`);
    const made = make();
    kind.set(name, made);
    return made;
  };
  const config = (name: string) => ({ name, help: helpOf(name), registers: [registry] });

  return {
    count: (name, by = 1) => get(counters, name, () => new Counter(config(name))).inc(by),
    gauge: (name, value) => get(gauges, name, () => new Gauge(config(name))).set(value),
    observe: (name, value) =>
      get(histograms, name, () => {
        const buckets = name.endsWith('_bytes') ? BYTES_BUCKETS : SECONDS_BUCKETS;
        return new Histogram({ ...config(name), buckets });
      }).observe(value),
    text: () => registry.metrics(),
  };
}

/** `aegis_peers_connected` -> `Peers connected.` */
function helpOf(name: string): string {
  const words = name.replace(/^aegis_/, '').replaceAll('_', ' ');
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}
