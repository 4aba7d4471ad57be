/** What a scenario brings into the world: machines, work, and what must hold. */
import type { Envelope, Machine, Outcome } from '../machine.ts';
import type { FaultKind } from './faults.ts';
import type { SimNode } from './node.ts';
import type { SimRandom } from './random.ts';
import type { World } from './world.ts';

/** A machine and its ties to the world, for one run of one node. */
export interface Tie {
  readonly name: string;
  readonly machine: Machine<unknown>;
  /** Inputs at the start of the run. */
  readonly first: readonly unknown[];
  alarmInput(key: string): unknown;
  /** The input for a peer that came or went; undefined for machines that do not care. */
  peerInput?(nodeId: string, isUp: boolean): unknown;
  /** The input for an envelope; undefined for those of other protocols. */
  envelopeInput?(from: string, envelope: Envelope): unknown;
  /** Carries out what the machine tells. */
  tell(outcome: Outcome): void;
}

/** Watches and throws `SimFailure` when something that must not happen has happened. */
export interface Checker {
  /** Just before an envelope leaves a node. */
  onSend?(node: SimNode, envelope: Envelope): void;
  onOutcome?(node: SimNode, machine: string, outcome: Outcome): void;
  /** Whether the loss of this disk is a fault that the system promises to survive now. */
  allowsDiskLoss?(node: SimNode): boolean;
  /** Just before a disk is lost. */
  onDiskLoss?(node: SimNode): void;
  /** At the end, when all faults are over and the world has settled. */
  onSettled?(world: World): void;
}

export interface Scenario {
  /** Kinds of faults that it is held to. */
  readonly faults: readonly FaultKind[];
  /** The machines of a node, made from what its disk holds. */
  boot(node: SimNode): Tie[];
  /** One piece of work, somewhere. */
  act(world: World, random: SimRandom): void;
  /** Damages something on the disk of a node, if a promise allows it now. @returns whether. */
  damage?(node: SimNode, force: number): boolean;
  /** Replaces keys of a node, as its operator would. @returns whether there is something to do. */
  changeKeys?(node: SimNode, force: number): boolean;
  /** The home is made anew from a backup of some age; its disk is set back by itself. */
  restoreHome?(node: SimNode, force: number): void;
  /**
   * The holder of the node's keys signs nothing, or its answers are lost; undefined: all is well.
   * @returns whether there is one.
   */
  refuseSigning?(node: SimNode, how: 'no' | 'lost' | undefined): boolean;
  /** Custodians propose to change who decides. @returns whether they do. */
  changeMembers?(world: World, random: SimRandom): boolean;
  /** Custodians propose to change rights, quotas or parameters. @returns whether they do. */
  rule?(world: World, random: SimRandom): boolean;
  /** A node that is down gets a newer program. @returns whether there is one. */
  upgrade?(node: SimNode, random: SimRandom): boolean;
  /** A node forgets old blocks. @returns whether it has any. */
  prune?(node: SimNode, force: number): boolean;
  /** When a node starts for the first time, by its place. @default at once */
  startsAtMs?(index: number): number;
  /** All faults are over. */
  healed?(world: World): void;
  /** What is still missing after the faults, as a sentence; undefined when all is well. */
  unsettled(world: World): string | undefined;
  readonly checkers: readonly Checker[];
}

/** A promise was broken. */
export class SimFailure extends Error {
  override readonly name = 'SimFailure';
}
