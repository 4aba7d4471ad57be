/**
 * Requests of this node about rights, names and anchors (docs/history.md, N and R4): each is an
 * intent of its own. What is refused is told with the reason that the custodians had (Q3).
 */
import type { Who } from '../api/contract/consensus.ts';
import type { Body, Query, Result } from '../api/contract/endpoints.ts';
import { bytesOfHex, hex } from '../bytes.ts';
import type { Chain } from '../chain/chain.ts';
import type { Receipt } from '../chain/execution.ts';
import type { RosterMember } from '../chain/roster.ts';
import { AegisError, hasCode } from '../errors.ts';
import type { Anchor, Change } from '../model/change.ts';
import { parsePath } from '../model/path.ts';
import type { IntentDesk, Queued } from './intent-desk.ts';
import { fateOf } from './intent-views.ts';
import type { LinearReads } from './linear-reads.ts';
import { refusalError } from './refusals.ts';
import { timeout } from './timeout.ts';

export interface RightsDeskDeps {
  /** Node id of this node. */
  readonly self: string;
  readonly chain: Chain;
  readonly desk: IntentDesk;
  readonly reads: LinearReads;
  /** By node id, the start of one or name. @throws {AegisError} `NOT_FOUND`. */
  find(member: string): RosterMember;
}

interface Patience {
  readonly wait: 'accepted' | 'final';
  readonly timeoutMs: number;
}

/** So long a node that may lag waits for news before it says that it has no right. */
const NEWS_MS = 5000;

export class RightsDesk {
  readonly #deps: RightsDeskDeps;

  constructor(deps: RightsDeskDeps) {
    this.#deps = deps;
  }

  /** N2. @throws {AegisError} `NOT_ALLOWED`, `NOT_FOUND`, `NOT_FINAL`. */
  async grant(body: Body<'kb.grant'>, signal: AbortSignal): Promise<Result<'kb.grant'>> {
    const { right } = body;
    const path = parsePath(body.path);
    const { nodeId } = this.#deps.find(body.node);
    await this.#checkMayGrant(path, signal);
    const done = await this.#decide({ op: 'grant', path, nodeId, right }, body, signal);
    return { path, node: this.#who(nodeId), right, ...decidedOf(done) };
  }

  /** N2. @throws {AegisError} as `grant`. */
  async revoke(body: Body<'kb.revoke'>, signal: AbortSignal): Promise<Result<'kb.revoke'>> {
    const path = parsePath(body.path);
    const { nodeId } = this.#deps.find(body.node);
    await this.#checkMayGrant(path, signal);
    const done = await this.#decide({ op: 'revoke', path, nodeId }, body, signal);
    return { path, node: this.#who(nodeId), ...decidedOf(done) };
  }

  /** N4. @throws {AegisError} as `grant`. */
  async erase(body: Body<'kb.erase'>, signal: AbortSignal): Promise<Result<'kb.erase'>> {
    const path = parsePath(body.path);
    const done = await this.#decide({ op: 'erase', path }, body, signal);
    return { path, ...decidedOf(done) };
  }

  rights(query: Query<'kb.rights'>): Result<'kb.rights'> {
    const path = parsePath(query.path);
    const { chain, self } = this.#deps;
    const namespace = chain.namespaceOf(path);
    return {
      path,
      height: chain.height,
      namespace:
        namespace === undefined
          ? null
          : {
              path: namespace.path,
              owners: namespace.owners.map((nodeId) => this.#who(nodeId)),
              writers: namespace.writers.map((nodeId) => this.#who(nodeId)),
            },
      openWrites: chain.parameters().openWrites === 1,
      mayWrite: chain.mayWrite(self, path),
      mayGrant: chain.mayGrant(self, path),
    };
  }

  /**
   * N1, Q1: what this node may not write is not even kept.
   * @throws {AegisError} `NOT_ALLOWED`, `OVER_QUOTA`.
   */
  async checkMayWrite(path: string, signal: AbortSignal): Promise<void> {
    const { chain, self } = this.#deps;
    // Whoever is no member yet is told so elsewhere.
    if (!chain.roster.isMember(self)) return;
    const may = (): boolean => chain.mayWrite(self, path) && this.#exceeded(path) === undefined;
    if (may()) return;
    await this.#news(signal);
    if (may()) return;
    const exceeded = this.#exceeded(path);
    if (exceeded !== undefined) {
      throw new AegisError('OVER_QUOTA', `this node has used its quota of ${exceeded}`, {
        hint: 'See what is left: aegis cluster quota. Custodians may give more.',
      });
    }
    throw new AegisError('NOT_ALLOWED', `this node may not write ${path}`, {
      hint: `See who may: aegis kb rights ${path}`,
    });
  }

  /** R4. @throws {AegisError} `CHECK_FAILED` when `previous` is not the last one, `NOT_FINAL`. */
  async anchor(
    body: Body<'intents.anchor'>,
    signal: AbortSignal,
  ): Promise<Result<'intents.anchor'>> {
    const { label, digest, previous = this.#lastOf(label) } = body;
    const before = previous === null ? {} : { previous: bytesOfHex(previous) };
    const change: Anchor = { op: 'anchor', label, digest: bytesOfHex(digest), ...before };
    const { queued, receipt } = await this.#decide(change, body, signal);
    return { label, digest, previous, intent: fateOf(queued, receipt) };
  }

  anchors({ node = this.#deps.self }: Query<'intents.anchors'>): Result<'intents.anchors'> {
    const { chain, find } = this.#deps;
    const { nodeId } = find(node);
    const anchors = chain.anchors(nodeId).map((one) => ({
      label: one.label,
      digest: hex(one.digest),
      previous: one.previous === undefined ? null : hex(one.previous),
      height: one.height,
    }));
    return { ...this.#who(nodeId), height: chain.height, anchors };
  }

  /** The last own anchor of a label, also one that waits to be decided. */
  #lastOf(label: string): string | null {
    const { chain, desk, self } = this.#deps;
    const waiting = desk.allPending().flatMap(({ intent }) => intent.changes);
    const isIt = (change: Change): change is Anchor =>
      change.op === 'anchor' && change.label === label;
    const last = waiting.findLast(isIt) ?? chain.anchor(self, label);
    return last === undefined ? null : hex(last.digest);
  }

  async #checkMayGrant(path: string, signal: AbortSignal): Promise<void> {
    const { chain, self } = this.#deps;
    const may = (): boolean => chain.mayGrant(self, path);
    if (may()) return;
    await this.#news(signal);
    if (may()) return;
    const isWithin = chain.namespaceOf(path) !== undefined;
    throw new AegisError('NOT_ALLOWED', `this node is no owner of ${path}`, {
      hint: isWithin
        ? `An owner can do it. See: aegis kb rights ${path}`
        : `Custodians make namespaces: aegis cluster propose --namespace ${path}=OWNER`,
    });
  }

  /** Q1: the quota that has nothing left for one more version of a path. */
  #exceeded(path: string): string | undefined {
    const { chain, self } = this.#deps;
    const { changes, bytes, paths, limits } = chain.usage(self);
    if (limits === undefined) return undefined;
    if (changes >= limits.changesPerHour) return `${limits.changesPerHour} changes an hour`;
    if (bytes >= limits.bytesPerHour) return `${limits.bytesPerHour} bytes an hour`;
    const isNew = chain.ref(path) === undefined;
    return isNew && paths >= limits.paths ? `${limits.paths} paths` : undefined;
  }

  /** A right may be final elsewhere already. Without a quorum what is known here stands. */
  async #news(signal: AbortSignal): Promise<void> {
    try {
      await this.#deps.reads.barrier(AbortSignal.any([signal, timeout(NEWS_MS)]));
    } catch {
      signal.throwIfAborted();
    }
  }

  async #decide(
    change: Change,
    { wait, timeoutMs }: Patience,
    signal: AbortSignal,
  ): Promise<{ readonly queued: Queued; readonly receipt: Receipt | undefined }> {
    const { desk } = this.#deps;
    const [queued] = await desk.submit([[change]]);
    if (wait === 'accepted') return { queued: queued!, receipt: queued!.receipt };
    try {
      const receipt = await desk.wait(queued!, AbortSignal.any([signal, timeout(timeoutMs)]));
      if (receipt.result === 'refused') throw refusalError('the request', receipt);
      return { queued: queued!, receipt };
    } catch (error) {
      if (!hasCode(error, 'TIMEOUT')) throw error;
      const { id } = queued!;
      throw new AegisError('NOT_FINAL', 'the custodians have not decided it yet', {
        hint: `It is queued. See what becomes of it: aegis intent show ${id.slice(0, ID_SHOWN)}`,
        details: { intent: id },
      });
    }
  }

  #who(nodeId: string): Who {
    return { nodeId, name: this.#deps.chain.roster.author(nodeId)?.name ?? null };
  }
}

/** Digits of an intent's id that people are shown. */
const ID_SHOWN = 12;

const decidedOf = ({
  queued,
  receipt,
}: {
  readonly queued: Queued;
  readonly receipt: Receipt | undefined;
}) => ({
  id: queued.id,
  final: receipt !== undefined,
  height: receipt?.height ?? null,
  changed: receipt === undefined ? null : receipt.result === 'done',
});
