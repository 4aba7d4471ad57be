/** One way of not following the rules. */
import type { ChainInput } from '../../chain/chain.ts';
import type { Evidence } from '../../consensus/types.ts';
import type { Machine } from '../../machine.ts';
import { type Attacker, ByzantineMachine, type Hooks } from './attack.ts';

export interface Behaviour {
  readonly name: string;
  /** The kinds of evidence that it leaves sooner or later; none: it cannot be proved. */
  readonly evidence: readonly Evidence['kind'][];
  /** Called at each start of a node that misbehaves. */
  wrap(attacker: Attacker, honest: Machine<ChainInput>): Machine<ChainInput>;
}

/** A behaviour made of hooks, which forget everything at a restart. */
export const behaviour = (
  name: string,
  evidence: readonly Evidence['kind'][],
  hooks: (attacker: Attacker) => Hooks,
): Behaviour => ({
  name,
  evidence,
  wrap: (attacker, honest) => new ByzantineMachine(honest, hooks(attacker)),
});
