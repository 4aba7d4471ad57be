/**
 * The quorums, counted without a rule of `consensus/`: what is final was committed by n - f
 * custodians who said so themselves, and nobody is in a later view before as many have given up the
 * one before (P5, T4). Certificates are not asked; those that misbehave may have signed anything.
 */
import type { Chain } from '../chain/chain.ts';
import type { ChainOutcome } from '../chain/types.ts';
import { REPLICA_TABLE, readRows } from '../consensus/journal.ts';
import { CONSENSUS_PROTOCOL, decodeMessage } from '../consensus/messages.ts';
import type { Envelope, Outcome } from '../machine.ts';
import type { SimNode } from './node.ts';
import { type Checker, SimFailure } from './scenario.ts';
import type { Truth } from './truth.ts';

interface VoteContext {
  readonly truth: Truth;
  readonly isByzantine: (nodeId: string) => boolean;
  readonly chainOf: (node: SimNode) => Chain | undefined;
}

interface Place {
  readonly height: number;
  readonly view: number;
}

export class VoteChecker implements Checker {
  readonly #context: VoteContext;
  /** Node ids of the honest, by what they have signed. */
  readonly #signers = new Map<string, Set<string>>();
  readonly #last = new Map<string, Uint8Array>();
  /** Machines that have said where they begin. */
  readonly #known = new WeakSet<Chain>();

  constructor(context: VoteContext) {
    this.#context = context;
  }

  onSend({ nodeId }: SimNode, { protocol, body }: Envelope): void {
    if (protocol !== CONSENSUS_PROTOCOL || this.#context.isByzantine(nodeId)) return;
    if (this.#last.get(nodeId) === body) return;
    this.#last.set(nodeId, body);
    const message = decodeMessage(body);
    if (message.type === 'timeout') this.#note(nodeId, timeoutOf(message.height, message.view));
    if (message.type === 'vote' && message.phase === 'commit') {
      this.#note(nodeId, commitOf(message.height, message.digest));
    }
  }

  onOutcome(node: SimNode, machine: string, outcome: Outcome): void {
    const { nodeId } = node;
    if (machine !== 'chain' || this.#context.isByzantine(nodeId)) return;
    const told = outcome as ChainOutcome;
    if (told.type === 'voted' && told.phase === 'timeout') {
      this.#note(nodeId, timeoutOf(told.height, told.view));
    }
    if (told.type === 'voted' && told.phase === 'commit') {
      this.#note(nodeId, commitOf(told.height, told.digest!));
    }
    if (told.type === 'finalised') {
      const { height, digest } = told.certificate;
      this.#count(node, height, commitOf(height, digest), `calls ${height} final`);
    }
    if (told.type === 'entered' && !this.#isStart(node, told) && told.view > 0) {
      const what = `enters view ${told.view} of height ${told.height}`;
      this.#count(node, told.height, timeoutOf(told.height, told.view - 1), what);
    }
  }

  /**
   * A run begins where the one before had come to, which may have ended before it could say so: its
   * own part in that counts.
   */
  #isStart(node: SimNode, { height, view }: Place): boolean {
    const chain = this.#context.chainOf(node);
    if (chain === undefined || this.#known.has(chain)) return false;
    this.#known.add(chain);
    if (view > 0) this.#note(node.nodeId, timeoutOf(height, view - 1));
    this.#note(node.nodeId, commitOf(height - 1, chain.tip().digest));
    this.#noteDurable(node);
    return true;
  }

  /** A leader sends its own vote to nobody, and may end when that is durable, before it tells. */
  #noteDurable({ nodeId, disk }: SimNode): void {
    const { slot } = readRows(disk.scan(REPLICA_TABLE));
    const digest = slot?.shares.commit?.digest;
    if (digest !== undefined) this.#note(nodeId, commitOf(slot!.height, digest));
  }

  #note(nodeId: string, what: string): void {
    const signers = this.#signers.get(what) ?? new Set<string>();
    this.#signers.set(what, signers.add(nodeId));
  }

  #count({ options }: SimNode, height: number, what: string, claim: string): void {
    const { truth, isByzantine } = this.#context;
    const { nodeIds, size } = truth.at(height);
    const byzantine = nodeIds.filter((nodeId) => isByzantine(nodeId)).length;
    const needed = size - truth.faultyMax(height) - byzantine;
    const signers = [...(this.#signers.get(what) ?? [])];
    const count = signers.filter((nodeId) => nodeIds.includes(nodeId)).length;
    if (count >= needed) return;
    throw new SimFailure(
      `certificates: ${options.name} ${claim}, and only ${count} of ${needed} honest signed it`,
    );
  }
}

/** Of any view: a block that was committed in two views is one block. */
const commitOf = (height: number, digest: string): string => `commit ${height} ${digest}`;
const timeoutOf = (height: number, view: number): string => `timeout ${height}/${view}`;
