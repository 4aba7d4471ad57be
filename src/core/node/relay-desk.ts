/**
 * Takes intents that were signed elsewhere and hands them in (docs/history.md, Q3): what does not
 * fit is refused before anything of the request is taken. It keeps nothing; what is handed in lives
 * in the mempool until it is decided, or until this node restarts.
 */
import type { Body, Result } from '../api/contract/endpoints.ts';
import type { Chain, ChainInput, ChainOutcome } from '../chain/chain.ts';
import type { Receipt } from '../chain/execution.ts';
import { verifyEd25519InPool } from '../crypto/sign.ts';
import { AegisError, hasCode } from '../errors.ts';
import { type IntentContext, readIntent, type SignedIntent } from '../model/intent.ts';
import { type Verified, verified } from '../units.ts';
import { fateOf } from './intent-views.ts';
import { timeout } from './timeout.ts';
import { Waiting } from './waiting.ts';

export interface RelayDeskDeps {
  readonly chain: Pick<Chain, 'roster' | 'nextSequence' | 'isWaiting'>;
  submit(input: Extract<ChainInput, { type: 'submit' }>): void;
  /** What became of an intent that was decided, however long ago. */
  receipt(id: string): Promise<Receipt | undefined>;
}

type Parcel = ReturnType<typeof readIntent>;

export class RelayDesk {
  readonly #context: IntentContext;
  readonly #deps: RelayDeskDeps;
  readonly #accepted = new Waiting<true>();
  /** By the digest of the intent. */
  readonly #decided = new Waiting<Receipt>();

  constructor(context: IntentContext, deps: RelayDeskDeps) {
    this.#context = context;
    this.#deps = deps;
  }

  async relay(
    { signed, wait, timeoutMs }: Body<'intents.relay'>,
    signal: AbortSignal,
  ): Promise<Result<'intents.relay'>> {
    const parcels = signed.map((text) => readIntent(Buffer.from(text, 'base64'), this.#context));
    for (const parcel of parcels) await this.#verify(parcel);
    await this.#checkOrder(parcels.map((parcel) => parcel.signed));
    const until = AbortSignal.any([signal, timeout(timeoutMs)]);
    // Before they are handed in, for they may be decided at once.
    const isAwaited = wait === 'final';
    const decided = isAwaited ? parcels.map(({ signed: one }) => this.#wait(one, until)) : [];
    // Nobody hears of them when one is refused below, and the caller hangs up then.
    for (const one of decided) one.catch(() => {});
    const intents = parcels.map((parcel) => verified(parcel.signed));
    await this.#queue(intents, until);
    const receipts = await Promise.all(decided);
    signal.throwIfAborted();
    return {
      intents: intents.map(({ id, intent: { sequence } }, n) =>
        fateOf({ id, sequence, receipt: receipts[n] }, receipts[n]),
      ),
      wait,
    };
  }

  tell(outcome: ChainOutcome): void {
    if (outcome.type === 'accepted') this.#accepted.tell(outcome.digest, true);
    else if (outcome.type === 'refused') this.#accepted.fail(outcome.error, outcome.digest);
    else if (outcome.type === 'finalised') {
      for (const [n, { digest }] of outcome.signed.entries()) {
        this.#decided.tell(digest, outcome.receipts[n]!);
      }
    }
  }

  fail(error: AegisError): void {
    this.#accepted.fail(error);
    this.#decided.fail(error);
  }

  async #queue(intents: readonly Verified<SignedIntent>[], signal: AbortSignal): Promise<void> {
    const fresh = intents.filter(({ digest }) => !this.#deps.chain.isWaiting(digest));
    if (fresh.length === 0) return;
    const taken = fresh.map(({ digest }) => this.#accepted.wait(digest, () => true, signal));
    this.#deps.submit({ type: 'submit', intents: fresh });
    await Promise.all(taken);
  }

  async #wait({ digest }: SignedIntent, signal: AbortSignal): Promise<Receipt | undefined> {
    try {
      return await this.#decided.wait(digest, () => true, signal);
    } catch (error) {
      if (hasCode(error, 'TIMEOUT')) return undefined;
      throw error;
    }
  }

  async #verify({ signed, checks }: Parcel): Promise<void> {
    if (signed.statement !== undefined) {
      throw new AegisError('BAD_REQUEST', 'that is a statement, and no intent');
    }
    const { author, keyEpoch } = signed.intent;
    const { roster } = this.#deps.chain;
    if (!roster.isMember(author)) {
      throw new AegisError('DENIED', `the author of the intent is no member: ${author}`);
    }
    const key = roster.identityKey(author, keyEpoch);
    for (const { message, signature } of checks) {
      if (key !== undefined && (await verifyEd25519InPool(key, message, signature))) continue;
      throw new AegisError('BAD_SIGNATURE', `the intent is not signed by ${author}`, {
        hint: 'It has been changed, or its key was never that of the author.',
      });
    }
  }

  async #checkOrder(all: readonly SignedIntent[]): Promise<void> {
    const next = new Map<string, number>();
    for (const { id, digest, intent } of all) {
      const { author, sequence } = intent;
      if (this.#deps.chain.isWaiting(digest)) continue;
      const wanted = next.get(author) ?? this.#deps.chain.nextSequence(author);
      next.set(author, Math.max(wanted, sequence + 1));
      const which = `sequence ${sequence} of ${author}`;
      if (sequence > wanted) {
        throw new AegisError('OUT_OF_ORDER', `${which} leaves a gap: the next one is ${wanted}`);
      }
      if (sequence === wanted) continue;
      const known = await this.#deps.receipt(id);
      const at = known?.sequence === sequence ? `, at height ${known.height}` : '';
      throw new AegisError('REPLAYED', `${which} has been used already${at}`, {
        hint: `Nothing has been taken. The next sequence is ${wanted}.`,
      });
    }
  }
}
