/**
 * What the knowledge base asks of the chain: which version of a path is final, and that a version
 * of this node becomes so. Every version that this node makes is also an intent; this is where the
 * one turns into the other.
 */
import type { CID } from 'multiformats/cid';
import type { RefHead, RefState } from '../chain/ref.ts';
import { AegisError, hasCode } from '../errors.ts';
import type { VersionGraph } from '../kb/versions.ts';
import type { Move } from '../model/intent.ts';
import { PARENTS_MAX, type SignedVersion } from '../model/version.ts';
import { SECOND } from '../units.ts';
import { type FinalHead, finalHead, isRecordOf } from './final-head.ts';
import type { Final, Finals } from './finals.ts';
import type { IntentDesk, Queued } from './intent-desk.ts';
import type { LinearReads } from './linear-reads.ts';
import { refusalError } from './refusals.ts';
import { timeout } from './timeout.ts';

export interface FinalityDeps {
  readonly chain: { ref(path: string): RefState | undefined };
  readonly desk: IntentDesk;
  readonly finals: Finals;
  readonly reads: LinearReads;
  readonly graph: VersionGraph;
  /** The record of a final version once it is here. Rejects with the reason of `signal`. */
  record(version: string, signal: AbortSignal): Promise<SignedVersion>;
}

/** On what the next own version of a path follows. */
export interface Base {
  readonly signed: SignedVersion | undefined;
  /**
   * Heads that the chain has and that no record can follow, since there is none, or a deletion; the
   * next version puts them away by its intent.
   */
  readonly others: readonly Pick<RefHead, 'version' | 'deleted'>[];
  /** The own intent that has not been decided yet, if the version waits for one. */
  readonly queued: Queued | undefined;
}

export interface FinalityOptions {
  /**
   * How long the record of a head is waited for, where one can go on without it.
   * @default 5 s
   */
  readonly recordMs?: number;
}

/** Heads that are not waited for again. */
const MISSED_MAX = 4096;

export class Finality {
  readonly #deps: FinalityDeps;
  readonly #recordMs: number;
  /** Versions whose record did not come in time. */
  readonly #missed = new Set<string>();

  constructor(deps: FinalityDeps, { recordMs = 5 * SECOND }: FinalityOptions = {}) {
    this.#deps = deps;
    this.#recordMs = recordMs;
  }

  /**
   * The final version that readers see under a path.
   * @throws {AegisError} `NOT_REACHABLE` when no record of what is final is here, `NOT_FOUND` when
   * there cannot be one.
   */
  async head(path: string, signal: AbortSignal): Promise<SignedVersion | undefined> {
    let found = await this.#find(path, signal);
    if (found.isUnknown) {
      // There is nothing else to be shown, so it may take as long as the caller has.
      const record = (head: RefHead) => this.#record(path, head, signal);
      found = await finalHead(path, { ref: this.#ref, record });
    }
    if (found.isUnknown) throw this.#missing(path, found.others);
    return found.signed?.version.deleted === true ? undefined : found.signed;
  }

  /**
   * The last own version that waits to be decided, else the final one. So a version that was
   * refused, and what others have not agreed on, is never built on.
   */
  async base(path: string, signal: AbortSignal): Promise<Base> {
    const pending = this.#deps.desk.lastPending(path);
    if (pending !== undefined) {
      const { change, queued } = pending;
      const signed = this.#deps.graph.get(change.version.toString());
      if (signed !== undefined && isRecordOf(signed, path, change)) {
        return { signed, others: [], queued };
      }
    }
    const { signed, others } = await this.#find(path, signal, true);
    // Without what may only be late nothing is written, unless it has been waited for.
    const isLate = signal.aborted && others.some(({ deleted }) => deleted !== true);
    if (isLate) throw this.#missing(path, others);
    const waiting = pending === undefined ? [] : [pending.change];
    return { signed, others: [...waiting, ...others], queued: undefined };
  }

  /** `base` where nothing has to be waited for; undefined where something has. */
  baseAtOnce(path: string): Base | undefined {
    const { desk, chain, graph } = this.#deps;
    if (desk.lastPending(path) !== undefined) return undefined;
    const [head, ...more] = chain.ref(path)?.heads ?? [];
    if (head === undefined) return { signed: undefined, others: [], queued: undefined };
    const signed = more.length > 0 ? undefined : graph.get(head.version.toString());
    if (signed === undefined || !isRecordOf(signed, path, head)) return undefined;
    return { signed, others: [], queued: undefined };
  }

  /** All of them in one intent, durable and queued when it resolves. */
  async submitAll(
    versions: readonly { readonly signed: SignedVersion; readonly others: Base['others'] }[],
  ): Promise<Queued> {
    const changes = versions.map(({ signed, others }) => changeOf(signed, undefined, others));
    const [queued] = await this.#deps.desk.submit([changes]);
    return queued!;
  }

  /**
   * Durable and queued when it resolves.
   * @param expected compare-and-swap; null: no version.
   * @param others heads that it puts away besides its parents.
   */
  async submit(
    signed: SignedVersion,
    expected?: CID | null,
    others: Base['others'] = [],
  ): Promise<Queued> {
    const [queued] = await this.#deps.desk.submit([[changeOf(signed, expected, others)]]);
    return queued!;
  }

  /**
   * At which height the custodians agreed on it.
   * @throws {AegisError} `EXISTS` when another version was final first, `NOT_ALLOWED`,
   * `OVER_QUOTA`, `TRY_AGAIN`, `NOT_FOUND` when it was cancelled; the reason of `signal`.
   */
  async wait(queued: Queued, signal: AbortSignal): Promise<number> {
    const receipt = await this.#deps.desk.wait(queued, signal);
    if (receipt.result !== 'refused') return receipt.height;
    throw refusalError('the version', receipt);
  }

  find(versions: readonly string[]): Promise<(Final | undefined)[]> {
    return this.#deps.finals.find(versions);
  }

  /** @throws {AegisError} as `LinearReads.barrier`. */
  barrier(signal: AbortSignal): Promise<void> {
    return this.#deps.reads.barrier(signal);
  }

  /** Those of the own versions that are neither decided nor on their way. */
  async missing(own: readonly SignedVersion[]): Promise<SignedVersion[]> {
    const decided = await this.find(own.map(({ cidText }) => cidText));
    return own.filter((signed, n) => {
      return decided[n] === undefined && !this.#deps.desk.isPending(signed.cid);
    });
  }

  /**
   * Own versions that never became an intent, because the node ended between the two. Nobody has
   * been told of them, and whether somebody expected a version is forgotten: so each is final right
   * after what it follows, or not at all.
   */
  async submitMissing(own: readonly SignedVersion[]): Promise<number> {
    const missing = await this.missing(own);
    // One after another: they are queued in the order in which they were made.
    for (const signed of missing) {
      const [parent] = signed.version.parents.map((cid) => this.#deps.graph.get(cid.toString()));
      await this.submit(signed, parent?.cid ?? null);
    }
    return missing.length;
  }

  #ref = (path: string): RefState | undefined => this.#deps.chain.ref(path);

  /** Waits for records for a while, and for each but once. */
  async #find(path: string, signal: AbortSignal, isToFollow = false): Promise<FinalHead> {
    const until = AbortSignal.any([signal, timeout(this.#recordMs)]);
    const record = async (head: RefHead): Promise<SignedVersion | undefined> => {
      const name = head.version.toString();
      if (this.#missed.has(name) && this.#deps.graph.get(name) === undefined) return undefined;
      const signed = await this.#record(path, head, until);
      if (signed === undefined && !signal.aborted) this.#miss(name);
      return signed;
    };
    return await finalHead(path, { ref: this.#ref, record, isToFollow });
  }

  #miss(version: string): void {
    if (this.#missed.size >= MISSED_MAX) this.#missed.clear();
    this.#missed.add(version);
  }

  async #record(
    path: string,
    head: RefHead,
    signal: AbortSignal,
  ): Promise<SignedVersion | undefined> {
    try {
      const signed = await this.#deps.record(head.version.toString(), signal);
      return isRecordOf(signed, path, head) ? signed : undefined;
    } catch (error) {
      if (!hasCode(error, 'TIMEOUT')) throw error;
      return undefined;
    }
  }

  #missing(path: string, heads: readonly { readonly version: CID }[]): AegisError {
    const names = heads.map(({ version }) => version.toString());
    const missing = names.find((name) => this.#deps.graph.get(name) === undefined);
    if (missing === undefined) {
      const message = `${names[0]} is final under ${path}, and is no version of it`;
      return new AegisError('NOT_FOUND', message, { hint: WRITE_ANEW });
    }
    const message = `the version ${missing} of ${path} is final, and not here yet`;
    return new AegisError('NOT_REACHABLE', message, {
      hint: `See: aegis peers. ${WRITE_ANEW}`,
      details: { version: missing },
    });
  }
}

/** A member can name a version that does not exist. */
const WRITE_ANEW = 'If nobody has its record, write the path anew: aegis kb put';

function changeOf(
  signed: SignedVersion,
  expected: CID | null | undefined,
  others: Base['others'],
): Move {
  const { path, generation, deleted } = signed.version;
  const replaced = [...signed.version.parents, ...others.map(({ version }) => version)];
  const parents = [...new Map(replaced.map((cid) => [cid.toString(), cid])).values()];
  return {
    path,
    version: signed.cid,
    parents: parents.slice(0, PARENTS_MAX),
    generation,
    ...(deleted === true ? { deleted } : {}),
    ...(expected === undefined ? {} : { expected }),
  };
}
