/**
 * The parameters of a cluster (docs/history.md, Q2): their names, first values and bounds. Which
 * value is in force is state, and for `chain/` to say.
 */

interface ParameterBounds {
  /** In force until a proposal sets another. */
  readonly first: number;
  readonly min: number;
  readonly max: number;
}

const MOST = Number.MAX_SAFE_INTEGER;

export const PARAMETERS = {
  /** 1: where there is no namespace, every member may write. */
  openWrites: { first: 1, min: 0, max: 1 },
  agentChangesPerHour: { first: 100_000, min: 0, max: MOST },
  agentBytesPerHour: { first: 256 * 1024 * 1024, min: 0, max: MOST },
  agentPaths: { first: 1_000_000, min: 0, max: MOST },
  /** Snapshots are offered at the heights that are multiples of it. */
  snapshotHeights: { first: 1000, min: 1, max: 1_000_000_000 },
} as const satisfies Record<string, ParameterBounds>;

export type ParameterName = keyof typeof PARAMETERS;

export const isParameterName = (name: string): name is ParameterName =>
  Object.hasOwn(PARAMETERS, name);
