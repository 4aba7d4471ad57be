/**
 * What waits to be decided: intents and statements, of this node and of others, in the mempool and
 * on their way to those who make blocks. It keeps to the members and keys of the last final block
 * and makes no blocks.
 */
import { AegisError } from '../errors.ts';
import { readIntent, type SignedIntent } from '../model/intent.ts';
import type { ExecutedBlock } from './block-rules.ts';
import { HandedIn } from './handed-in.ts';
import type { Ledger } from './ledger.ts';
import { LIMITS } from './limits.ts';
import { Mempool } from './mempool.ts';
import { OwnIntents } from './own-intents.ts';
import { RecentSet } from './recent-set.ts';
import { relay } from './relayed.ts';
import { REPEAT_BYTES, Spread, sendIntents } from './spread.ts';
import { StatementLane } from './statement-lane.ts';
import type { Turn } from './turn.ts';
import type { ChainOptions, PendingIntent, StoredRow } from './types.ts';

export class Intake {
  readonly mempool: Mempool;
  readonly #options: ChainOptions;
  readonly #ledger: Ledger;
  readonly #own: OwnIntents;
  readonly #handedIn: HandedIn;
  readonly #spread: Spread;
  readonly #peers: ReadonlySet<string>;
  /** Digests of what had signatures that hold. */
  readonly #verified = new RecentSet(LIMITS.verifiedDigests);

  constructor(options: ChainOptions, ledger: Ledger, peers: ReadonlySet<string>) {
    const { clusterId, self, genesis } = options;
    const { roster } = ledger;
    const lane = new StatementLane(clusterId, ledger);
    this.mempool = new Mempool(
      { self },
      {
        memberCount: () => roster.count,
        baseOf: (author) => ledger.sequenceOf(author),
        keyEpochOf: (author) => roster.keyEpochOf(author),
        statements: lane,
      },
    );
    this.#options = options;
    this.#ledger = ledger;
    this.#own = new OwnIntents({ ledger, mempool: this.mempool });
    this.#handedIn = new HandedIn({
      context: { clusterId, names: genesis.names },
      ledger,
      lane,
    });
    this.#spread = new Spread(() => ledger.custodians);
    this.#peers = peers;
  }

  /** @throws {AegisError} `STORE_DAMAGED`. */
  restore(rows: readonly StoredRow[]): void {
    const { clusterId, genesis } = this.#options;
    for (const { key, value } of rows) {
      try {
        const { signed } = readIntent(value, { clusterId, names: genesis.names });
        if (signed.statement === undefined) this.#own.restore(signed);
        else this.#handedIn.restore(signed);
      } catch (cause) {
        throw new AegisError('STORE_DAMAGED', `the queued intent ${key} is damaged`, { cause });
      }
    }
  }

  /** Own intents that are not final. */
  get pending(): readonly PendingIntent[] {
    return [...this.#own.pending.values()];
  }

  /** What is sent again until it is decided. */
  get #waiting(): readonly PendingIntent[] {
    return [...this.#handedIn.pending, ...this.#own.pending.values()];
  }

  /** E1: whether this node does not decide the next block. */
  get #isAgent(): boolean {
    return this.#ledger.custodians.indexOf(this.#options.self) === -1;
  }

  nextSequence(author: string): number {
    const isOwn = author === this.#options.self;
    return isOwn ? this.#own.nextSequence(author) : this.mempool.nextSequence(author);
  }

  /** The signatures of what has this digest have been verified. */
  trust(digest: string): void {
    this.#verified.add(digest);
  }

  isTrusted(digest: string): boolean {
    return this.#verified.has(digest);
  }

  start(turn: Turn): void {
    this.#handedIn.review(turn);
    this.#spread.watch(turn, this.#waiting);
    this.#tellRetired(turn);
  }

  flush(turn: Turn): void {
    this.#spread.flush(turn, this.#peers);
  }

  repeat(turn: Turn): void {
    this.#spread.repeat(turn, this.#waiting, this.#peers);
  }

  greet(turn: Turn, peer: string): void {
    this.#spread.greet(turn, peer, this.#waiting);
  }

  /** The leader may lack what waits here: its clients may not reach it. */
  forward(turn: Turn, leader: string): void {
    const { messageIntentBytes, messageIntents } = LIMITS;
    const waiting = this.mempool.takeAll(messageIntentBytes, messageIntents, turn.now);
    sendIntents(turn, [leader], waiting);
  }

  /**
   * Whoever holds what could be decided offers it: who has sent it may be gone, and what that has
   * sent to others may be lost.
   */
  offer(turn: Turn): void {
    const waiting = this.mempool.takeAll(REPEAT_BYTES, LIMITS.messageIntents, turn.now);
    this.#spread.offer(turn, waiting, this.#peers);
  }

  /** Intents, and statements of whomever. */
  submit(turn: Turn, intents: readonly SignedIntent[], replaces: boolean): void {
    const fresh: SignedIntent[] = [];
    for (const signed of intents) {
      if (signed.statement !== undefined) {
        this.trust(signed.digest);
        fresh.push(...this.#handedIn.submit(turn, signed));
        continue;
      }
      const isNew = this.#submitIntent(turn, signed, replaces);
      if (isNew !== undefined) fresh.push(isNew);
    }
    this.#spread.add(turn, fresh, this.#peers);
    this.#spread.watch(turn, this.#waiting);
  }

  #submitIntent(turn: Turn, signed: SignedIntent, replaces: boolean): SignedIntent | undefined {
    if (signed.intent.author !== this.#options.self) {
      return relay({ ledger: this.#ledger, mempool: this.mempool }, turn, signed);
    }
    return replaces ? this.#own.replace(turn, signed) : this.#own.submit(turn, signed);
  }

  /** Those of others. An agent passes on what is new to it: its peer may know no custodian. */
  take(turn: Turn, intents: readonly SignedIntent[]): void {
    const fresh: SignedIntent[] = [];
    for (const signed of intents) {
      const found = signed.statement === undefined ? this.#takeIntent : this.#takeStatement;
      fresh.push(...found.call(this, turn, signed));
    }
    this.#spread.add(turn, fresh, this.#peers);
  }

  /** @returns what has to be passed on. */
  #takeIntent(turn: Turn, signed: SignedIntent): SignedIntent[] {
    const author = this.#ledger.roster.get(signed.intent.author);
    if (author?.status !== 'member') return [];
    this.trust(signed.digest);
    // S8: nothing more of a frozen node comes in; what waited is refused when it is decided.
    if (author.isFrozen) return [];
    const isNew = this.mempool.add(signed, turn.now) === 'added';
    return isNew && this.#isAgent ? [signed] : [];
  }

  #takeStatement(turn: Turn, signed: SignedIntent): SignedIntent[] {
    this.trust(signed.digest);
    const answer = this.mempool.statements.add(signed, turn.now);
    if (answer === 'added') return this.#isAgent ? [signed] : [];
    if (answer !== 'bad-succession') return [];
    const evidence = this.#handedIn.witness(turn, signed);
    if (evidence.length > 0) this.#spread.watch(turn, this.#waiting);
    return evidence;
  }

  /** A block is final: what it has decided, and what it has made stale, waits no more. */
  settle(turn: Turn, executed: ExecutedBlock): void {
    const last = new Map<string, number>();
    const decided = new Set<string>();
    const statements: string[] = [];
    for (const { intent, digest, statement } of executed.intents) {
      if (statement !== undefined) statements.push(digest);
      else {
        last.set(intent.author, intent.sequence);
        decided.add(digest);
      }
    }
    for (const [author, sequence] of last) this.mempool.settle(author, sequence);
    const own = last.get(this.#options.self);
    if (own !== undefined) this.#own.settle(turn, own, decided);
    this.#handedIn.settle(turn, statements);
    this.#settleMembers(turn, executed);
    this.#handedIn.review(turn);
  }

  /** Y4: a later state is in the place of the one before; what it has decided waits no more. */
  rebase(turn: Turn, height: number): void {
    const all = this.#ledger.roster.all();
    for (const { nodeId, status } of all) {
      this.mempool.settle(nodeId, this.#ledger.sequenceOf(nodeId));
      if (status === 'left') this.mempool.forget(nodeId);
      else this.mempool.retire(nodeId);
    }
    const own = [...this.#own.pending.values()].map(({ signed }) => signed.digest);
    this.#own.settle(turn, this.#ledger.sequenceOf(this.#options.self), new Set(own));
    this.#handedIn.review(turn);
    turn.tell({ type: 'roster', height, nodeIds: all.map(({ nodeId }) => nodeId) });
    this.#tellRetired(turn);
  }

  /** Members have come, gone, or changed their keys: what waits must be of the present. */
  #settleMembers(turn: Turn, { members, block }: ExecutedBlock): void {
    if (members.length === 0) return;
    for (const { nodeId, status } of members) {
      if (status === 'left') this.mempool.forget(nodeId);
      else this.mempool.retire(nodeId);
    }
    const nodeIds = members.map(({ nodeId }) => nodeId);
    turn.tell({ type: 'roster', height: block.header.height, nodeIds });
    if (nodeIds.includes(this.#options.self)) this.#tellRetired(turn);
  }

  /** What an invitation has let in until now waits no more when that has ended (M2). */
  expire(turn: Turn): void {
    if (this.mempool.statements.endsBy(turn.now)) this.#handedIn.review(turn);
  }

  /** A2. */
  #tellRetired(turn: Turn): void {
    const intents = this.#own.retired();
    if (intents.length > 0) turn.tell({ type: 'retired-epoch', intents });
  }
}
