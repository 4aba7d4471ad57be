/**
 * A small deterministic cluster in memory: replicas, a clock, links that may lose, delay and
 * double, and a chain that knows just enough to build, check and hand out blocks. Rows survive a
 * crash.
 */

import { verifyCertificate } from '../../../../src/core/consensus/certificate.ts';
import {
  type CustodianKey,
  CustodianSet,
  CustodianSets,
} from '../../../../src/core/consensus/custodian-sets.ts';
import type { ConsensusMessage } from '../../../../src/core/consensus/messages.ts';
import { decodeMessage } from '../../../../src/core/consensus/messages.ts';
import {
  Replica,
  type ReplicaInput,
  type ReplicaOptions,
  type ReplicaOutcome,
} from '../../../../src/core/consensus/replica.ts';
import { LeaderSchedule } from '../../../../src/core/consensus/schedule.ts';
import type { VoteScheme } from '../../../../src/core/consensus/scheme.ts';
import type { Certificate, Timing } from '../../../../src/core/consensus/types.ts';
import { sha256 } from '../../../../src/core/crypto/hash.ts';
import type { Ready } from '../../../../src/core/machine.ts';
import type { KeyRing } from '../../../../src/core/ports.ts';
import { SimRandom } from '../../../../src/core/sim/random.ts';
import { StubKeyring } from '../../../../src/core/sim/stub-scheme.ts';
import { instant } from '../../../../src/core/units.ts';

export const CLUSTER_ID = 'cluster-of-tests';

export interface ClusterOptions {
  /** How many nodes there are; all of them are custodians unless `membersAt` says else. */
  readonly custodians: number;
  /** E1: the custodians of a height, as the blocks before it have decided. */
  readonly membersAt?: (height: number) => readonly number[];
  /** How often nodes hear who has more than they; left out: never. */
  readonly announceMs?: number;
  readonly seed?: string;
  readonly fanout?: 'all' | 'leader' | undefined;
  readonly timing?: Partial<Timing>;
  /** Chance that a message is lost, from 0 to 1. */
  readonly loss?: number;
  readonly latencyMsMax?: number;
}

export interface Block {
  readonly height: number;
  readonly previous: string;
  /** Where it was first proposed. */
  readonly view: number;
  readonly proposer: number;
  readonly item: number;
}

export const nodeIdOf = (index: number): string => `node-${String(index).padStart(3, '0')}`;

/** The keys of a custodian, by their number. */
export function keyOf(custodian: number, number = 0): CustodianKey {
  const key = (role: string, bytes: number): Uint8Array => {
    const text = `${role} key ${number} of ${custodian}`;
    return new Uint8Array(
      Buffer.concat([Buffer.from(text), new Uint8Array(48)]).subarray(0, bytes),
    );
  };
  return {
    nodeId: nodeIdOf(custodian),
    consensusKey: key('consensus', 48),
    identityKey: key('identity', 32),
    vrfKey: key('vrf', 32),
  };
}

const encodeBlock = (block: Block): Uint8Array => Buffer.from(JSON.stringify(block));
const digestOf = (payload: Uint8Array): string => Buffer.from(sha256(payload)).toString('hex');

export interface FinalBlock {
  readonly digest: string;
  readonly payload: Uint8Array;
  readonly certificate: Certificate;
}

export interface Envelope {
  readonly from: number;
  readonly to: number;
  readonly message: ConsensusMessage;
}

interface Timed {
  readonly at: number;
  readonly run: () => void;
}

export class Cluster {
  options: ClusterOptions;
  readonly keyring: StubKeyring;
  readonly nodes: Node[] = [];
  readonly random: SimRandom;
  now = 1_000_000;
  /** Whether there is a link between two nodes. */
  isLinked: (from: number, to: number) => boolean = () => true;
  /** Decides about each message; true: it is delivered. */
  filter: (envelope: Envelope) => boolean = () => true;
  /** Every message that was handed to the network. */
  onSend: (envelope: Envelope) => void = () => undefined;
  /** Chance that a message comes twice. */
  doubled = 0;
  /** What happens at each instant, in order. */
  readonly #queue = new Map<number, Timed[]>();

  constructor(options: ClusterOptions) {
    this.options = options;
    this.random = new SimRandom(options.seed ?? 'cluster');
    this.keyring = new StubKeyring(options.seed ?? 'cluster');
    for (let index = 0; index < options.custodians; index += 1) {
      this.nodes.push(new Node(this, index));
    }
  }

  /** Those of a height, and the replica of one of the nodes there. */
  setAt(height: number): CustodianSet {
    const { custodians, membersAt } = this.options;
    const all = Array.from({ length: custodians }, (_, index) => index);
    return new CustodianSet((membersAt?.(height) ?? all).map((index) => keyOf(index)));
  }

  replicaOptions({ nodeIds }: CustodianSet, self: number): ReplicaOptions {
    const { fanout, timing } = this.options;
    const index = nodeIds.indexOf(nodeIdOf(self));
    const held = [Buffer.from(keyOf(self).consensusKey).toString('hex')];
    const own = index === -1 ? undefined : index;
    return { clusterId: CLUSTER_ID, custodians: nodeIds, self: own, held, fanout, timing };
  }

  start(): void {
    for (const node of this.nodes) node.boot();
    for (const node of this.nodes) node.connect();
    if (this.options.announceMs !== undefined) this.#announce();
  }

  #announce(): void {
    for (const node of this.nodes) node.hearOfTips();
    this.after(this.options.announceMs!, () => this.#announce());
  }

  after(ms: number, run: () => void): void {
    const at = Math.ceil(this.now + ms);
    this.#put({ at, run });
  }

  transmit(envelope: Envelope): void {
    this.onSend(envelope);
    if (!this.isLinked(envelope.from, envelope.to) || !this.filter(envelope)) return;
    const { loss = 0, latencyMsMax = 3 } = this.options;
    if (this.random.chance(loss)) return;
    const { from, message } = envelope;
    const to = this.nodes[envelope.to]!;
    for (let copies = this.random.chance(this.doubled) ? 2 : 1; copies > 0; copies -= 1) {
      this.after(this.random.between(1, latencyMsMax), () => {
        if (to.isUp) to.input({ type: 'message', from: nodeIdOf(from), message });
      });
    }
  }

  /** Gives every node work until all have reached `height`, or the time is over. */
  runTo(height: number, forMs = 120_000, nodes: readonly Node[] = this.nodes): boolean {
    return this.runUntil(
      () => nodes.every((node) => !node.isUp || node.finals.length >= height),
      forMs,
    );
  }

  runUntil(isDone: () => boolean, forMs = 120_000): boolean {
    const end = this.now + forMs;
    while (!isDone()) {
      const next = this.#take();
      if (next === undefined || next.at > end) {
        if (next !== undefined)
          this.#queue.set(next.at, [next, ...(this.#queue.get(next.at) ?? [])]);
        return false;
      }
      this.now = Math.max(this.now, next.at);
      next.run();
    }
    return true;
  }

  /** Runs everything that happens within a time. */
  run(forMs: number): void {
    const end = this.now + forMs;
    this.runUntil(() => false, forMs);
    this.now = end;
  }

  /** How many events wait: an idle cluster has none. */
  get waiting(): number {
    return this.#queue.size;
  }

  #put(timed: Timed): void {
    const slot = this.#queue.get(timed.at);
    if (slot === undefined) this.#queue.set(timed.at, [timed]);
    else slot.push(timed);
  }

  #take(): Timed | undefined {
    const at = Math.min(...this.#queue.keys());
    const slot = this.#queue.get(at);
    const next = slot?.shift();
    if (slot?.length === 0) this.#queue.delete(at);
    return next;
  }
}

export class Node {
  readonly cluster: Cluster;
  readonly index: number;
  readonly finals: FinalBlock[] = [];
  readonly rows = new Map<string, { table: string; key: string; value: Uint8Array }>();
  readonly outcomes: ReplicaOutcome[] = [];
  readonly #blocks = new Map<string, Uint8Array>();
  readonly #alarms = new Map<string, number>();
  scheme!: VoteScheme;
  replica!: Replica;
  #sets!: CustodianSets;
  #leaders!: LeaderSchedule;
  isUp = false;
  /** How often it was started. */
  life = 0;
  isWaiting = false;
  /** What the chain says to a block, besides what the protocol needs. */
  isValid: (block: Block) => boolean = () => true;
  item = 0;
  /** Whether the node dies with this step, before or after it has become durable. */
  crashes: (() => 'before' | 'after' | undefined) | undefined;

  constructor(cluster: Cluster, index: number) {
    this.cluster = cluster;
    this.index = index;
  }

  get height(): number {
    return this.finals.length;
  }

  /** Starts, or starts again from what is durable. */
  boot(standing: 'sound' | 'doubtful' = 'sound'): void {
    this.isUp = true;
    this.life += 1;
    this.#alarms.clear();
    const { cluster, index } = this;
    const first = cluster.setAt(1);
    this.#sets = new CustodianSets(first);
    const { keyring } = cluster;
    this.scheme = keyring.votesOver({
      sets: this.#sets,
      self: { nodeId: nodeIdOf(index), ring: ringOf(keyring, index) },
    });
    const options = { clusterId: CLUSTER_ID, custodians: first.size, epochHeights: 1e6 };
    this.#leaders = new LeaderSchedule(options);
    for (const { payload } of this.finals) this.#advance(readBlock(payload));
    this.replica = Replica.recover(
      cluster.replicaOptions(cluster.setAt(this.height + 1), index),
      { scheme: this.scheme, leaders: this.#leaders },
      [...this.rows.values()],
      standing,
    );
    this.input({ type: 'start' });
    if (this.isWaiting) this.input({ type: 'work', isWaiting: true });
  }

  crash(): void {
    this.isUp = false;
    for (const other of this.cluster.nodes) {
      if (other.isUp) other.input({ type: 'peer-down', nodeId: nodeIdOf(this.index) });
    }
  }

  /** Links with all that are up. */
  connect(): void {
    for (const other of this.cluster.nodes) {
      if (other === this || !other.isUp) continue;
      this.input({ type: 'peer-up', nodeId: nodeIdOf(other.index) });
      if (other.replica !== undefined) {
        other.input({ type: 'peer-up', nodeId: nodeIdOf(this.index) });
      }
    }
  }

  work(isWaiting: boolean): void {
    this.isWaiting = isWaiting;
    if (this.isUp) this.input({ type: 'work', isWaiting });
  }

  input(input: ReplicaInput): void {
    this.take(this.replica.step(input, instant(this.cluster.now)));
  }

  take(first: Ready): void {
    if (!this.isUp) return;
    const crash = this.crashes?.();
    if (crash === 'before') {
      this.crash();
      return;
    }
    const ready = this.#goOn(first);
    for (const { table, key, value } of ready.entries) {
      if (value === undefined) this.rows.delete(`${table}/${key}`);
      else this.rows.set(`${table}/${key}`, { table, key, value });
    }
    if (crash === 'after') {
      this.crash();
      return;
    }
    for (const { to, body } of ready.messages) {
      const index = Number(to.slice('node-'.length));
      this.cluster.transmit({ from: this.index, to: index, message: decodeMessage(body) });
    }
    for (const { key, at } of ready.alarms) this.#arm(key, at);
    for (const outcome of ready.outcomes as readonly ReplicaOutcome[]) this.#act(outcome);
  }

  #arm(key: string, at: number | undefined): void {
    if (at === undefined) {
      this.#alarms.delete(key);
      return;
    }
    const { cluster, life } = this;
    this.#alarms.set(key, at);
    cluster.after(Math.max(0, at - cluster.now), () => {
      if (this.#alarms.get(key) !== at || this.life !== life || !this.isUp) return;
      this.#alarms.delete(key);
      this.input({ type: 'alarm', key });
    });
  }

  #act(outcome: ReplicaOutcome): void {
    this.outcomes.push(outcome);
    switch (outcome.type) {
      case 'build': {
        // Not at once: a chain of one custodian would never come to an end.
        const { height, view, previous } = outcome;
        this.#later(30, () => this.#build(height, view, previous));
        return;
      }
      case 'reproposal-wanted':
        this.#repropose(outcome.height, outcome.digest);
        return;
      case 'check':
        this.#check(outcome.height, outcome.digest, outcome.payload);
        return;
      case 'fetch':
        this.#fetch(outcome.height);
        return;
      default:
    }
  }

  /** What is final is in the transaction of its step, and so is what begins with it (E5). */
  #goOn(first: Ready): Ready {
    const all = [first];
    const step = (input: ReplicaInput): void => {
      all.push(this.replica.step(input, instant(this.cluster.now)));
    };
    for (const { outcomes } of all) {
      for (const outcome of outcomes as readonly ReplicaOutcome[]) {
        if (outcome.type !== 'finalised') continue;
        const { digest, certificate } = outcome;
        const payload = this.#blocks.get(digest)!;
        this.finals.push({ digest, payload, certificate });
        const isOther = this.#advance(readBlock(payload));
        if (isOther) {
          const set = this.cluster.setAt(this.height + 1);
          const options = this.cluster.replicaOptions(set, this.index);
          this.replica = this.replica.follow(options, this.#leaders);
        }
        step({ type: 'keys-known' });
      }
    }
    return {
      entries: all.flatMap(({ entries }) => entries),
      messages: all.flatMap(({ messages }) => messages),
      alarms: all.flatMap(({ alarms }) => alarms),
      outcomes: all.flatMap(({ outcomes }) => outcomes),
    };
  }

  /** @returns whether other nodes are the custodians of the next height. */
  #advance({ height, view }: Block): boolean {
    const next = this.cluster.setAt(height + 1);
    const isOther = !next.hasSameMembers(this.cluster.setAt(height));
    this.#leaders = this.#leaders.next({ height, view }, isOther ? next.size : undefined);
    this.#sets.change(height + 1, next);
    this.#sets.advance(height);
    return isOther;
  }

  /** What others tell of their last final block. */
  hearOfTips(): void {
    if (!this.isUp) return;
    const others = this.cluster.nodes.filter(
      ({ isUp, index }) => isUp && this.cluster.isLinked(index, this.index),
    );
    const height = Math.max(0, ...others.map((node) => node.height));
    if (height > this.height) this.#fetch(height);
  }

  #build(height: number, view: number, previous: string): void {
    if (!this.isWaiting) {
      this.input({ type: 'no-proposal', height, view });
      return;
    }
    this.item += 1;
    const block = { height, previous, view, proposer: this.index, item: this.item };
    const payload = encodeBlock(block);
    const digest = this.keep(payload);
    this.input({ type: 'proposal', height, view, digest, payload });
  }

  #repropose(height: number, digest: string): void {
    const payload = this.cluster.nodes
      .map((node) => node.#blocks.get(digest))
      .find((bytes) => bytes !== undefined);
    if (payload === undefined) return;
    this.keep(payload);
    const { view } = readBlock(payload);
    this.input({ type: 'proposal', height, view, digest, payload });
  }

  #check(height: number, digest: string, payload: Uint8Array): void {
    const block = readBlock(payload);
    const isValid =
      digestOf(payload) === digest &&
      block.height === height &&
      block.previous === (this.finals.at(-1)?.digest ?? '') &&
      this.isValid(block);
    if (isValid) this.keep(payload);
    this.input({ type: 'verdict', height, digest, isValid, view: block.view });
  }

  /** From whoever is up and has more: as the chain does, after a while. */
  #fetch(height: number): void {
    this.#later(1, () => {
      const { cluster } = this;
      const source = cluster.nodes.find(
        (node) => node.isUp && node.height >= height && cluster.isLinked(node.index, this.index),
      );
      for (const final of source?.finals.slice(this.finals.length, height) ?? []) {
        const { height: of, view } = readBlock(final.payload);
        if (of <= this.height) continue;
        if (of !== this.height + 1 || !this.isUp) return;
        const { digest, certificate } = final;
        // Y1: by the set of its height, whichever is in force now.
        if (!verifyCertificate(certificate, this.scheme, CLUSTER_ID)) throw new Error('forged');
        this.keep(final.payload);
        this.input({ type: 'certified', certificate });
        this.input({ type: 'verdict', height: of, digest, isValid: true, view });
      }
    });
  }

  #later(ms: number, run: () => void): void {
    const { life } = this;
    this.cluster.after(ms, () => {
      if (this.isUp && this.life === life) run();
    });
  }

  keep(payload: Uint8Array): string {
    const digest = digestOf(payload);
    this.#blocks.set(digest, payload);
    return digest;
  }
}

const readBlock = (payload: Uint8Array): Block =>
  JSON.parse(Buffer.from(payload).toString()) as Block;

/** A home with the first keys of a node. */
function ringOf(keyring: StubKeyring, index: number): KeyRing {
  const own = keyOf(index);
  const isOwn = (key: Uint8Array): boolean =>
    [own.consensusKey, own.identityKey, own.vrfKey].some((one) => Buffer.compare(one, key) === 0);
  return {
    identity: (key) => (isOwn(key) ? keyring.signer(key) : undefined),
    votes: (key) => (isOwn(key) ? keyring.voter(key) : undefined),
    seeds: (key) => (isOwn(key) ? keyring.prover(key) : undefined),
    heldConsensusKeys: () => [Buffer.from(own.consensusKey).toString('hex')],
  };
}
