/**
 * The faults of a run, drawn from its seed before it begins. Every run turns some kinds off
 * altogether and others up (swarm testing: Groce and others, ISSTA 2012): a mixture of everything
 * hides what a few faults would show.
 */
import type { SimRandom } from './random.ts';

/** Faults that the knowledge base is held to. */
export const KB_FAULTS = [
  'crash',
  'pause',
  'cut',
  'loss',
  'doubling',
  'slow-network',
  'slow-disk',
  'root-damage',
  'disk-loss',
] as const;

/** Faults that consensus is held to. */
export const CONSENSUS_FAULTS = [
  'crash',
  'crash-before-commit',
  'crash-after-commit',
  'crash-between-sends',
  'lost-write',
  'torn-write',
  'pause',
  'cut',
  'cut-partial',
  'cut-one-way',
  'half-open',
  'loss',
  'doubling',
  'reordering',
  'slow-network',
  'slow-disk',
  'full-disk',
  'failed-sync',
  'clock-forward',
  'clock-back',
  'damaged-tail',
  'restored-copy',
  'disk-loss',
  'key-change',
  'restored-home',
  'signer-refusal',
  'member-change',
  'ruling',
  'upgrade',
  'prune',
] as const;

/** Of these, what changes the cluster itself and not what befalls its nodes. */
export const HISTORY_FAULTS = [
  'member-change',
  'ruling',
  'upgrade',
  'prune',
] as const satisfies readonly (typeof CONSENSUS_FAULTS)[number][];

export type FaultKind = (typeof KB_FAULTS)[number] | (typeof CONSENSUS_FAULTS)[number];

export interface Fault {
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly forMs: number;
  /** Index of the node it strikes, where one node is struck. */
  readonly node: number;
  /** In [0, 1): how bad it is. */
  readonly force: number;
}

export interface FaultOptions {
  readonly kinds: readonly FaultKind[];
  readonly nodes: number;
  readonly durationMs: number;
  /** Faults of one kind that is on. */
  readonly maxPerKind: number;
  /** Share of runs in which a kind is off. */
  readonly offRate: number;
  /** Kinds that are never off. @default none */
  readonly steady?: readonly FaultKind[] | undefined;
}

export function drawFaults(options: FaultOptions, random: SimRandom): Fault[] {
  const { nodes, durationMs, maxPerKind } = options;
  const faults: Fault[] = [];
  for (const kind of options.kinds) {
    const child = random.child(kind);
    const isOff = child.chance(options.offRate);
    if (isOff && options.steady?.includes(kind) !== true) continue;
    for (let i = child.between(Math.min(1, maxPerKind), maxPerKind); i > 0; i -= 1) {
      const isLong = child.chance(0.2);
      faults.push({
        kind,
        atMs: child.between(0, durationMs),
        forMs: child.between(10, isLong ? durationMs : Math.ceil(durationMs / 10)),
        node: child.between(0, nodes - 1),
        force: child.fraction(),
      });
    }
  }
  return faults.toSorted((a, b) => a.atMs - b.atMs);
}
