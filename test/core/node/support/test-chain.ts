/**
 * A chain that decides when the test says so: real intents, real execution, real receipts, and one
 * block whenever `decide` is called, or at once. Nobody votes.
 */
import {
  type ChainInput,
  type ChainOutcome,
  type Finalised,
  type PendingIntent,
} from '../../../../src/core/chain/chain.ts';
import { executeIntents, type Receipt, readRef } from '../../../../src/core/chain/execution.ts';
import type { RefState } from '../../../../src/core/chain/ref.ts';
import { Registers } from '../../../../src/core/chain/registers.ts';
import { Roster } from '../../../../src/core/chain/roster.ts';
import { receiptRow, TABLES } from '../../../../src/core/chain/rows.ts';
import { StateTree } from '../../../../src/core/chain/state-tree.ts';
import { AegisError } from '../../../../src/core/errors.ts';
import { type Machine, type Ready, ReadyBuilder } from '../../../../src/core/machine.ts';
import type { SignedIntent } from '../../../../src/core/model/intent.ts';
import { PROTOCOL } from '../../../../src/core/model/protocol.ts';
import { contextOf } from '../../../helpers/names.ts';

export const CLUSTER_ID = 'aegisc1test';
/** Whether somebody is a member is asked before intents are executed. */
const NOBODY = new Roster([]);
/** Nobody has decided anything. */
const REGISTERS = new Registers(PROTOCOL.max);
const CONTEXT = contextOf(CLUSTER_ID);

type Input =
  | ChainInput
  | { readonly type: 'decide'; readonly intents: readonly SignedIntent[] }
  | { readonly type: 'retire' };

export class TestChain implements Machine<Input> {
  height = 0;
  /** Whether intents are decided as they come. */
  isQuick = true;
  /** What comes is refused with this. */
  refusal: AegisError | undefined;
  /** Whether linearizable reads are answered. */
  answersReads = true;
  readonly #self: string;
  #state = StateTree.empty;
  readonly #receipts = new Map<string, Receipt>();
  #pending: PendingIntent[] = [];
  #decided = new Map<string, number>();

  constructor(self: string) {
    this.#self = self;
  }

  ref(path: string): RefState | undefined {
    return readRef(this.#state, CONTEXT.names, path);
  }

  nextSequence(author: string): number {
    const waiting = author === this.#self ? this.#pending.length : 0;
    return (this.#decided.get(author) ?? 0) + waiting + 1;
  }

  pending(): readonly PendingIntent[] {
    return this.#pending;
  }

  receipt(id: string): Receipt | undefined {
    return this.#receipts.get(id);
  }

  step(input: Input): Ready {
    const ready = new ReadyBuilder<ChainOutcome>();
    if (input.type === 'submit') this.#submit(ready, input.intents);
    else if (input.type === 'retire') {
      ready.tell({ type: 'retired-epoch', intents: this.#pending.map(({ signed }) => signed) });
    } else if (input.type === 'decide') this.#decide(ready, input.intents);
    else if (input.type === 'read-index' && this.answersReads) {
      ready.tell({ type: 'read-index', id: input.id, height: this.height });
    } else if (input.type === 'read-index') {
      const error = new AegisError('TIMEOUT', 'too few custodians have said what is final');
      ready.tell({ type: 'read-failed', id: input.id, error });
    }
    return ready.build();
  }

  #submit(ready: ReadyBuilder<ChainOutcome>, intents: readonly SignedIntent[]): void {
    for (const signed of intents) {
      const { id, digest, intent } = signed;
      if (this.refusal !== undefined) {
        ready.tell({ type: 'refused', id, digest, error: this.refusal });
        continue;
      }
      // What was cancelled gives its place to the intent that cancels it.
      const others = this.#pending.filter((one) => {
        return one.signed.intent.sequence !== intent.sequence;
      });
      this.#pending = [...others, { signed, since: 0 }];
      ready.persist(TABLES.pending, String(intent.sequence), signed.bytes);
      ready.tell({ type: 'accepted', id, digest, sequence: intent.sequence });
    }
    if (this.isQuick) this.#decide(ready, []);
  }

  /** @param others intents of other nodes, which come first. */
  #decide(ready: ReadyBuilder<ChainOutcome>, others: readonly SignedIntent[]): void {
    const own = this.#pending.map((one) => one.signed);
    const signed = [...others, ...own];
    if (signed.length === 0) return;
    this.height += 1;
    const { height } = this;
    const block = { ...CONTEXT, height, time: height, roster: NOBODY, registers: REGISTERS };
    const { receipts, changes, paths } = executeIntents(this.#state, signed, block);
    this.#state = this.#state.update(changes);
    for (const [n, receipt] of receipts.entries()) {
      this.#receipts.set(receipt.id, receipt);
      this.#decided.set(receipt.author, receipt.sequence);
      ready.persist(TABLES.receipts, signed[n]!.id, receiptRow(receipt));
    }
    this.#pending = [];
    ready.tell({ ...facts(this.height), intents: signed.length, signed, receipts, paths });
  }
}

const facts = (height: number): Omit<Finalised, 'intents' | 'signed' | 'receipts' | 'paths'> => {
  const digest = height.toString(16).padStart(64, '0');
  const signature = new Uint8Array(96);
  return {
    type: 'finalised',
    height,
    digest,
    view: 0,
    time: height,
    proposer: 'aegis1nobody',
    sizeBytes: 100,
    namespaces: [],
    anchors: [],
    certificate: { phase: 'commit', height, view: 0, digest, signers: [0], signature },
  };
};
