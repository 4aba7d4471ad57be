/**
 * What the knowledge base asks of the chain: which version of a path is final, and that a version
 * of this node becomes so. Every version that this node makes is also an intent; this is where the
 * one turns into the other.
 */
import type { RefHead, RefState } from '../chain/ref.ts';
import { AegisError, hasCode } from '../errors.ts';
import type { VersionGraph } from '../kb/versions.ts';
import type { Change } from '../model/intent.ts';
import type { SignedVersion } from '../model/version.ts';
import { finalHead } from './final-head.ts';
import type { Final, Finals } from './finals.ts';
import type { IntentDesk, Queued } from './intent-desk.ts';
import type { LinearReads } from './linear-reads.ts';

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
  /** The own intent that has not been decided yet, if the version waits for one. */
  readonly queued: Queued | undefined;
}

const NONE: Base = { signed: undefined, queued: undefined };

export class Finality {
  readonly #deps: FinalityDeps;

  constructor(deps: FinalityDeps) {
    this.#deps = deps;
  }

  /** The final version that readers see under a path. */
  async head(path: string, signal: AbortSignal): Promise<SignedVersion | undefined> {
    const ref = (name: string) => this.#deps.chain.ref(name);
    const record = (head: RefHead, until: AbortSignal) => this.#record(path, head, until);
    return await finalHead(path, { ref, record }, signal);
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
      if (signed !== undefined) return { signed, queued };
    }
    const signed = await this.head(path, signal);
    return signed === undefined ? NONE : { signed, queued: undefined };
  }

  /** Durable and queued when it resolves. @param expected compare-and-swap; null: no version. */
  async submit(signed: SignedVersion, expected?: SignedVersion | null): Promise<Queued> {
    const [queued] = await this.#deps.desk.submit([[changeOf(signed, expected)]]);
    return queued!;
  }

  /**
   * At which height the custodians agreed on it.
   * @throws {AegisError} `EXISTS` when another version was final first, `TRY_AGAIN`, `NOT_FOUND`
   * when it was cancelled; the reason of `signal`.
   */
  async wait(queued: Queued, signal: AbortSignal): Promise<number> {
    const { result, reason, height } = await this.#deps.desk.wait(queued, signal);
    if (result !== 'refused') return height;
    const details = { reason, height, intent: queued.id };
    if (reason === 'conflict') {
      throw new AegisError('EXISTS', 'another version became final first', {
        hint: 'Read it again, and decide again. See: aegis kb log',
        details,
      });
    }
    throw new AegisError('TRY_AGAIN', `the custodians refused the version: ${reason}`, {
      hint: 'Nothing has changed; repeat the command. See: aegis kb log',
      details,
    });
  }

  find(versions: readonly string[]): Promise<(Final | undefined)[]> {
    return this.#deps.finals.find(versions);
  }

  /** @throws {AegisError} as `LinearReads.barrier`. */
  barrier(signal: AbortSignal): Promise<void> {
    return this.#deps.reads.barrier(signal);
  }

  /**
   * Own versions that never became an intent, because the node ended between the two. Nobody has
   * been told of them, and whether somebody expected a version is forgotten: so each is final right
   * after what it follows, or not at all.
   */
  async submitMissing(own: readonly SignedVersion[]): Promise<number> {
    const decided = await this.find(own.map(({ cidText }) => cidText));
    const missing = own.filter((signed, n) => {
      return decided[n] === undefined && !this.#deps.desk.isPending(signed.cid);
    });
    // One after another: they are queued in the order in which they were made.
    for (const signed of missing) {
      const [parent] = signed.version.parents.map((cid) => this.#deps.graph.get(cid.toString()));
      await this.submit(signed, parent ?? null);
    }
    return missing.length;
  }

  async #record(path: string, { version }: RefHead, signal: AbortSignal): Promise<SignedVersion> {
    try {
      return await this.#deps.record(version.toString(), signal);
    } catch (error) {
      if (!hasCode(error, 'TIMEOUT')) throw error;
      const message = `the version ${version.toString()} of ${path} is final, and not here yet`;
      throw new AegisError('NOT_REACHABLE', message, { hint: 'See: aegis peers' });
    }
  }
}

function changeOf(signed: SignedVersion, expected: SignedVersion | null | undefined): Change {
  const { path, parents, generation, deleted } = signed.version;
  return {
    path,
    version: signed.cid,
    parents,
    generation,
    ...(deleted === true ? { deleted } : {}),
    ...(expected === undefined ? {} : { expected: expected?.cid ?? null }),
  };
}
