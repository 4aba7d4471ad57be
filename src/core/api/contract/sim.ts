/** What `aegis sim` prints with `--json`. It asks no daemon for it. */
import * as v from 'valibot';
import { count, ms, word } from './values.ts';

const positive = v.pipe(v.number(), v.minValue(0));

const simFailure = v.object({
  seed: word,
  /** Begins with the name of the checker. */
  message: word,
  /** One line for a shell. */
  replay: word,
});

export const simResult = v.object({
  schema: v.literal('aegis.sim/1'),
  ok: v.boolean(),
  seeds: count,
  /** Seeds with the signatures that nodes really make. */
  realSeeds: count,
  /** Virtual time of all nodes together. */
  nodeHours: positive,
  /** Node-hours for each hour that it took. */
  speedUp: positive,
  elapsedMs: ms,
  /** Final blocks: of all seeds, and of the seed in the middle. */
  heights: count,
  heightsMedian: count,
  intents: count,
  reads: count,
  /** Views that nodes entered after a failed one. */
  viewChanges: count,
  /** Final blocks that a later leader than the first proposed. */
  laterViews: count,
  /** Times that a node knew that it may have voted before. */
  doubts: count,
  /** Changes of keys that became final. */
  successions: count,
  /** Proposals that were carried out, and how often other custodians or keys came of it. */
  decided: count,
  epochs: count,
  /** Intents refused for want of a right or over quota. */
  refusals: count,
  /** States that nodes took over from others. */
  snapshots: count,
  /** Nodes that misbehaved, and of which evidence was found. */
  byzantine: count,
  accused: count,
  messages: v.object({
    sent: count,
    delivered: count,
    lost: count,
    doubled: count,
    reordered: count,
    blocked: count,
  }),
  queuedMax: count,
  settledAfterMsMax: ms,
  /** How often each fault struck. */
  faults: v.record(v.string(), count),
  failures: v.array(simFailure),
});
export type SimResult = v.InferOutput<typeof simResult>;
