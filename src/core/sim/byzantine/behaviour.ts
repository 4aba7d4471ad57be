/** One way of not following the rules. */
import type { ChainInput } from '../../chain/chain.ts';
import type { Evidence } from '../../consensus/types.ts';
import type { Machine } from '../../machine.ts';
import type { FaultKind } from '../faults.ts';
import { type Attacker, ByzantineMachine, type Hooks } from './attack.ts';

export interface Behaviour {
  readonly name: string;
  /** The kinds of evidence that it may leave; none: it cannot be proved. */
  readonly leaves: readonly Evidence['kind'][];
  /** Whether it is found out sooner or later. */
  readonly isFoundOut: boolean;
  /** It strikes only where this happens, too. */
  readonly needs?: readonly FaultKind[];
  /** Called at each start of a node that misbehaves. */
  wrap(attacker: Attacker, honest: Machine<ChainInput>): Machine<ChainInput>;
}

/** A behaviour made of hooks, which forget everything at a restart. */
export const behaviour = (
  name: string,
  proof: Pick<Behaviour, 'leaves' | 'isFoundOut' | 'needs'>,
  hooks: (attacker: Attacker) => Hooks,
): Behaviour => ({
  name,
  ...proof,
  wrap: (attacker, honest) => new ByzantineMachine(honest, hooks(attacker)),
});

/** Nothing that it signs contradicts itself. */
export const UNPROVABLE = { leaves: [], isFoundOut: false } as const;

/** Proof against it reaches an honest node. */
export const foundOut = (...leaves: Behaviour['leaves']) => ({ leaves, isFoundOut: true });

/** Proof against it exists, but no honest node need ever see both halves of it. */
export const perhaps = (...leaves: Behaviour['leaves']) => ({ leaves, isFoundOut: false });
