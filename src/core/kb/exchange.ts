/**
 * Spreads versions: by vectors when a peer comes up and every 30 s, and by pushes in between. It
 * checks what comes, adds it to the graph and tells of it. What a version means for copies of its
 * root is the matter of copies.ts.
 */
import { assert } from '../assert.ts';
import { hasCode, isAegisError } from '../errors.ts';
import { openVersion, type SignedVersion, versionCidOf } from '../model/version.ts';
import { instant, type Verified } from '../units.ts';
import { answerRanges, answerVector, vectorMessage } from './anti-entropy.ts';
import { backoff } from './backoff.ts';
import type { Copies } from './copies.ts';
import { chosenPeers } from './gossip.ts';
import type { KbMessage } from './messages.ts';
import type { Records } from './records.ts';
import type { ReplicationShared } from './replication-types.ts';
import { TABLES } from './store.ts';
import type { Added } from './versions.ts';

/** Only short messages are pushes and are passed on; long ones are answers to a vector. */
const PUSH_VERSIONS = 4;

export const VECTOR_ALARM = 'vector';

export class Exchange {
  readonly #shared: ReplicationShared;
  readonly #copies: Copies;
  readonly #records: Pick<Records, 'want'>;

  constructor(shared: ReplicationShared, copies: Copies, records: Pick<Records, 'want'>) {
    this.#shared = shared;
    this.#copies = copies;
    this.#records = records;
  }

  /** A version that this node wrote, with all objects of its root. */
  local(version: Verified<SignedVersion>): void {
    const { turn, graph, options, up } = this.#shared;
    const { nodeId: self, minReplicas } = options;
    assert(version.version.author === self, 'a local version is by this node');
    let result: Added;
    try {
      result = graph.add(version);
    } catch (error) {
      if (!isAegisError(error) || hasCode(error, 'STORE_DAMAGED')) throw error;
      turn.tell({ type: 'refused', from: self, error });
      return;
    }
    const { status } = result;
    assert(status === 'added' || status === 'known', 'a local version follows known ones');
    if (version.version.deleted !== true) this.#copies.stored(version.version.root);
    this.#added(result);
    // Of a new one it is told when there are so many copies, whoever waits.
    if (status === 'known') this.#copies.wantCopies(version.cidText, minReplicas);
    for (const nodeId of up) this.#push(nodeId, version);
  }

  /** A merge that is final, or that something known follows. @throws {AegisError} as the graph. */
  merge(merge: Verified<SignedVersion>, from: string | undefined): void {
    const result = this.#shared.graph.add(merge);
    this.#added(result);
    this.#records.want(result.missing, from);
  }

  /** Tells one peer, or all, what is known here, so that they send what they know besides. */
  askAll(): void {
    for (const nodeId of this.#shared.up) this.sendVector(nodeId, false);
  }

  sendVector(nodeId: string, isReply: boolean): void {
    const { graph, replicas, turn, store, options } = this.#shared;
    const message = vectorMessage(graph, replicas.believed(nodeId), isReply);
    // W26
    const isDraining = store.get(TABLES.draining, options.nodeId) !== undefined;
    turn.send(nodeId, { ...message, ...(isDraining && { isDraining }) });
  }

  armVector(): void {
    const { options, turn } = this.#shared;
    const { antiEntropyMs: maxMs, nodeId } = options;
    const delay = backoff(`${nodeId}/${turn.now}`, 0, { firstMs: maxMs, maxMs });
    turn.alarm(VECTOR_ALARM, instant(turn.now + delay));
  }

  vector(from: string, message: Extract<KbMessage, { type: 'vector' }>): void {
    const { answers, isBehind } = answerVector(this.#shared.graph, message);
    for (const answer of answers) this.#shared.turn.send(from, answer);
    if (isBehind && !message.isReply) this.sendVector(from, true);
  }

  ranges(from: string, message: Extract<KbMessage, { type: 'ranges' }>): void {
    const { graph, turn } = this.#shared;
    for (const answer of answerRanges(graph, message)) turn.send(from, answer);
  }

  versions(from: string, { versions, isMore }: Extract<KbMessage, { type: 'versions' }>): void {
    const isPush = versions.length <= PUSH_VERSIONS && !isMore;
    let isAsking = false;
    for (const bytes of versions) {
      if (this.#shared.graph.has(versionCidOf(bytes).toString())) continue;
      const status = this.#receive(from, bytes, isPush);
      if (status === 'faulty') return;
      // Only progress asks for more, or a peer without sense could keep both busy for ever.
      if (status === 'orphan' || (status === 'added' && isMore)) isAsking = true;
    }
    if (isAsking) this.sendVector(from, true);
  }

  #receive(from: string, bytes: Uint8Array, isPush: boolean): string {
    const { graph, deps, turn } = this.#shared;
    try {
      const result = graph.add(openVersion(bytes, deps.keyOf));
      this.#added(result);
      if (isPush) for (const signed of result.added) this.#passOn(from, signed);
      this.#records.want(result.missing, from);
      return result.status;
    } catch (error) {
      if (!isAegisError(error) || hasCode(error, 'STORE_DAMAGED')) throw error;
      turn.tell({ type: 'refused', from, error });
      // A stranger's version may be news of a membership that this node lacks; the rest is a fault.
      return hasCode(error, 'DENIED', 'BAD_DATA', 'BUSY') ? 'refused' : 'faulty';
    }
  }

  #added({ added, equivocations }: Added): void {
    const { turn } = this.#shared;
    for (const equivocation of equivocations) turn.tell({ type: 'equivocation', ...equivocation });
    for (const signed of added) {
      turn.tell({ type: 'version-added', version: signed });
      this.#copies.added(signed);
      this.#shared.conflicted.added(signed);
    }
  }

  #passOn(from: string, signed: SignedVersion): void {
    const { up, options } = this.#shared;
    const others = [...up].filter((nodeId) => nodeId !== from && nodeId !== signed.version.author);
    for (const nodeId of chosenPeers(options.nodeId, others, signed.cidText)) {
      this.#push(nodeId, signed);
    }
  }

  #push(nodeId: string, { bytes }: SignedVersion): void {
    this.#shared.turn.send(nodeId, { type: 'versions', versions: [bytes], isMore: false });
  }
}
