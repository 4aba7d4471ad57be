/**
 * A few chains and a network between them, on a clock of their own: for tests that say exactly what
 * is lost and who is where. The simulator is for the rest.
 */
import { Chain } from '../../../../src/core/chain/chain.ts';
import { type ChainMessage, openMessage } from '../../../../src/core/chain/messages.ts';
import { blockKey, readChainRow, TABLES } from '../../../../src/core/chain/rows.ts';
import type {
  ChainGenesis,
  ChainInput,
  ChainOutcome,
  StoredRow,
} from '../../../../src/core/chain/types.ts';
import { windowIn } from '../../../../src/core/chain/window.ts';
import { CustodianSet, CustodianSets } from '../../../../src/core/consensus/custodian-sets.ts';
import type { Timing } from '../../../../src/core/consensus/types.ts';
import { verifyEd25519 } from '../../../../src/core/crypto/sign.ts';
import { isAegisError } from '../../../../src/core/errors.ts';
import type { Envelope, Ready } from '../../../../src/core/machine.ts';
import type { Checkpoint } from '../../../../src/core/model/checkpoint.ts';
import type { SignedIntent } from '../../../../src/core/model/intent.ts';
import type { SignatureCheck } from '../../../../src/core/model/signed.ts';
import type { KeyRing } from '../../../../src/core/ports.ts';
import { StubKeyring } from '../../../../src/core/sim/stub-scheme.ts';
import { instant, type Verified, verified } from '../../../../src/core/units.ts';
import { CLUSTER_ID, CONTEXT, genesisOf, type Member, membersOf } from './fixtures.ts';

export interface ClusterOptions {
  readonly custodians: number;
  /** @default 0 */
  readonly agents?: number;
  readonly epochHeights?: number;
  readonly timing?: Partial<Timing>;
  /** V1: of the genesis. */
  readonly protocol?: number;
  /** V3: by node, as it starts. */
  readonly protocolMax?: (nodeId: string) => number;
  readonly fanout?: 'all' | 'leader';
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

const LATENCY_MS = 1;

export class TestNode {
  readonly member: Member;
  readonly rows = new Map<string, StoredRow>();
  readonly outcomes: ChainOutcome[] = [];
  readonly peers = new Set<string>();
  /** Public keys, in hex, of which the home does not hold the secret. */
  readonly lostKeys = new Set<string>();
  checkpoint: Checkpoint | undefined;
  snapshots: 'auto' | 'never' = 'auto';
  chain!: Chain;
  isUp = false;
  /** By key: when the alarm is due, and a number that tells it from an earlier one. */
  alarms = new Map<string, number>();

  constructor(member: Member) {
    this.member = member;
  }

  get nodeId(): string {
    return this.member.nodeId;
  }

  table(name: string): StoredRow[] {
    return [...this.rows.values()].filter(({ table }) => table === name);
  }

  told<T extends ChainOutcome['type']>(type: T): Extract<ChainOutcome, { type: T }>[] {
    return this.outcomes.filter(
      (outcome): outcome is Extract<ChainOutcome, { type: T }> => outcome.type === type,
    );
  }
}

export class TestCluster {
  readonly nodes: readonly TestNode[];
  readonly keyring = new StubKeyring('tests of the chain');
  readonly genesis: ChainGenesis;
  now = 1_000_000;
  /** Whether signatures in messages are verified, as a node does it. */
  verifies = false;
  /** Messages with a signature that did not hold. */
  refused = 0;
  /** What does not arrive. */
  isLost: (from: TestNode, to: TestNode, envelope: Envelope) => boolean = () => false;
  readonly #options: ClusterOptions;
  #events: Event[] = [];
  #order = 0;

  constructor(options: ClusterOptions) {
    this.#options = options;
    const members = membersOf(options.custodians + (options.agents ?? 0));
    const genesis = genesisOf(members, options.custodians);
    this.genesis = { ...genesis, protocol: options.protocol ?? genesis.protocol };
    // Sorted by node id, so that the first ones are the custodians in their order.
    this.nodes = members.map((member) => new TestNode(member));
    for (const node of this.nodes) this.boot(node);
    for (const a of this.nodes) for (const b of this.nodes) if (a !== b) this.connect(a, b);
    for (const node of this.nodes) this.give(node, { type: 'start' });
  }

  get custodians(): readonly TestNode[] {
    return this.nodes.slice(0, this.#options.custodians);
  }

  boot(node: TestNode, standing: 'sound' | 'doubtful' = 'sound'): void {
    const { epochHeights, timing, fanout, protocolMax } = this.#options;
    const sets = this.setsOfGenesis();
    const self = this.#selfOf(node);
    node.isUp = true;
    node.alarms = new Map();
    node.chain = Chain.recover(
      {
        clusterId: CLUSTER_ID,
        genesis: this.genesis,
        self: node.nodeId,
        held: [],
        fanout,
        timing,
        epochHeights,
        protocolMax: protocolMax?.(node.nodeId),
        checkpoint: node.checkpoint,
        snapshots: node.snapshots,
      },
      {
        scheme: this.keyring.votesOver({ sets, self }),
        seeds: this.keyring.seedsOver({ sets, self }),
        sets,
        schemeOf: (other) => this.keyring.votesOver({ sets: other }),
      },
      node.rows.values(),
      standing,
    );
  }

  setsOfGenesis(): CustodianSets {
    const { members, custodians } = this.genesis;
    const first = members.slice(0, custodians.length);
    return new CustodianSets(
      new CustodianSet(first.map(({ nodeId, keys }) => ({ nodeId, ...keys.keys }))),
    );
  }

  /** The share of a custodian, with the keys of the genesis. */
  shareOf(index: number, height: number, message: Uint8Array): Uint8Array {
    const sets = this.setsOfGenesis();
    const self = this.#selfOf(this.nodes[index]!);
    return this.keyring.votesOver({ sets, self }).sign(height, message)!;
  }

  aggregate(shares: readonly Uint8Array[]): Uint8Array {
    return this.keyring.votesOver({ sets: this.setsOfGenesis() }).aggregate(shares)!;
  }

  /** Its home holds whatever key is in force, unless it is one of those that are lost. */
  #selfOf(node: TestNode) {
    const { nodeId } = node;
    const isLost = (key: Uint8Array): boolean =>
      node.lostKeys.has(Buffer.from(key).toString('hex'));
    const ring: KeyRing = {
      identity: (key) => (isLost(key) ? undefined : this.keyring.signer(key)),
      votes: (key) => (isLost(key) ? undefined : this.keyring.voter(key)),
      seeds: (key) => (isLost(key) ? undefined : this.keyring.prover(key)),
      heldConsensusKeys: () => [],
    };
    return { nodeId, ring };
  }

  /** The connection comes up, as `a` sees it. */
  connect(a: TestNode, b: TestNode): void {
    a.peers.add(b.nodeId);
    if (a.isUp) this.give(a, { type: 'peer-up', nodeId: b.nodeId });
  }

  disconnect(a: TestNode, b: TestNode): void {
    for (const [one, other] of [
      [a, b],
      [b, a],
    ] as const) {
      one.peers.delete(other.nodeId);
      if (one.isUp) this.give(one, { type: 'peer-down', nodeId: other.nodeId });
    }
  }

  stop(node: TestNode): void {
    for (const other of this.nodes) if (other !== node) this.disconnect(node, other);
    node.isUp = false;
  }

  restart(node: TestNode, standing: 'sound' | 'doubtful' = 'sound'): void {
    this.stop(node);
    this.boot(node, standing);
    this.give(node, { type: 'start' });
    for (const other of this.nodes) {
      if (other === node || !other.isUp) continue;
      this.connect(node, other);
      this.connect(other, node);
    }
  }

  submit(node: TestNode, ...intents: readonly Verified<SignedIntent>[]): void {
    this.give(node, { type: 'submit', intents });
  }

  /** One step, and all that it asks for. */
  give(node: TestNode, input: ChainInput): Ready {
    const ready = node.chain.step(input, instant(this.now));
    for (const { table, key, value } of ready.entries) {
      const name = `${table}\0${key}`;
      if (value === undefined) node.rows.delete(name);
      else node.rows.set(name, { table, key, value });
    }
    for (const envelope of ready.messages) this.#send(node, envelope);
    for (const { key, at } of ready.alarms) this.#arm(node, key, at);
    for (const outcome of ready.outcomes as readonly ChainOutcome[]) {
      node.outcomes.push(outcome);
      if (outcome.type === 'serve') this.#serve(node, outcome);
    }
    return ready;
  }

  /** Lets so much time pass. */
  run(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const next = this.#events[0];
      if (next === undefined || next.at > end) break;
      this.#events.shift();
      this.now = Math.max(this.now, next.at);
      next.run();
    }
    this.now = end;
  }

  /** Lets time pass until something holds. */
  runUntil(holds: () => boolean, maxMs = 60_000): void {
    const end = this.now + maxMs;
    while (!holds()) {
      if (this.now >= end) throw new Error('it did not come to that');
      this.run(5);
    }
  }

  /** Opens bytes as the node does, with all signatures checked. */
  open(node: TestNode, envelope: Envelope): Verified<ChainMessage> {
    return this.#open(node, envelope).message;
  }

  #open(node: TestNode, envelope: Envelope) {
    const { roster } = node.chain;
    const { message, checks } = openMessage(envelope.protocol, envelope.body, {
      ...CONTEXT,
      height: () => node.chain.height,
      hasKey: (author, keyEpoch) => roster.identityKey(author, keyEpoch) !== undefined,
      isKnown: (digest) => node.chain.isKnown(digest),
      isWaiting: (digest) => node.chain.isWaiting(digest),
    });
    return { message: verified(message), checks };
  }

  #tryOpen(node: TestNode, envelope: Envelope) {
    try {
      return this.#open(node, envelope);
    } catch (error) {
      if (isAegisError(error)) return undefined;
      throw error;
    }
  }

  /** Whether all signatures hold, by the keys that a node knows. */
  #holds(node: TestNode, checks: readonly SignatureCheck[]): boolean {
    const { roster } = node.chain;
    return checks.every(({ author, keyEpoch, key, message, signature }) => {
      const known = key ?? roster.identityKey(author, keyEpoch);
      return known !== undefined && verifyEd25519(known, message, signature);
    });
  }

  #at(at: number, run: () => void): void {
    this.#order += 1;
    const event = { at, order: this.#order, run };
    const place = this.#events.findIndex((other) => other.at > at);
    this.#events.splice(place === -1 ? this.#events.length : place, 0, event);
  }

  /** As if the node had sent it. What cannot be read, its receiver hears of. */
  deliver(from: TestNode, envelope: Envelope): void {
    this.#send(from, envelope);
  }

  #send(from: TestNode, envelope: Envelope): void {
    const to = this.nodes.find(({ nodeId }) => nodeId === envelope.to)!;
    this.#at(this.now + LATENCY_MS, () => {
      const isThere = to.isUp && to.peers.has(from.nodeId) && from.peers.has(to.nodeId);
      if (!isThere || this.isLost(from, to, envelope)) return;
      const opened = this.#tryOpen(to, envelope);
      if (opened === undefined || (this.verifies && !this.#holds(to, opened.checks))) {
        this.refused += 1;
        this.give(to, { type: 'unreadable', from: from.nodeId });
        return;
      }
      const { message } = opened;
      this.give(to, { type: 'message', from: from.nodeId, message });
    });
  }

  #arm(node: TestNode, key: string, at: number | undefined): void {
    if (at === undefined) {
      node.alarms.delete(key);
      return;
    }
    this.#order += 1;
    const mark = this.#order;
    const { alarms } = node;
    alarms.set(key, mark);
    this.#at(Math.max(at, this.now), () => {
      if (node.alarms !== alarms || alarms.get(key) !== mark || !node.isUp) return;
      alarms.delete(key);
      this.give(node, { type: 'alarm', key });
    });
  }

  #serve(node: TestNode, { to, from, upTo }: { to: string; from: number; upTo: number }): void {
    this.#at(this.now + LATENCY_MS, () => {
      if (!node.isUp) return;
      const rows = node.table(TABLES.chain).flatMap(({ key, value }) => {
        const height = Number(key);
        const { digest, certificate } = readChainRow(value);
        const row = node.rows.get(`${TABLES.blocks}\0${blockKey(height, digest)}`);
        return height < from || row === undefined
          ? []
          : [{ height, block: row.value, certificate }];
      });
      const sorted = rows.toSorted((a, b) => a.height - b.height);
      const window = sorted[0]?.height === from ? windowIn(sorted, upTo - from + 1) : undefined;
      this.give(node, { type: 'rows', to, from, window });
    });
  }
}
