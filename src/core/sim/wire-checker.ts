/**
 * The wire: no node that follows the rules signs two messages for one slot, across crashes and
 * losses of its disk, and what it signed was durable before it left (P6, D1).
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
import type { SimNode } from './node.ts';
import { type Checker, SimFailure } from './scenario.ts';

interface WireContext {
  readonly cluster: SimCluster;
  readonly verifier: VoteScheme;
  readonly isByzantine: (nodeId: string) => boolean;
}

/** One thing that a node has signed. */
interface Signed {
  readonly kind: Evidence['kind'];
  readonly height: number;
  readonly view: number;
  /** What it says there. */
  readonly says: string;
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

  /** What the sender has signed in this message; messages of others may be passed on. */
  #signedBy(nodeId: string, message: ConsensusMessage): Signed | undefined {
    const { cluster, verifier } = this.#context;
    const index = cluster.custodians.indexOf(nodeId);
    switch (message.type) {
      case 'proposal': {
        const { height, view, digest, signature } = message;
        const bytes = digestMessage(cluster.clusterId, 'proposal', height, view, digest);
        if (!verifier.verifyProposal(index, bytes, signature)) return undefined;
        this.counts.proposals += 1;
        return { kind: 'proposal', height, view, says: digest };
      }
      case 'vote': {
        const { phase, height, view, digest, signature } = message;
        const bytes = digestMessage(cluster.clusterId, phase, height, view, digest);
        if (!verifier.verify(index, bytes, signature)) return undefined;
        this.counts[phase === 'prepare' ? 'prepares' : 'commits'] += 1;
        return { kind: phase, height, view, says: digest };
      }
      case 'timeout': {
        const { height, view, high, signature } = message;
        const bytes = timeoutMessage(cluster.clusterId, height, view, high?.view);
        if (!verifier.verify(index, bytes, signature)) return undefined;
        this.counts.timeouts += 1;
        return { kind: 'timeout', height, view, says: highText(high?.view) };
      }
      default:
        return undefined;
    }
  }
}
