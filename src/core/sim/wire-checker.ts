/**
 * The wire: no node that follows the rules signs two messages for one slot, across crashes, losses
 * of its disk and changes of its keys, what it signed was durable before it left (P6, D1), and it
 * signed with the key in force (C1), which no backup had brought (K2).
 */
import { blockKey, TABLES } from '../chain/rows.ts';
import { REPLICA_TABLE, readRows } from '../consensus/journal.ts';
import { CONSENSUS_PROTOCOL, type ConsensusMessage, decodeMessage } from '../consensus/messages.ts';
import type { Slot } from '../consensus/pen.ts';
import type { VoteScheme } from '../consensus/scheme.ts';
import { digestMessage, timeoutMessage } from '../consensus/signed-bytes.ts';
import type { Evidence } from '../consensus/types.ts';
import type { Envelope } from '../machine.ts';
import type { SimCluster } from './consensus-tools.ts';
import { nameOfKey, type SimHome } from './home.ts';
import type { SimNode } from './node.ts';
import { type Checker, SimFailure } from './scenario.ts';
import type { Truth } from './truth.ts';

interface WireContext {
  readonly cluster: SimCluster;
  /** Of the key in force. */
  readonly verifier: VoteScheme;
  readonly truth: Truth;
  readonly isByzantine: (nodeId: string) => boolean;
  readonly homeOf: (node: SimNode) => SimHome;
  /** The highest protocol version that the program of a node takes part in. */
  readonly programOf: (nodeId: string) => number;
  /** Of a height whose predecessor is final. */
  readonly versionAt: (height: number) => number;
}

/** One thing that a node has signed. */
interface Signed {
  readonly kind: Evidence['kind'];
  readonly height: number;
  readonly view: number;
  /** What it says there. */
  readonly says: string;
  /** Whether the signature is that of the key in force. */
  holds(): boolean;
}

interface Unverified {
  readonly node: SimNode;
  readonly signed: Signed;
  /** What its program knew then. */
  readonly program: number;
}

const highText = (highView: number | undefined): string => `high ${highView ?? 'none'}`;

/** What a durable slot holds of one kind, in the words of `Signed`. */
function saysOf({ proposal, shares }: Slot, kind: Signed['kind']): string | undefined {
  if (kind === 'proposal') return proposal?.digest;
  const share = shares[kind];
  return kind === 'timeout' ? share && highText(share.highView) : share?.digest;
}

export class WireChecker implements Checker {
  readonly #context: WireContext;
  /** By node id and slot, what was signed. */
  readonly #slots = new Map<string, string>();
  /** The last message of each node: one body goes to many. */
  readonly #last = new Map<string, Uint8Array>();
  /** The first votes of a height leave before anybody has told that the one before is final. */
  #unverified: Unverified[] = [];
  /** By node id, the highest height at which it has signed. */
  readonly #heights = new Map<string, number>();
  readonly counts = { proposals: 0, prepares: 0, commits: 0, timeouts: 0 };

  constructor(context: WireContext) {
    this.#context = context;
  }

  onSend(node: SimNode, { protocol, body }: Envelope): void {
    const { nodeId } = node;
    if (protocol !== CONSENSUS_PROTOCOL || this.#context.isByzantine(nodeId)) return;
    if (this.#last.get(nodeId) === body) return;
    this.#last.set(nodeId, body);
    const signed = this.#signedBy(nodeId, decodeMessage(body));
    if (signed === undefined) return;
    this.#verify(node, signed, this.#context.programOf(nodeId));
    this.#checkDurable(node, signed);
    const slot = `${signed.kind} ${signed.height}/${signed.view}`;
    const name = `${nodeId} ${slot}`;
    const before = this.#slots.get(name);
    if (before === signed.says) return;
    if (before !== undefined) {
      const { says } = signed;
      throw new SimFailure(`wire: ${node.options.name} signs ${says} after ${before} in ${slot}`);
    }
    this.#slots.set(name, signed.says);
    this.#heights.set(nodeId, Math.max(signed.height, this.signedAt(nodeId)));
    this.#checkBackup(node, signed);
  }

  /** The highest height at which a node has signed something; 0: nowhere. */
  signedAt(nodeId: string): number {
    return this.#heights.get(nodeId) ?? 0;
  }

  /** More keys may be known. */
  settle(): void {
    const all = this.#unverified;
    this.#unverified = [];
    for (const { node, signed, program } of all) this.#verify(node, signed, program);
  }

  /** C1. */
  #verify(node: SimNode, signed: Signed, program: number): void {
    const { truth, versionAt } = this.#context;
    const slot = `${signed.kind} ${signed.height}/${signed.view}`;
    if (!truth.knows(signed.height)) this.#unverified.push({ node, signed, program });
    else if (truth.keyOf(node.nodeId, signed.height) === undefined) {
      throw new SimFailure(`membership: ${node.options.name} signs ${slot}, and is no custodian`);
    } else if (program < versionAt(signed.height)) {
      throw new SimFailure(`upgrade: ${node.options.name} signs ${slot} of a later version`);
    } else if (!signed.holds()) {
      throw new SimFailure(`wire: ${node.options.name} signs ${slot} with a key not in force`);
    }
  }

  /** K2. */
  #checkBackup(node: SimNode, { kind, height }: Signed): void {
    const { homeOf, truth } = this.#context;
    const key = truth.keyOf(node.nodeId, height)?.consensusKey;
    if (kind === 'proposal' || key === undefined || !truth.knows(height)) return;
    if (homeOf(node).marker?.includes(nameOfKey(key)) !== true) return;
    throw new SimFailure(`wire: ${node.options.name} votes at ${height} with a key of its backup`);
  }

  /** D1: what has been signed, or that the slot is past, and the block that a vote is for. */
  #checkDurable({ disk, options }: SimNode, { kind, height, view, says }: Signed): void {
    const { slot, final } = readRows(disk.scan(REPLICA_TABLE));
    const isPast = slot !== undefined && (slot.height - height || slot.view - view) > 0;
    // One transaction may hold a vote and the end of its height, and drop the block that lost.
    if (isPast || (final?.height ?? 0) >= height) return;
    const kept = slot?.height === height && slot.view === view ? saysOf(slot, kind) : undefined;
    const hasBlock = kind !== 'prepare' || disk.has(TABLES.blocks, blockKey(height, says));
    if (kept === says && hasBlock) return;
    const what = `${kind} of ${says} at ${height}/${view}`;
    throw new SimFailure(`durability: ${options.name} sends its ${what} before it is durable`);
  }

  /** What the sender has signed in this message: nobody passes on what others have. */
  #signedBy(nodeId: string, message: ConsensusMessage): Signed | undefined {
    const { cluster, verifier, truth } = this.#context;
    // Asked when it is known, which may be later than it is signed.
    const index = (height: number): number => truth.at(height).indexOf(nodeId);
    switch (message.type) {
      case 'proposal': {
        const { height, view, digest, signature } = message;
        const bytes = digestMessage(cluster.clusterId, 'proposal', height, view, digest);
        this.counts.proposals += 1;
        const holds = () => verifier.verifyProposal(index(height), height, bytes, signature);
        return { kind: 'proposal', height, view, says: digest, holds };
      }
      case 'vote': {
        const { phase, height, view, digest, signature } = message;
        const bytes = digestMessage(cluster.clusterId, phase, height, view, digest);
        this.counts[phase === 'prepare' ? 'prepares' : 'commits'] += 1;
        const holds = () => verifier.verify(index(height), height, bytes, signature);
        return { kind: phase, height, view, says: digest, holds };
      }
      case 'timeout': {
        const { height, view, high, signature } = message;
        const bytes = timeoutMessage(cluster.clusterId, height, view, high?.view);
        this.counts.timeouts += 1;
        const holds = () => verifier.verify(index(height), height, bytes, signature);
        return { kind: 'timeout', height, view, says: highText(high?.view), holds };
      }
      default:
        return undefined;
    }
  }
}
