/**
 * Carries out what the chain has decided: answers those who lag, tells those who wait, keeps the
 * index of final versions, and says loudly when somebody breaks the rules.
 */
import type { Chain, ChainInput, ChainOutcome, Divergence, Finalised } from '../chain/chain.ts';
import { LIMITS } from '../chain/limits.ts';
import type { Evidence } from '../consensus/types.ts';
import { type AegisError, toAegisError } from '../errors.ts';
import type { Outcome } from '../machine.ts';
import { type IntentContext, readIntent } from '../model/intent.ts';
import type { Log, Metrics, Security } from '../ports.ts';
import type { BlockArchive } from './block-archive.ts';
import type { ChainFaults } from './chain-faults.ts';
import { Complaints } from './complaints.ts';
import type { Finals } from './finals.ts';
import type { IntentDesk } from './intent-desk.ts';
import type { LinearReads } from './linear-reads.ts';
import { type FinalMerge, mergesOf } from './merge/final-merges.ts';
import type { Pruner } from './pruner.ts';
import type { RoundLog } from './round-log.ts';

export const CHAIN_MACHINE = 'chain';

export interface ChainDeskDeps {
  readonly context: IntentContext;
  readonly chain: Pick<Chain, 'height' | 'base' | 'heads' | 'status' | 'custodians' | 'protocol'>;
  readonly desk: IntentDesk;
  readonly finals: Finals;
  readonly reads: LinearReads;
  readonly archive: BlockArchive;
  readonly rounds: RoundLog;
  readonly faults: ChainFaults;
  readonly pruner: Pick<Pruner, 'moved'>;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly security?: Security | undefined;
  submit(input: ChainInput): void;
  /** D4: this node is not in doubt any more. */
  settle(): Promise<void>;
  /** Something of the present height has changed. */
  moved(): void;
  finalised(block: Finalised): void;
  accused(evidence: Evidence, nodeId: string): void;
  /** W11: what a final block has brought. */
  merged(merges: readonly FinalMerge[]): void;
}

const COUNTED = [
  'aegis_chain_snapshots_total',
  'aegis_chain_intents_total',
  'aegis_chain_divergences_total',
  'aegis_consensus_bad_shares_total',
  'aegis_consensus_evidence_total',
  'aegis_consensus_timeouts_total',
  'aegis_consensus_view_changes_total',
];
/** Blocks read in one piece while the index makes up for what it missed. */
const CATCH_UP_BLOCKS = 64;

export class ChainDesk {
  readonly #deps: ChainDeskDeps;
  readonly #complaints: Complaints;
  #isDoubtful: boolean;
  #isMute = false;

  /** @param isDoubtful whether the home was in doubt when it was opened (D3). */
  constructor(deps: ChainDeskDeps, isDoubtful: boolean) {
    this.#deps = deps;
    this.#complaints = new Complaints(deps.log);
    this.#isDoubtful = isDoubtful;
    // What has not happened yet is 0, not unknown.
    for (const name of COUNTED) deps.metrics.count(name, 0);
    this.#gauge();
  }

  /** E1, V1. */
  #gauge(): void {
    const { chain, metrics } = this.#deps;
    metrics.gauge('aegis_chain_custodians', chain.custodians().size);
    const { mempool, protocol } = chain.status();
    metrics.gauge('aegis_chain_protocol', protocol);
    metrics.gauge('aegis_mempool_intents', mempool.intents);
    metrics.gauge('aegis_mempool_bytes', mempool.bytes);
  }

  tell(outcome: Outcome): void {
    const decided = outcome as ChainOutcome;
    const { desk, reads, rounds, faults } = this.#deps;
    rounds.tell(decided, Date.now());
    if (faults.tell(decided, Date.now())) return this.#deps.moved();
    const cancelled = desk.tell(decided);
    switch (decided.type) {
      case 'finalised':
        this.#finalised(decided);
        this.#deps.finals.withdraw(cancelled, decided.height);
        reads.tell(decided);
        return;
      case 'read-index':
      case 'read-failed':
        reads.tell(decided);
        return;
      case 'serve':
        void this.#serve(decided);
        return;
      case 'entered':
        this.#deps.metrics.gauge('aegis_consensus_view', decided.view);
        if (decided.view > 0) this.#deps.metrics.count('aegis_consensus_view_changes_total');
        this.#deps.moved();
        return;
      case 'voted':
        if (decided.phase === 'timeout') {
          this.#deps.metrics.count('aegis_consensus_timeouts_total');
        }
        this.#deps.moved();
        return;
      // For the desks of intents, keys and members.
      case 'accepted':
      case 'refused':
      case 'retired-epoch':
      case 'roster':
        return;
      case 'proposal':
        this.#proposal(decided);
        return;
      case 'custodians':
        this.#deps.log.write('info', 'the cluster has other custodians, or keys of theirs', {
          height: decided.height,
          nodeIds: decided.nodeIds,
        });
        this.#deps.moved();
        return;
      case 'snapshot':
        this.#snapshot(decided);
        reads.tell(decided);
        return;
      case 'too-old':
        this.#deps.moved();
        return;
      default:
        this.#complain(decided);
        this.#deps.moved();
    }
  }

  /** A peer has sent what cannot be read, or what it had no right to sign. */
  refused(from: string, { code, message: reason }: AegisError): void {
    const fields = { from, code, reason };
    this.#complaints.say('warn', 'refused a message of a peer', `${from} ${code}`, fields);
    // Who is a custodian only where the blocks are that lack here is no liar.
    if (code !== 'DENIED') this.#deps.submit({ type: 'unreadable', from });
  }

  /** The index of final versions may be behind the blocks. Call before anything is stepped. */
  async catchUp(): Promise<void> {
    const { archive, finals, chain, context, merged } = this.#deps;
    await this.#adopt();
    while (finals.height < chain.height) {
      const from = finals.height + 1;
      const upTo = Math.min(chain.height, from + CATCH_UP_BLOCKS - 1);
      const blocks = await archive.blocks(from, upTo);
      if (blocks.length === 0) return;
      for (const { block } of blocks) {
        const all = block.intents.map((bytes) => readIntent(bytes, context).signed);
        const found = await archive.receipts(all.map(({ id }) => id));
        const { height } = block.header;
        // Of an intent that was sent twice only the last receipt is kept.
        const signed = all.filter((_, n) => found[n]?.height === height);
        const receipts = found.filter((one) => one?.height === height).map((one) => one!);
        finals.learn({ height, signed, receipts });
        merged(mergesOf({ height, signed, receipts }));
      }
    }
  }

  /** Y4: there are no blocks below the state that was taken over. */
  async #adopt(): Promise<void> {
    const { finals, chain } = this.#deps;
    if (finals.height < chain.base - 1) await finals.adopt(chain.heads(), chain.base - 1);
  }

  fail(error: AegisError): void {
    this.#deps.desk.fail(error);
    this.#deps.reads.fail(error);
  }

  async close(): Promise<void> {
    this.#isMute = true;
    await this.#deps.finals.close();
  }

  #finalised(block: Finalised): void {
    const { height, intents } = block;
    const { finals, metrics } = this.#deps;
    finals.learn(block);
    this.#deps.merged(mergesOf(block));
    metrics.gauge('aegis_chain_height', height);
    this.#gauge();
    metrics.count('aegis_chain_intents_total', intents);
    const seen = this.#deps.rounds.get(height);
    if (seen?.startedAt !== undefined && seen.finalAt !== undefined) {
      metrics.observe('aegis_consensus_final_seconds', (seen.finalAt - seen.startedAt) / 1000);
    }
    this.#deps.finalised(block);
    this.#deps.pruner.moved();
    this.#endDoubt();
  }

  /** The store goes on finding the doubt until it hears that the replica has got over it (D4). */
  #endDoubt(): void {
    if (!this.#isDoubtful || this.#deps.chain.status().doubt !== undefined) return;
    this.#isDoubtful = false;
    this.#deps.log.write('info', 'this node is not in doubt any more', {});
    this.#deps.settle().catch(() => {
      this.#isDoubtful = true;
    });
  }

  async #serve({ to, from, upTo }: Extract<ChainOutcome, { type: 'serve' }>): Promise<void> {
    try {
      const window = await this.#deps.archive.window(from, upTo, LIMITS.windowBytes);
      this.#deps.submit({ type: 'rows', to, from, window });
    } catch (error) {
      if (this.#isMute) return;
      const { code, message } = toAegisError(error);
      const fields = { to, from, upTo, code, reason: message };
      this.#deps.log.write('warn', 'blocks could not be read for a peer', fields);
      this.#deps.submit({ type: 'rows', to, from, window: undefined });
    }
  }

  #snapshot({ state, height, from }: Extract<ChainOutcome, { type: 'snapshot' }>): void {
    this.#deps.metrics.count('aegis_chain_snapshots_total', state === 'installed' ? 1 : 0);
    if (state === 'installed') {
      this.#adopt().catch((error: unknown) => {
        const reason = toAegisError(error).message;
        this.#deps.log.write('warn', 'what is final is not written down yet', { reason });
      });
    }
    const level = state === 'failed' ? 'warn' : 'info';
    this.#deps.log.write(level, `a snapshot of the state is ${state}`, { height, from });
    this.#deps.moved();
  }

  #proposal({ height, proposal }: Extract<ChainOutcome, { type: 'proposal' }>): void {
    const { id, status, approvals, why } = proposal;
    const fields = { id, status, height, approvals: approvals.length, why };
    this.#deps.log.write('info', 'a proposal has moved', fields);
    this.#deps.moved();
  }

  /** Y7: told again when the first key that differs has been found. */
  #diverged(outcome: Divergence): void {
    const { height, key } = outcome;
    if (key === undefined) this.#deps.metrics.count('aegis_chain_divergences_total');
    const fields = fieldsOf(outcome);
    const message = 'a final block leads to another state here';
    this.#complaints.say('error', message, `divergence ${key ?? ''}`, fields);
    const where = key === undefined ? '' : `, first key ${key}`;
    this.#deps.security?.tell({ type: 'divergence', reason: `height ${height}${where}` });
  }

  #complain(outcome: ChainOutcome): void {
    const say = this.#complaints.say.bind(this.#complaints);
    switch (outcome.type) {
      case 'evidence': {
        const { evidence, nodeId } = outcome;
        const { kind, height, view } = evidence;
        this.#deps.metrics.count('aegis_consensus_evidence_total');
        this.#deps.accused(evidence, nodeId);
        const fields = { kind, nodeId, height, view };
        say('error', 'a custodian has signed two things for one slot', `e${nodeId}`, fields);
        return;
      }
      case 'bad-share': {
        const { from, what } = outcome;
        this.#deps.metrics.count('aegis_consensus_bad_shares_total');
        say('warn', 'a custodian has sent a false signature', `share ${from}`, { from, what });
        return;
      }
      case 'doubt':
        this.#isDoubtful = true;
        say('error', 'this node may not vote', 'doubt', { reason: outcome.reason });
        return;
      case 'proposal-refused': {
        const { height, view, proposer, reason, detail } = outcome;
        const fields = { height, view, proposer, reason, detail };
        say('warn', 'this node did not vote for a proposal', `refused ${proposer}`, fields);
        return;
      }
      case 'key-elsewhere':
        say('error', 'the consensus key of this node is in use elsewhere', 'key', {
          what: outcome.what,
        });
        return;
      case 'divergence':
        this.#diverged(outcome);
        return;
      default:
    }
  }
}

const fieldsOf = ({ height, ours, theirs, proposer, key, path }: Divergence) => ({
  ...{ height, ours, theirs, proposer, key, path },
});
