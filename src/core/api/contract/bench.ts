/** What `aegis bench` prints with `--json`. It asks daemons, and adds up what they say. */
import * as v from 'valibot';
import { bytes, count, ms, time, word } from './values.ts';

const rate = v.pipe(v.number(), v.minValue(0));

const rampStep = v.object({
  /** Intents a second that were to be submitted. */
  offered: count,
  /** That became final, a second, until the last of them was. */
  perSecond: rate,
  /** From submission to final. `null`: none became final. */
  p50Ms: v.nullable(ms),
  p95Ms: v.nullable(ms),
  p99Ms: v.nullable(ms),
  /** Intents that became final. */
  samples: count,
  /** Intents that did not, or were not even submitted since too many waited. */
  missed: count,
});
export type RampStep = v.InferOutput<typeof rampStep>;

export const benchRampResult = v.object({
  schema: v.literal('aegis.bench.ramp/1'),
  startedAt: time,
  nodes: count,
  /** Whether the devnet was made for this, and is gone. */
  temporary: v.boolean(),
  machine: v.object({ processor: word, cores: count, memoryBytes: bytes, platform: word }),
  versions: v.object({ aegis: word, node: word, openssl: word, sqlite: word }),
  stepMs: ms,
  p95LimitMs: ms,
  steps: v.array(rampStep),
  saturation: v.object({
    /** The most that became final in a second within the limit; 0: no step was. */
    perSecond: rate,
    /** With how much offered. */
    offered: count,
    p95Ms: v.nullable(ms),
    /** `none`: the last step was not the limit yet. */
    reason: v.picklist(['throughput', 'latency', 'none']),
  }),
});
export type BenchRampResult = v.InferOutput<typeof benchRampResult>;
