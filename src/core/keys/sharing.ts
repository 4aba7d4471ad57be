/**
 * A keystore that several clusters of one home share (docs/keys.md, J rules), each with a daemon of
 * its own. Where clusters lie and how processes keep out of each other's way is for others to say.
 */
import type { View } from './home.ts';

export interface Sharing extends View {
  /** The clusters of this home whose word counts; undefined stands for the one without a name. */
  clusters(): Promise<readonly (string | undefined)[]>;
  /** Runs while no other process of this home changes its keys. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
}

/** Clusters beside this one. */
export async function othersOf(sharing: Sharing): Promise<readonly (string | undefined)[]> {
  return (await sharing.clusters()).filter((cluster) => cluster !== sharing.cluster);
}

/** A home with one cluster has one daemon, which needs nobody's leave. */
export async function alone<T>(sharing: Sharing | undefined, work: () => Promise<T>): Promise<T> {
  if (sharing === undefined || (await othersOf(sharing)).length === 0) return await work();
  return await sharing.exclusively(work);
}
