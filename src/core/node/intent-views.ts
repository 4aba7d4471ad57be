/** The intents of this node as an operator sees them: the answers of the topic `intent`. */

import { CID } from 'multiformats/cid';
import type { CallContext } from '../api/backend.ts';
import type { Body, Query, Result } from '../api/contract/endpoints.ts';
import type { IntentChange, IntentEntry, IntentFate } from '../api/contract/intents.ts';
import { hex } from '../bytes.ts';
import type { Receipt } from '../chain/execution.ts';
import { AegisError, hasCode } from '../errors.ts';
import { isMove } from '../model/change.ts';
import {
  type Change,
  type IntentContext,
  type Move,
  readIntent,
  type SignedIntent,
} from '../model/intent.ts';
import { merkleProof } from '../model/merkle.ts';
import { parsePath } from '../model/path.ts';
import { isVersionCid } from '../model/version.ts';
import type { ChainRoom } from './chain-room.ts';
import type { Queued } from './intent-desk.ts';
import { timeout } from './timeout.ts';

export interface IntentViewsDeps {
  readonly context: IntentContext;
  readonly room: ChainRoom;
  nameOf(nodeId: string): string | null;
}

/** Digits of an id that could be those of another by chance. */
const ID_DIGITS_MIN = 8;
const ID_DIGITS = 64;

export class IntentViews {
  readonly #deps: IntentViewsDeps;

  constructor(deps: IntentViewsDeps) {
    this.#deps = deps;
  }

  async submit(
    { intents, wait, timeoutMs }: Body<'intents.submit'>,
    { signal }: CallContext,
  ): Promise<Result<'intents.submit'>> {
    const { desk } = this.#deps.room;
    const queued = await desk.submit(intents.map(({ changes }) => changes.map(readChange)));
    const until = AbortSignal.any([signal, timeout(timeoutMs)]);
    const fates = await Promise.all(
      queued.map(async (one) => fateOf(one, await this.#receiptOf(one, wait, until))),
    );
    signal.throwIfAborted();
    return { intents: fates, wait };
  }

  list({ status, limit }: Query<'intents.list'>): Result<'intents.list'> {
    const { desk } = this.#deps.room;
    const pending = desk.allPending().toReversed();
    const decided = desk.recent().toReversed();
    const entries = [
      ...(status === 'final' ? [] : pending.map((signed) => this.#entry(signed, undefined))),
      ...(status === 'pending'
        ? []
        : decided.map(({ signed, receipt }) => this.#entry(signed, receipt))),
    ];
    return { intents: entries.slice(0, limit), pending: pending.length };
  }

  async show(text: string): Promise<Result<'intents.show'>> {
    const { room, context } = this.#deps;
    const id = this.#idOf(text);
    const pending = room.desk.pending(id);
    if (pending !== undefined) return { ...this.#entry(pending, undefined), proof: null };
    const receipt = await this.#receipt(id);
    if (receipt === undefined) throw unknown(text);
    const { block } = await room.archive.block(receipt.height);
    const bytes = block.intents[receipt.index];
    if (bytes === undefined) throw unknown(text);
    const proof = {
      index: receipt.index,
      intents: block.intents.length,
      siblings: merkleProof(block.intents, receipt.index).map(hex),
      intentsRoot: hex(block.header.intentsRoot),
    };
    return { ...this.#entry(readIntent(bytes, context).signed, receipt), proof };
  }

  async cancel(
    text: string,
    { timeoutMs }: Query<'intents.cancel'>,
    { signal }: CallContext,
  ): Promise<Result<'intents.cancel'>> {
    const { desk } = this.#deps.room;
    const id = this.#idOf(text);
    const pending = desk.pending(id);
    if (pending === undefined) {
      const receipt = await this.#receipt(id);
      if (receipt === undefined) throw unknown(text);
      const { sequence, height } = receipt;
      return { id, sequence, outcome: 'too-late', height };
    }
    const { sequence } = pending.intent;
    try {
      const decided = await desk.cancel(id, AbortSignal.any([signal, timeout(timeoutMs)]));
      const outcome = decided.id === id ? 'too-late' : 'cancelled';
      // Whoever has been told stays right after a restart.
      if (outcome === 'cancelled') await this.#deps.room.finals.saved();
      return { id, sequence, outcome, height: decided.height };
    } catch (error) {
      if (!hasCode(error, 'TIMEOUT')) throw error;
      return { id, sequence, outcome: 'pending', height: null };
    }
  }

  /** Slowness is no error: what is not decided in time stays queued. */
  async #receiptOf(
    queued: Queued,
    wait: 'accepted' | 'final',
    signal: AbortSignal,
  ): Promise<Receipt | undefined> {
    if (queued.receipt !== undefined || wait === 'accepted') return queued.receipt;
    try {
      return await this.#deps.room.desk.wait(queued, signal);
    } catch (error) {
      if (hasCode(error, 'TIMEOUT', 'NOT_FOUND')) return undefined;
      throw error;
    }
  }

  async #receipt(id: string): Promise<Receipt | undefined> {
    const { chain, archive } = this.#deps.room;
    return chain.receipt(id) ?? (await archive.receipts([id]))[0];
  }

  /** A whole id, or the start of one that this node waits for or has lately seen decided. */
  #idOf(text: string): string {
    if (!/^[0-9a-f]+$/.test(text) || text.length > ID_DIGITS) throw unknown(text);
    if (text.length === ID_DIGITS) return text;
    if (text.length < ID_DIGITS_MIN) {
      throw new AegisError('BAD_REQUEST', `${text} is too short: give ${ID_DIGITS_MIN} digits`);
    }
    const { desk } = this.#deps.room;
    const known = [...desk.allPending(), ...desk.recent().map(({ signed }) => signed)];
    const ids = new Set(known.map(({ id }) => id).filter((id) => id.startsWith(text)));
    const [id, other] = ids;
    if (id === undefined) throw unknown(text);
    if (other === undefined) return id;
    throw new AegisError('BAD_REQUEST', `${text} may mean ${ids.size} intents`);
  }

  #entry(signed: SignedIntent, receipt: Receipt | undefined): IntentEntry {
    const { author, time, sequence, changes } = signed.intent;
    return {
      ...fateOf({ id: signed.id, sequence, receipt }, receipt),
      author,
      authorName: this.#deps.nameOf(author),
      time: new Date(time).toISOString(),
      changes: changes.map(changeView),
    };
  }
}

export const fateOf = ({ id, sequence }: Queued, receipt: Receipt | undefined): IntentFate => ({
  id,
  sequence,
  status: receipt === undefined ? 'pending' : 'final',
  height: receipt?.height ?? null,
  result: receipt?.result ?? null,
  reason: receipt?.reason ?? null,
});

export function changeView(change: Change): IntentChange {
  if (isMove(change)) return moveView(change);
  if (change.op !== 'anchor') return change;
  const { op, label, digest, previous } = change;
  return { op, label, digest: hex(digest), ...(previous && { previous: hex(previous) }) };
}

const moveView = (change: Move): IntentChange => ({
  path: change.path,
  version: change.version.toString(),
  parents: change.parents.map(String),
  generation: change.generation,
  deleted: change.deleted === true,
  ...(change.expected === undefined ? {} : { expected: change.expected?.toString() ?? null }),
  ...(change.merge === undefined ? {} : { merge: true }),
});

type Wanted = Body<'intents.submit'>['intents'][number]['changes'][number];

function readChange({ path, version, parents, generation, deleted, expected }: Wanted): Change {
  return {
    path: parsePath(path),
    version: parseVersion(version),
    parents: parents.map(parseVersion),
    generation,
    ...(deleted ? { deleted } : {}),
    ...(expected === undefined
      ? {}
      : { expected: expected === null ? null : parseVersion(expected) }),
  };
}

function parseVersion(text: string): CID {
  try {
    const cid = CID.parse(text);
    if (isVersionCid(cid)) return cid;
  } catch {
    // Said below.
  }
  throw new AegisError('BAD_REQUEST', `${JSON.stringify(text)} is not the CID of a version`);
}

const unknown = (id: string): AegisError =>
  new AegisError('NOT_FOUND', `this node knows no intent ${JSON.stringify(id.slice(0, 80))}`, {
    hint: 'See what it knows: aegis intent list',
  });
