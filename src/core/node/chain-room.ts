/** The chain of a running node and all that stands around it, married. */
import { Chain, type ChainInput, type ChainOutcome, type Finalised } from '../chain/chain.ts';
import { LIMITS } from '../chain/limits.ts';
import {
  CHAIN_PROTOCOL,
  type ChainMessage,
  CONSENSUS_PROTOCOL,
  openMessage,
} from '../chain/messages.ts';
import { RECOVERY_TABLES, TABLES, undecidedFrom } from '../chain/rows.ts';
import { vrfScheme } from '../chain/seeds.ts';
import { StateStore } from '../chain/state-store.ts';
import type { StoredRow } from '../chain/types.ts';
import type { Settings } from '../config/settings.ts';
import { blsScheme } from '../consensus/bls-scheme.ts';
import { CustodianSet, CustodianSets } from '../consensus/custodian-sets.ts';
import { EVIDENCE_TABLE, REPLICA_TABLE } from '../consensus/journal.ts';
import type { Standing } from '../consensus/replica.ts';
import type { Evidence } from '../consensus/types.ts';
import { verifyEd25519InPool } from '../crypto/sign.ts';
import type { AegisError } from '../errors.ts';
import type { Keystore } from '../keys/keystore.ts';
import type { Outcome } from '../machine.ts';
import type { Genesis } from '../model/genesis.ts';
import type { OpenInvitationFile } from '../model/invitation-file.ts';
import type { IncomingEnvelope } from '../network/rpc-server.ts';
import type { Log, Metrics, Rows, Security } from '../ports.ts';
import type { ChainStore } from '../storage/chain-store.ts';
import { auditOwnChain } from './audit.ts';
import type { AuditFinding } from './audit-desk.ts';
import { Author } from './author.ts';
import { BlockArchive } from './block-archive.ts';
import { ChainDesk } from './chain-desk.ts';
import { ChainFaults } from './chain-faults.ts';
import { checkpointOf, protocolMaxOf } from './chain-settings.ts';
import { Finals } from './finals.ts';
import { IntentDesk } from './intent-desk.ts';
import { LinearReads } from './linear-reads.ts';
import { mayVote } from './may-vote.ts';
import type { FinalMerge } from './merge/final-merges.ts';
import { MessageGate } from './message-gate.ts';
import { intentIds, Pruner } from './pruner.ts';
import { RoundLog } from './round-log.ts';
import { timingOf } from './route.ts';

export interface ChainRoomOptions {
  readonly settings: Settings;
  readonly genesis: Genesis;
  readonly keystore: Keystore;
  readonly invited: OpenInvitationFile | undefined;
  /** D7: an operator says that the home has voted nothing that it does not remember. */
  readonly vouch?: boolean;
}

export interface ChainRoomDeps {
  readonly store: ChainStore;
  /** W41: the same tables, as the machine has written them. */
  readonly rows: Rows;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly security?: Security | undefined;
  submit(input: ChainInput): void;
  offer(input: ChainInput, origin: { from: string; sizeBytes: number }): void;
  /** Something of the present height has changed. */
  moved(): void;
  finalised(block: Finalised): void;
  accused(evidence: Evidence, nodeId: string): void;
  /** W11 */
  merged(merges: readonly FinalMerge[]): void;
}

const CONSENSUS_TABLES = [REPLICA_TABLE, EVIDENCE_TABLE];
/** Sorts after every key of `chain/blocks`. */
const END = '~';

export class ChainRoom {
  readonly chain: Chain;
  readonly author: Author;
  readonly desk: IntentDesk;
  readonly finals: Finals;
  readonly reads: LinearReads;
  readonly archive: BlockArchive;
  readonly rounds: RoundLog;
  readonly faults: ChainFaults;
  readonly pruner: Pruner;
  readonly #kept: { readonly genesis: Genesis; readonly store: ChainStore };
  readonly #gate: MessageGate<ChainMessage>;
  readonly #chainDesk: ChainDesk;
  /** When this node has heard last of each custodian, in consensus. */
  readonly #heardAt = new Map<string, number>();
  #height: number;

  /** @throws {AegisError} `STORE_DAMAGED` for rows that do not fit together. */
  static async open(options: ChainRoomOptions, deps: ChainRoomDeps): Promise<ChainRoom> {
    const standing = await standingOf(options, deps);
    const rows = await readChainRows(deps.store);
    const chain = recoverChain(options, rows, standing, new StateStore(deps.rows));
    const finals = await Finals.open(deps.store);
    const isDoubtful = standing === 'doubtful' || chain.status().doubt !== undefined;
    const pruner = await prunerOf(options, deps, { chain, finals });
    return new ChainRoom(options, deps, { chain, finals, pruner, isDoubtful });
  }

  private constructor(
    { genesis, keystore }: ChainRoomOptions,
    deps: ChainRoomDeps,
    parts: { chain: Chain; finals: Finals; pruner: Pruner; isDoubtful: boolean },
  ) {
    const { store, log, metrics, submit } = deps;
    const { clusterId, names } = genesis;
    const { chain, finals } = parts;
    const { roster } = chain;
    this.#kept = { genesis, store };
    this.chain = chain;
    this.#height = chain.height;
    this.author = new Author(keystore.nodeId, { roster, ring: keystore });
    this.finals = finals;
    this.pruner = parts.pruner;
    this.archive = new BlockArchive(store);
    this.rounds = new RoundLog(chain);
    this.faults = new ChainFaults(deps);
    this.reads = new LinearReads({ height: () => this.height, submit });
    const receipt = async (id: string) =>
      chain.receipt(id) ?? (await this.archive.receipts([id]))[0];
    this.desk = new IntentDesk(
      { self: keystore.nodeId, clusterId, names, pendingMax: LIMITS.authorIntents },
      { chain, author: this.author, submit, receipt },
    );
    const settle = () => store.settle();
    this.#chainDesk = new ChainDesk(
      { ...deps, ...this.#parts(), context: genesis, settle },
      parts.isDoubtful,
    );
    const opening = {
      clusterId,
      names,
      height: () => chain.height,
      hasKey: (author: string, keyEpoch: number) =>
        roster.identityKey(author, keyEpoch) !== undefined,
      isKnown: (digest: string) => chain.isKnown(digest),
      isWaiting: (digest: string) => chain.isWaiting(digest),
    };
    this.#gate = new MessageGate<ChainMessage>(
      {},
      {
        isAllowed: (from, protocol) =>
          protocol !== CONSENSUS_PROTOCOL || mayVote(chain, genesis.custodians, from),
        open: (protocol, body) => openMessage(protocol, body, opening),
        keyOf: (nodeId, keyEpoch) => roster.identityKey(nodeId, keyEpoch),
        verify: verifyEd25519InPool,
        offer: (from, message, sizeBytes) => {
          if (message.type === 'consensus') this.#heardAt.set(from, Date.now());
          deps.offer({ type: 'message', from, message }, { from, sizeBytes });
        },
        refused: (from, error) => this.#chainDesk.refused(from, error),
        metrics,
      },
    );
    log.write('info', 'the chain is read', {
      height: chain.height,
      pending: this.desk.pendingCount,
    });
    metrics.gauge('aegis_chain_height', chain.height);
  }

  /** @returns whether the envelope is of the chain. */
  take(envelope: IncomingEnvelope): boolean {
    const { protocol } = envelope;
    if (protocol !== CHAIN_PROTOCOL && protocol !== CONSENSUS_PROTOCOL) return false;
    this.#gate.take(envelope);
    return true;
  }

  /**
   * The last final height that may be shown: its block is durable here. The chain steps ahead of
   * the disk, and what it has only in memory can neither be read nor survive a crash.
   */
  get height(): number {
    return this.#height;
  }

  tell(outcome: Outcome): void {
    this.#reached(outcome as ChainOutcome);
    this.#chainDesk.tell(outcome);
    if (outcome.type === 'roster') this.#gate.retry();
  }

  /** When a custodian was heard last; undefined: not since the start. */
  heardAt(nodeId: string): number | undefined {
    return this.#heardAt.get(nodeId);
  }

  /** Call before anything is stepped. */
  catchUp(): Promise<void> {
    return this.#chainDesk.catchUp();
  }

  fail(error: AegisError): void {
    this.#chainDesk.fail(error);
  }

  /** Y8. Rejects with the reason of `signal`. */
  audit(signal: AbortSignal): Promise<AuditFinding> {
    const { chain, archive, pruner } = this;
    const base = (): number => pruner.base;
    const reached = (height: number, until: AbortSignal) => this.reads.reach(height, until);
    return auditOwnChain({ ...this.#kept, chain, archive, base, reached }, signal);
  }

  /** Before the store is closed. */
  async close(): Promise<void> {
    await this.pruner.close();
    await this.#chainDesk.close();
  }

  #reached(outcome: ChainOutcome): void {
    const isInstalled = outcome.type === 'snapshot' && outcome.state === 'installed';
    if (outcome.type === 'finalised' || isInstalled) this.#height = outcome.height;
  }

  #parts() {
    const { chain, desk, finals, reads, archive, rounds, faults, pruner } = this;
    return { chain, desk, finals, reads, archive, rounds, faults, pruner };
  }
}

/** Z1 */
async function prunerOf(
  { genesis, settings }: ChainRoomOptions,
  { store, log, metrics, submit }: ChainRoomDeps,
  { chain, finals }: { chain: Chain; finals: Finals },
): Promise<Pruner> {
  return await Pruner.open(
    { keepBlocks: settings['chain.keepBlocks'] },
    {
      ...{ store, log, metrics },
      idsOf: intentIds(genesis),
      // The index of final versions is made up for from the blocks.
      height: () => Math.min(chain.height, finals.height),
      base: () => chain.base,
      pruned: (base) => submit({ type: 'pruned', base }),
    },
  );
}

/** D3, D7, K2. */
async function standingOf(
  { vouch = false, keystore }: ChainRoomOptions,
  { store, log }: ChainRoomDeps,
): Promise<Standing> {
  const { standing, reason } = await store.standing();
  if (vouch) {
    log.write('warn', 'an operator vouches for what this home has voted', { reason });
    await store.settle();
    // K2
    await keystore.vouch();
    return 'vouched';
  }
  if (reason !== undefined) {
    log.write('error', 'this home may have voted what it does not remember', { reason });
  }
  if (keystore.restored === undefined) return standing;
  log.write('error', 'this home was restored: it does not vote with the keys that it brought', {
    hint: 'Give it another: aegis keys rotate --consensus',
  });
  return 'restored';
}

/** What `Chain.recover` needs beside the state; of the blocks only those that are not final. */
export async function readChainRows(store: ChainStore): Promise<StoredRow[]> {
  const rows: StoredRow[] = [];
  for (const table of [...RECOVERY_TABLES, ...CONSENSUS_TABLES]) {
    for (const row of await store.scan(table)) rows.push({ table, ...row });
  }
  const from = undecidedFrom(rows.filter(({ table }) => table === TABLES.meta));
  const limit = LIMITS.undecidedBlocks * 4;
  const blocks = await store.range({ table: TABLES.blocks, from, to: END, limit });
  return [...rows, ...blocks.map((row) => ({ table: TABLES.blocks, ...row }))];
}

function recoverChain(
  { genesis, keystore, settings, invited }: ChainRoomOptions,
  rows: readonly StoredRow[],
  standing: Standing,
  state: StateStore,
): Chain {
  const { clusterId, custodians } = genesis;
  const { nodeId: self } = keystore;
  const sets = new CustodianSets(new CustodianSet(custodians));
  // Also of an agent: it may be a custodian one day.
  const own = { self: { nodeId: self, ring: keystore }, sets };
  const schemeOf = (other: CustodianSets) => blsScheme({ sets: other });
  const deps = { scheme: blsScheme(own), seeds: vrfScheme(own), sets, schemeOf, state };
  const options = {
    ...{ clusterId, genesis, self, held: keystore.heldConsensusKeys() },
    protocolMax: protocolMaxOf(settings),
    checkpoint: checkpointOf(settings, invited),
    snapshots: settings['chain.snapshots'],
    ...timingOf(settings['tor.route']),
  };
  return Chain.recover(options, deps, rows, standing);
}
