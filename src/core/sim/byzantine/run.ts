/** Puts misbehaving custodians into a run of consensus: as many as there may be. */
import type { ChainOutcome } from '../../chain/types.ts';
import type { Evidence } from '../../consensus/types.ts';
import type { ConsensusOptions } from '../consensus-scenario.ts';
import { SimRandom } from '../random.ts';
import { type Checker, SimFailure } from '../scenario.ts';
import { Attacker, Ledger } from './attack.ts';
import type { Behaviour } from './behaviour.ts';
import { BEHAVIOURS } from './catalogue.ts';

/** What to give to a run, and what one learns from it. */
export interface ByzantineRun {
  readonly wrap: NonNullable<ConsensusOptions['wrap']>;
  readonly checkers: readonly Checker[];
  readonly ledger: Ledger;
  /** What honest nodes have found. */
  readonly evidence: readonly Evidence[];
}

/**
 * Draws f custodians from the seed and lets them misbehave.
 * @param name of a behaviour; `all`: each bad custodian has one of its own, drawn from the seed.
 */
export function byzantineRun(name: string, seed: string): ByzantineRun {
  const random = new SimRandom(`${seed}/byzantine`);
  const ledger = new Ledger();
  const evidence: Evidence[] = [];
  const behaviours = new Map<string, Behaviour>();
  const isBad = badOnes(random);
  return {
    ledger,
    evidence,
    checkers: [poisonChecker(ledger, evidence)],
    wrap(node, machine, tools) {
      const { custodians, faultyMax } = tools.cluster;
      if (!isBad(tools.index, custodians.length, faultyMax)) return machine;
      const known = behaviours.get(node.nodeId) ?? behaviourOf(name, random);
      behaviours.set(node.nodeId, known);
      ledger.guilty.add(node.nodeId);
      return known.wrap(new Attacker(node, tools, ledger), machine);
    },
  };
}

/** Some f custodians, wherever they stand. */
function badOnes(random: SimRandom) {
  const offset = random.between(0, 255);
  return (index: number, custodians: number, faultyMax: number): boolean =>
    index >= 0 && (index + offset) % custodians < faultyMax;
}

function behaviourOf(name: string, random: SimRandom): Behaviour {
  const found =
    name === 'all' ? random.pick(BEHAVIOURS) : BEHAVIOURS.find((it) => it.name === name);
  if (found === undefined) throw new RangeError(`no behaviour is called ${name}`);
  return found;
}

/** No honest node finalises what no rule allows. */
const poisonChecker = (ledger: Ledger, evidence: Evidence[]): Checker => ({
  onOutcome(node, machine, outcome) {
    if (machine !== 'chain' || ledger.guilty.has(node.nodeId)) return;
    const told = outcome as ChainOutcome;
    if (told.type === 'evidence') evidence.push(told.evidence);
    if (told.type !== 'finalised' || !ledger.poison.has(told.digest)) return;
    throw new SimFailure(`validity: ${node.options.name} finalised a block that no rule allows`);
  },
});
