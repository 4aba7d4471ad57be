/**
 * The intents of this node: signs them in the order of their sequence, hands them to the chain, and
 * tells whoever waits what became of them. What is durable stays queued whether anybody waits or
 * not. Which changes make sense is for its callers to know.
 */

import type { CID } from 'multiformats/cid';
import type { Receipt } from '../chain/execution.ts';
import type { ChainInput, ChainOutcome, PendingIntent } from '../chain/types.ts';
import { AegisError, isAegisError } from '../errors.ts';
import { isMove } from '../model/change.ts';
import {
  type Change,
  createIntent,
  type IntentContext,
  intentIdOf,
  type Move,
  type SignedIntent,
} from '../model/intent.ts';
import { Turns } from '../turns.ts';
import type { Verified } from '../units.ts';
import type { Author } from './author.ts';
import { Waiting } from './waiting.ts';

export interface IntentDeskOptions extends IntentContext {
  readonly self: string;
  /** Own intents that may wait to be decided. */
  readonly pendingMax: number;
}

export interface IntentDeskDeps {
  readonly chain: {
    nextSequence(author: string): number;
    pending(): readonly PendingIntent[];
  };
  readonly author: Pick<Author, 'keyEpoch' | 'signer' | 'signed'>;
  submit(input: Extract<ChainInput, { type: 'submit' }>): void;
  /** What became of an intent that was decided, however long ago. */
  receipt(id: string): Promise<Receipt | undefined>;
}

/** An own intent that is durable: it waits, or it was decided before. */
export interface Queued {
  readonly id: string;
  readonly sequence: number;
  readonly receipt: Receipt | undefined;
}

interface Own {
  readonly signed: SignedIntent;
  /** Durable; until then nobody is told of it. */
  isAccepted: boolean;
  /** What has been put in its place, and may be decided instead. */
  empty: Verified<SignedIntent> | undefined;
}

/** Own intents that were decided, kept to be listed. */
const DECIDED_MAX = 1000;

export class IntentDesk {
  readonly #options: IntentDeskOptions;
  readonly #deps: IntentDeskDeps;
  readonly #pending = new Map<number, Own>();
  readonly #byId = new Map<string, number>();
  /** By path, the sequences of the pending intents that move it, ascending. */
  readonly #byPath = new Map<string, number[]>();
  /** Versions that pending intents move paths to. */
  readonly #versions = new Set<string>();
  readonly #accepted = new Waiting<true>();
  readonly #decided = new Waiting<Receipt>();
  readonly #recent: { readonly signed: SignedIntent; readonly receipt: Receipt }[] = [];
  readonly #never = new AbortController().signal;
  /** A2: those that could not be signed anew yet. */
  #unsigned: readonly SignedIntent[] = [];
  #next = 0;
  readonly #turns = new Turns();

  constructor(options: IntentDeskOptions, deps: IntentDeskDeps) {
    this.#options = options;
    this.#deps = deps;
    for (const { signed } of deps.chain.pending()) this.#add(signed, true);
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /** All of them are durable and queued when it resolves, or none. @throws {AegisError} `BUSY`. */
  submit(wanted: readonly (readonly Change[])[]): Promise<Queued[]> {
    return this.#turns.run(() => this.#submit(wanted));
  }

  /**
   * The move of a path that waits to be decided last, if one does. A merge is none: it may be
   * refused for any news, and what is written meanwhile is merged with it.
   */
  lastPending(path: string): { readonly change: Move; readonly queued: Queued } | undefined {
    const sequences = this.#byPath.get(path) ?? [];
    for (const sequence of sequences.toReversed()) {
      const signed = this.#pending.get(sequence)?.signed;
      const change = signed?.intent.changes
        .filter(isMove)
        .findLast((one) => one.path === path && one.merge === undefined);
      if (signed === undefined || change === undefined) continue;
      return { change, queued: { id: signed.id, sequence, receipt: undefined } };
    }
    return undefined;
  }

  /** Whether an intent that waits moves a path to this version. */
  isPending(version: CID): boolean {
    return this.#versions.has(version.toString());
  }

  /**
   * What became of an own intent. @throws {AegisError} `NOT_FOUND` when another one was decided in
   * its place; the reason of `signal`.
   */
  async wait({ id, sequence, receipt }: Queued, signal: AbortSignal): Promise<Receipt> {
    const decided = receipt ?? (await this.#decisionOf(id, sequence, signal));
    if (decided?.id === id) return decided;
    throw new AegisError('NOT_FOUND', `the intent ${id} was cancelled`);
  }

  #decisionOf(id: string, sequence: number, signal: AbortSignal): Promise<Receipt | undefined> {
    // It may have been decided before anybody came to wait for it.
    return this.#pending.has(sequence)
      ? this.#decided.wait(String(sequence), () => true, signal)
      : this.#deps.receipt(id);
  }

  /** An own intent that waits. */
  pending(id: string): SignedIntent | undefined {
    return this.#pending.get(this.#byId.get(id) ?? 0)?.signed;
  }

  /** Own intents that wait, in the order of their sequence. */
  allPending(): SignedIntent[] {
    return [...this.#pending.values()].filter((own) => own.isAccepted).map((own) => own.signed);
  }

  /** Own intents that were decided since the start, the last one last. */
  recent(): readonly { readonly signed: SignedIntent; readonly receipt: Receipt }[] {
    return this.#recent;
  }

  /** Puts an intent without changes in the place of one that waits; either may be decided. */
  async cancel(id: string, signal: AbortSignal): Promise<Receipt> {
    const sequence = this.#byId.get(id) ?? 0;
    const own = this.#pending.get(sequence);
    if (own === undefined) throw new AegisError('NOT_FOUND', `no intent ${id} waits here`);
    const decided = this.#decided.wait(String(sequence), () => true, signal);
    decided.catch(() => {});
    if (own.empty === undefined) {
      const empty = this.#sign([], sequence);
      const queued = this.#accepted.wait(empty.digest, () => true, signal);
      this.#deps.submit({ type: 'submit', intents: [empty] });
      await Promise.race([queued, decided]);
      // Repeating it finds the same one: another would be another claim to the sequence.
      own.empty = empty;
    }
    return await decided;
  }

  /** @returns own intents in the place of which others were decided. */
  tell(outcome: ChainOutcome): SignedIntent[] {
    const replaced: SignedIntent[] = [];
    if (outcome.type === 'accepted') this.#accept(outcome.digest, outcome.sequence);
    else if (outcome.type === 'refused') this.#refuse(outcome.digest, outcome.error);
    else if (outcome.type === 'retired-epoch') this.#signAnew(outcome.intents);
    else if (outcome.type === 'finalised') {
      const unsigned = this.#unsigned;
      this.#unsigned = [];
      this.#signAnew(unsigned.filter(({ intent }) => this.#pending.has(intent.sequence)));
      for (const receipt of outcome.receipts) {
        // Statements are of another desk.
        if (receipt.sequence === 0) continue;
        if (receipt.author !== this.#options.self) continue;
        const signed = this.#decide(receipt);
        if (signed !== undefined && signed.id !== receipt.id) replaced.push(signed);
      }
    }
    return replaced;
  }

  /** Ends all waits; what is queued stays so. */
  fail(error: AegisError): void {
    this.#accepted.fail(error);
    this.#decided.fail(error);
  }

  async #submit(wanted: readonly (readonly Change[])[]): Promise<Queued[]> {
    const { self } = this.#options;
    const ids = wanted.map((changes) => intentIdOf(this.#options, self, changes));
    const known = new Map<string, Queued>();
    await Promise.all(
      ids.map(async (id, n) => {
        const found = await this.#find(id, wanted[n]!);
        if (found !== undefined) known.set(id, found);
      }),
    );
    this.#checkRoom(new Set(ids).size - known.size);
    const missing = new Map<string, readonly Change[]>();
    for (const [n, id] of ids.entries()) if (!known.has(id)) missing.set(id, wanted[n]!);
    const made = await this.#deps.author.signed(() => this.#make([...missing.values()]));
    for (const { id, intent } of made) {
      known.set(id, { id, sequence: intent.sequence, receipt: undefined });
    }
    return ids.map((id) => known.get(id)!);
  }

  /** Signs and queues them in one go: nothing is decided, and no key retired, in between. */
  #make(wanted: readonly (readonly Change[])[]): Promise<readonly SignedIntent[]> {
    const made = this.#signAll(wanted);
    for (const signed of made) this.#add(signed, false);
    return this.#queue(made);
  }

  /** All or none: one that cannot be made, as it is too long, leaves no trace of the others. */
  #signAll(wanted: readonly (readonly Change[])[]): Verified<SignedIntent>[] {
    try {
      return wanted.map((changes) => this.#sign(changes, this.#take()));
    } catch (error) {
      this.#next = 0;
      throw error;
    }
  }

  async #queue(made: readonly Verified<SignedIntent>[]): Promise<readonly SignedIntent[]> {
    if (made.length === 0) return made;
    const all = Promise.all(
      made.map((one) => this.#accepted.wait(one.digest, () => true, this.#never)),
    );
    this.#deps.submit({ type: 'submit', intents: made });
    await all;
    return made;
  }

  async #find(id: string, changes: readonly Change[]): Promise<Queued | undefined> {
    const sequence = this.#byId.get(id);
    if (sequence !== undefined) return { id, sequence, receipt: undefined };
    // A version is made once; a right may be given, taken, and given again by the same words.
    if (!changes.every(isMove)) return undefined;
    const receipt = await this.#deps.receipt(id);
    // What was refused has changed nothing, and may be asked for again.
    if (receipt === undefined || receipt.result === 'refused') return undefined;
    return { id, sequence: receipt.sequence, receipt };
  }

  #sign(changes: readonly Change[], sequence: number): Verified<SignedIntent> {
    const { self } = this.#options;
    const { author } = this.#deps;
    const { keyEpoch } = author;
    const intent = { author: self, sequence, time: Date.now(), changes, keyEpoch };
    return createIntent(intent, this.#options, author.signer());
  }

  /** Undefined when the key is out of reach: a signer may be, for a while. */
  #trySign(changes: readonly Change[], sequence: number): Verified<SignedIntent> | undefined {
    try {
      return this.#sign(changes, sequence);
    } catch (error) {
      if (isAegisError(error)) return undefined;
      throw error;
    }
  }

  /** A2: what waits and was signed under an earlier key epoch is signed anew, with its id. */
  #signAnew(retired: readonly SignedIntent[]): void {
    const anew: Verified<SignedIntent>[] = [];
    for (const [n, { id, intent }] of retired.entries()) {
      const own = this.#pending.get(intent.sequence);
      const made = this.#trySign(intent.changes, intent.sequence);
      if (made === undefined) {
        this.#unsigned = retired.slice(n);
        break;
      }
      anew.push(made);
      if (own?.signed.id === id) this.#pending.set(intent.sequence, { ...own, signed: made });
      else if (own !== undefined && own.empty?.id === id) own.empty = made;
    }
    if (anew.length > 0) this.#deps.submit({ type: 'submit', intents: anew, replaces: true });
  }

  /** Steps of the chain come later than ours, so both count. */
  #take(): number {
    const sequence = Math.max(this.#next, this.#deps.chain.nextSequence(this.#options.self));
    this.#next = sequence + 1;
    return sequence;
  }

  #checkRoom(more: number): void {
    const { pendingMax } = this.#options;
    if (this.#pending.size + more <= pendingMax) return;
    throw new AegisError('BUSY', `${this.#pending.size} intents of this node wait already`, {
      hint: `At most ${pendingMax} may. See: aegis consensus status --why`,
    });
  }

  #add(signed: SignedIntent, isAccepted: boolean): void {
    const { sequence, changes } = signed.intent;
    this.#pending.set(sequence, { signed, isAccepted, empty: undefined });
    this.#byId.set(signed.id, sequence);
    const moves = changes.filter(isMove);
    for (const { version } of moves) this.#versions.add(version.toString());
    for (const path of new Set(moves.map((move) => move.path))) {
      const sequences = this.#byPath.get(path) ?? [];
      this.#byPath.set(path, sequences);
      sequences.push(sequence);
    }
  }

  #drop(sequence: number): SignedIntent | undefined {
    const own = this.#pending.get(sequence);
    if (own === undefined) return undefined;
    this.#pending.delete(sequence);
    this.#byId.delete(own.signed.id);
    for (const { path, version } of own.signed.intent.changes.filter(isMove)) {
      this.#versions.delete(version.toString());
      const rest = this.#byPath.get(path)?.filter((one) => one !== sequence) ?? [];
      if (rest.length === 0) this.#byPath.delete(path);
      else this.#byPath.set(path, rest);
    }
    return own.signed;
  }

  #accept(digest: string, sequence: number): void {
    const own = this.#pending.get(sequence);
    if (own?.signed.digest === digest) own.isAccepted = true;
    this.#accepted.tell(digest, true);
  }

  #refuse(digest: string, error: AegisError): void {
    for (const [sequence, { signed, isAccepted }] of this.#pending) {
      if (signed.digest === digest && !isAccepted) this.#drop(sequence);
    }
    // What the chain did not take leaves no gap.
    this.#next = 0;
    this.#accepted.fail(error, digest);
  }

  #decide(receipt: Receipt): SignedIntent | undefined {
    const signed = this.#drop(receipt.sequence);
    this.#decided.tell(String(receipt.sequence), receipt);
    if (signed?.id === receipt.id) this.#recent.push({ signed, receipt });
    if (this.#recent.length > DECIDED_MAX) this.#recent.shift();
    return signed;
  }
}
