/**
 * What agents may use (docs/history.md, Q1): changes and bytes an hour, by the time of blocks, and
 * paths that they have made. Custodians have no quotas, and nothing is counted of them.
 */
import { HOUR } from '../units.ts';
import type { ReadRegisters } from './registers.ts';

export interface Usage {
  /** Of which `changes` and `bytes` are, in hours since the Unix epoch. */
  readonly hour: number;
  readonly changes: number;
  readonly bytes: number;
  /** Ever made, and labels of anchors. */
  readonly paths: number;
}

export interface QuotaLimits {
  readonly changesPerHour: number;
  readonly bytesPerHour: number;
  readonly paths: number;
}

export const NO_USAGE: Usage = { hour: 0, changes: 0, bytes: 0, paths: 0 };

/** Those of one agent. */
export function limitsOf(
  { quotas, parameters }: Pick<ReadRegisters, 'quotas' | 'parameters'>,
  nodeId: string,
): QuotaLimits {
  const own = quotas.get(nodeId);
  return {
    changesPerHour: own?.changesPerHour ?? parameters.agentChangesPerHour,
    bytesPerHour: own?.bytesPerHour ?? parameters.agentBytesPerHour,
    paths: own?.paths ?? parameters.agentPaths,
  };
}

/** The usage as an intent at this time finds it. */
export function usageAt(usage: Usage, time: number): Usage {
  const hour = Math.floor(time / HOUR);
  return usage.hour === hour ? usage : { hour, changes: 0, bytes: 0, paths: usage.paths };
}

/** The usage after so much more. */
export const added = (
  usage: Usage,
  more: { readonly changes: number; readonly bytes: number; readonly paths: number },
): Usage => ({
  hour: usage.hour,
  changes: usage.changes + more.changes,
  bytes: usage.bytes + more.bytes,
  paths: usage.paths + more.paths,
});

/** Whether that is more than there may be. Who makes no path is not over its quota of paths. */
export const isOver = (usage: Usage, limits: QuotaLimits, madePaths: number): boolean =>
  usage.changes > limits.changesPerHour ||
  usage.bytes > limits.bytesPerHour ||
  (madePaths > 0 && usage.paths > limits.paths);
