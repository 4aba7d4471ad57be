/**
 * What Byzantine behaviours are made of. Each is a few hooks around the honest machine of a node:
 * it may change, hold back or add what the machine says and hears, and sign anything with the
 * node's own keys. It cannot sign for others, nor change what others send.
 */
import type { ChainInput, StoredRow } from '../../chain/chain.ts';
import { type ChainMessage, openMessage } from '../../chain/messages.ts';
import type { CustodianKey, CustodianSet } from '../../consensus/custodian-sets.ts';
import {
  CONSENSUS_PROTOCOL,
  type ConsensusMessage,
  decodeMessage,
  encodeMessage,
  type ProposalMessage,
  type TimeoutMessage,
  type VoteMessage,
} from '../../consensus/messages.ts';
import { digestMessage, timeoutMessage } from '../../consensus/signed-bytes.ts';
import type { Certificate, Phase } from '../../consensus/types.ts';
import type { Envelope, Machine, Ready } from '../../machine.ts';
import { type Block, createBlock, openBlock } from '../../model/block.ts';
import { type Instant, instant } from '../../units.ts';
import type { ConsensusTools } from '../consensus-tools.ts';
import type { SimNode } from '../node.ts';

/** What attacks have done in a run, so that no test passes because nothing happened. */
export class Ledger {
  /** How often a behaviour did what no rule allows. */
  strikes = 0;
  /** Node ids of those that misbehave. */
  readonly guilty = new Set<string>();
  /** Digests of blocks that must never be final. */
  readonly poison = new Set<string>();
}

/** All of them are optional: without any, a node is honest. */
export interface Hooks {
  /** What becomes of one message of consensus to one node. */
  say?(message: ConsensusMessage, to: string, now: Instant): readonly ConsensusMessage[];
  /** What becomes of one envelope of another protocol. */
  tell?(envelope: Envelope, now: Instant): readonly Envelope[];
  /** What the honest machine gets instead of an input. */
  hear?(input: ChainInput, now: Instant): readonly ChainInput[];
  /** Every now and then: what is sent beyond all that. */
  tick?(now: Instant): readonly Envelope[];
  /** Steps something else than the honest machine. */
  step?(input: ChainInput, now: Instant): Ready | undefined;
}

const TICK = 'byzantine';
const TICK_MS = 100;

/** An honest machine with hooks around it. */
export class ByzantineMachine implements Machine<ChainInput> {
  readonly #honest: Machine<ChainInput>;
  readonly #hooks: Hooks;

  constructor(honest: Machine<ChainInput>, hooks: Hooks) {
    this.#honest = honest;
    this.#hooks = hooks;
  }

  step(input: ChainInput, now: Instant): Ready {
    if (input.type === 'alarm' && input.key === TICK) {
      const messages = this.#hooks.tick?.(now) ?? [];
      return { entries: [], messages, alarms: [nextTick(now)], outcomes: [] };
    }
    const inputs = this.#hooks.hear?.(input, now) ?? [input];
    const readies = inputs.map(
      (heard) => this.#hooks.step?.(heard, now) ?? this.#honest.step(heard, now),
    );
    const first = input.type === 'start' ? [nextTick(now)] : [];
    return {
      entries: readies.flatMap(({ entries }) => entries),
      messages: readies.flatMap(({ messages }) => messages.flatMap((it) => this.#bend(it, now))),
      alarms: [...readies.flatMap(({ alarms }) => alarms), ...first],
      outcomes: readies.flatMap(({ outcomes }) => outcomes),
    };
  }

  #bend(envelope: Envelope, now: Instant): readonly Envelope[] {
    const { say, tell } = this.#hooks;
    if (envelope.protocol !== CONSENSUS_PROTOCOL) return tell?.(envelope, now) ?? [envelope];
    if (say === undefined) return [envelope];
    const { to, body } = envelope;
    return say(decodeMessage(body), to, now).map((message) => envelopeOf(to, message));
  }
}

const nextTick = (now: Instant) => ({ key: TICK, at: instant(now + TICK_MS) });

export const envelopeOf = (to: string, message: ConsensusMessage): Envelope => ({
  to,
  protocol: CONSENSUS_PROTOCOL,
  body: encodeMessage(message),
});

/** Everything that a misbehaving node has at hand. */
export class Attacker {
  readonly #node: SimNode;
  readonly tools: ConsensusTools;
  readonly ledger: Ledger;

  constructor(node: SimNode, tools: ConsensusTools, ledger: Ledger) {
    this.#node = node;
    this.tools = tools;
    this.ledger = ledger;
  }

  /** The latest custodians that its machine knows of. */
  get custodians(): CustodianSet {
    return this.tools.keys.sets.at(Number.MAX_SAFE_INTEGER)!;
  }

  /** Its index among them; -1: it is none any more. */
  get index(): number {
    return this.custodians.indexOf(this.#node.nodeId);
  }

  get faultyMax(): number {
    return Math.floor((this.custodians.size - 1) / 3);
  }

  /** Node ids of the other custodians. */
  get others(): readonly string[] {
    return this.custodians.nodeIds.filter((nodeId) => nodeId !== this.#node.nodeId);
  }

  /** What is durable at this node. */
  rows(): StoredRow[] {
    const { disk } = this.#node;
    return disk.tables().flatMap((table) => disk.scan(table));
  }

  /** Another honest machine of this node. */
  recover(rows: readonly StoredRow[]): Machine<ChainInput> {
    return this.tools.recover(rows);
  }

  strike(): void {
    this.ledger.strikes += 1;
  }

  /** Marks a block as one that no rule allows. */
  poison(block: Block): Block {
    this.ledger.poison.add(block.digest);
    return block;
  }

  /** Whether a node is in one half of the custodians, the same one at all times. */
  isInHalf(nodeId: string): boolean {
    return this.others.indexOf(nodeId) % 2 === 0;
  }

  vote(
    phase: Phase,
    { height, view }: { readonly height: number; readonly view: number },
    digest: string,
    proposal?: Uint8Array,
  ): VoteMessage {
    const { clusterId } = this.tools.cluster;
    const bytes = digestMessage(clusterId, phase, height, view, digest);
    const signature = this.sign(height, bytes);
    return { type: 'vote', phase, height, view, digest, signature, proposal };
  }

  timeout(height: number, view: number, high: Certificate | undefined): TimeoutMessage {
    const bytes = timeoutMessage(this.tools.cluster.clusterId, height, view, high?.view);
    return { type: 'timeout', height, view, high, signature: this.sign(height, bytes) };
  }

  /** With its consensus key, of whatever height: those of the misbehaving never change. */
  sign(height: number, bytes: Uint8Array): Uint8Array {
    return this.tools.home.votes(this.#keyAt(height).consensusKey)!.sign(bytes)!;
  }

  #keyAt(height: number): CustodianKey {
    const { cluster, keys } = this.tools;
    const set = keys.sets.at(height);
    const present = set?.custodians[set.indexOf(this.#node.nodeId)];
    // Who is no custodian there has its key all the same.
    const { nodeId } = this.#node;
    const member = cluster.genesis.members.find((one) => one.nodeId === nodeId)!;
    return present ?? { nodeId, ...member.keys.keys };
  }

  /** What the honest machine says in an envelope of either protocol. */
  read({ protocol, body }: Envelope): ChainMessage {
    const { clusterId, names } = this.tools.cluster;
    const known = { height: () => Number.MAX_SAFE_INTEGER, hasKey: () => true };
    return openMessage(protocol, body, { clusterId, names, ...known, isKnown: () => true }).message;
  }

  /** The same proposal with another block. */
  propose(proposal: ProposalMessage, { digest, bytes: payload }: Block): ProposalMessage {
    const { height, view } = proposal;
    const bytes = digestMessage(this.tools.cluster.clusterId, 'proposal', height, view, digest);
    const signature = this.tools.home.signer(this.#keyAt(height).identityKey)!.sign(bytes);
    return { ...proposal, digest, payload, signature };
  }
}

/** The block of a proposal, with another header or other intents. */
export function alter(
  { payload }: { readonly payload: Uint8Array },
  change: Partial<Block['header']>,
  intents?: readonly Uint8Array[],
): Block {
  const block = openBlock(payload);
  return createBlock({ ...block.header, ...change }, intents ?? block.intents);
}

/** Another 32 bytes, in hex. */
export const otherDigest = (digest: string): string =>
  `${digest.slice(0, -1)}${digest.endsWith('0') ? '1' : '0'}`;
