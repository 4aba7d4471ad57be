/**
 * Consensus in the simulator: the real `Chain` on every node, custodians that vote, agents that
 * follow, and clients at all of them.
 */
import type { ChainInput } from '../chain/chain.ts';
import type { Machine } from '../machine.ts';
import type { ConsensusTools } from './consensus-tools.ts';
import { CONSENSUS_FAULTS } from './faults.ts';
import type { SimNode } from './node.ts';
import type { SimRandom } from './random.ts';
import type { Checker, Scenario, Tie } from './scenario.ts';
import type { World } from './world.ts';

export interface ConsensusOptions {
  /** All, or the first of the nodes of the world; the others are agents. */
  readonly custodians: number;
  /** @default by the chain */
  readonly fanout?: 'all' | 'leader';
  /** @default 8, so that runs see several seeds */
  readonly epochHeights?: number;
  /** @default 'stub' */
  readonly scheme?: 'stub' | 'real';
  /**
   * Called at each start of a node; another machine than the given one makes the node Byzantine
   * for the checkers, for good, and one of the f that may be faulty.
   */
  readonly wrap?: (
    node: SimNode,
    machine: Machine<ChainInput>,
    tools: ConsensusTools,
  ) => Machine<ChainInput>;
}

export class ConsensusScenario implements Scenario {
  readonly faults = CONSENSUS_FAULTS;
  readonly options: ConsensusOptions;
  readonly checkers: readonly Checker[] = [];

  constructor(world: World, options: ConsensusOptions) {
    void world;
    this.options = options;
  }

  boot(node: SimNode): Tie[] {
    void node;
    return [];
  }

  act(world: World, random: SimRandom): void {
    void world;
    void random;
  }

  unsettled(world: World): string | undefined {
    void world;
    return undefined;
  }
}
