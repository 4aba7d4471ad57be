/** Runs one Byzantine behaviour in one seed; a failure says how to run it again. */
import type { Evidence } from '../../src/core/consensus/types.ts';
import { BEHAVIOURS } from '../../src/core/sim/byzantine/catalogue.ts';
import { byzantineRun } from '../../src/core/sim/byzantine/run.ts';
import { type RunReport, runConsensus } from '../../src/core/sim/consensus-run.ts';
import type { FaultKind } from '../../src/core/sim/faults.ts';
import { SimFailure } from '../../src/core/sim/scenario.ts';

export interface ByzantineReport {
  readonly report: RunReport;
  /** How often the rules were broken. */
  readonly strikes: number;
  /** What honest nodes have found. */
  readonly evidence: readonly Evidence[];
}

/** Enough trouble to make views fail, and to lock some and not others. */
const FAULTS: readonly FaultKind[] = ['loss', 'reordering', 'cut'];

/** @throws {SimFailure} with the line that replays it. */
export function runByzantine(
  name: string,
  custodians: number,
  seed: string,
  durationMs = 30_000,
): ByzantineReport {
  const { wrap, checkers, ledger, evidence } = byzantineRun(name, seed);
  const needs = BEHAVIOURS.find((behaviour) => behaviour.name === name)?.needs ?? [];
  try {
    const report = runConsensus({
      seed,
      custodians,
      agents: needs.length > 0 ? 2 : 1,
      latency: 'lan',
      durationMs,
      faults: [...FAULTS, ...needs],
      wrap,
      checkers,
    });
    return { report, strikes: ledger.strikes, evidence };
  } catch (error) {
    const why = error instanceof SimFailure ? error.message : String((error as Error).stack);
    const test = `-t '${name} breaks nothing among ${custodians}'`;
    const replay = `AEGIS_SIM_SEED=${seed} npx vitest run test/sim/byzantine.test.ts ${test}`;
    throw new SimFailure(`${why}\n${name} among ${custodians}, seed ${seed}\nreplay: ${replay}`, {
      cause: error,
    });
  }
}
