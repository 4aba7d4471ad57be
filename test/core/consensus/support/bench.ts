/** One replica on a bench: the test plays all other custodians, the chain and the clock. */
import {
  type CustodianKey,
  CustodianSet,
  CustodianSets,
} from '../../../../src/core/consensus/custodian-sets.ts';
import { type ConsensusMessage, decodeMessage } from '../../../../src/core/consensus/messages.ts';
import {
  Replica,
  type ReplicaInput,
  type ReplicaOptions,
  type ReplicaOutcome,
  type Standing,
} from '../../../../src/core/consensus/replica.ts';
import type { LeaderFact, Leaders } from '../../../../src/core/consensus/schedule.ts';
import type { VoteScheme } from '../../../../src/core/consensus/scheme.ts';
import { digestMessage, shareMessage } from '../../../../src/core/consensus/signed-bytes.ts';
import type {
  Certificate,
  Phase,
  Share,
  TimeoutCertificate,
} from '../../../../src/core/consensus/types.ts';
import type { LogEntry } from '../../../../src/core/machine.ts';
import { StubKeyring } from '../../../../src/core/sim/stub-scheme.ts';
import { instant } from '../../../../src/core/units.ts';
import { CLUSTER_ID, keyOf, nodeIdOf } from './cluster.ts';

export { keyOf } from './cluster.ts';

/** A digest with a name. */
export const digest = (name: string): string => Buffer.from(name).toString('hex').padEnd(64, '0');
export const A = digest('a');
export const B = digest('b');

/** Leader of height h and view v is h - 1 + v: custodian 0 begins. */
class RoundRobin implements Leaders {
  /** Of all that follow from the first one. */
  readonly facts: LeaderFact[];
  readonly #custodians: number;
  constructor(custodians: number, facts: LeaderFact[] = []) {
    this.#custodians = custodians;
    this.facts = facts;
  }
  leaderOf(height: number, view: number): number {
    return (height - 1 + view) % this.#custodians;
  }
  passedOver(): readonly number[] {
    return [];
  }
  next(fact: LeaderFact): RoundRobin {
    this.facts.push(fact);
    return this;
  }
}

export interface BenchOptions {
  readonly custodians?: number;
  readonly self?: number | undefined;
  readonly fanout?: 'all' | 'leader';
  /** Keys that change: custodian, the first height of a key, and its number; all begin with 0. */
  readonly changes?: readonly (readonly [custodian: number, from: number, number: number])[];
  /** E1: the nodes that are custodians from a height on; left out: all, from the first. */
  readonly members?: readonly (readonly [from: number, nodes: readonly number[]])[];
}

const keysIn = ({ consensusKey, identityKey, vrfKey }: CustodianKey): Uint8Array[] => [
  consensusKey,
  identityKey,
  vrfKey,
];

const nameOf = (custodian: number, number = 0): string =>
  Buffer.from(keyOf(custodian, number).consensusKey).toString('hex');

export interface Sent {
  readonly to: number;
  readonly message: ConsensusMessage;
}

export class Bench {
  readonly custodians: number;
  readonly self: number | undefined;
  readonly keyring = new StubKeyring('bench');
  /** What the replica knows of the keys; nothing changes unless the options say so. */
  sets: CustodianSets;
  /** Numbers of the own keys of which the secrets are at hand. */
  readonly held = new Set([0]);
  /** How often something was asked to be signed, and whether that is refused. */
  readonly signing = { asked: 0, isRefused: false };
  /** What all custodians sign with at any height. */
  readonly #truth: CustodianSets;
  readonly scheme: VoteScheme;
  /** How many single shares were verified, and how many aggregates. */
  readonly verified = { single: 0, aggregate: 0 };
  readonly leaders: RoundRobin;
  readonly rows = new Map<string, LogEntry>();
  readonly alarms = new Map<string, number>();
  readonly #options: BenchOptions;
  /** Of the last step. */
  sent: Sent[] = [];
  outcomes: ReplicaOutcome[] = [];
  entries: readonly LogEntry[] = [];
  now = 1000;
  replica: Replica;

  constructor(options: BenchOptions = {}) {
    this.#options = options;
    this.custodians = options.custodians ?? 4;
    this.self = 'self' in options ? options.self : 3;
    this.leaders = new RoundRobin(options.members?.[0]?.[1].length ?? this.custodians);
    this.sets = this.#setsTo(0);
    this.#truth = this.#setsTo(1_000_000);
    const scheme = this.#schemeOf();
    this.scheme = {
      ...scheme,
      sign: (...args) => {
        this.signing.asked += 1;
        return this.signing.isRefused ? undefined : scheme.sign(...args);
      },
      signProposal: (...args) => {
        this.signing.asked += 1;
        return this.signing.isRefused ? undefined : scheme.signProposal(...args);
      },
      verify: (...args) => {
        this.verified.single += 1;
        return scheme.verify(...args);
      },
      verifyAggregate: (...args) => {
        this.verified.aggregate += 1;
        return scheme.verifyAggregate(...args);
      },
    };
    this.replica = this.#recover('sound');
  }

  get ids(): string[] {
    return Array.from({ length: this.custodians }, (_, index) => nodeIdOf(index));
  }

  /** A quorum without the replica on the bench. */
  get others(): number[] {
    const others = this.ids.keys().filter((index) => index !== this.self);
    return [...others].slice(0, this.custodians - Math.floor((this.custodians - 1) / 3));
  }

  /** The keys as they are known after a height. */
  #setsTo(height: number): CustodianSets {
    const { changes = [], members = [] } = this.#options;
    let keys = this.ids.map((_id, index) => keyOf(index));
    const setAt = (at: number): CustodianSet => {
      const nodes = members.findLast(([from]) => from <= at)?.[1] ?? keys.keys();
      return new CustodianSet([...nodes].map((node) => keys[node]!));
    };
    const sets = new CustodianSets(setAt(1));
    const heights = [...changes.map(([, from]) => from), ...members.map(([from]) => from)];
    for (const at of [...new Set(heights)].toSorted((a, b) => a - b)) {
      if (at > height + 1 || at === 1) continue;
      for (const [custodian, from, number] of changes) {
        if (from === at) keys = keys.with(custodian, keyOf(custodian, number));
      }
      sets.change(at, setAt(at));
    }
    sets.advance(height);
    return sets;
  }

  #schemeOf(): VoteScheme {
    const { self, keyring } = this;
    const own = (publicKey: Uint8Array): boolean =>
      [...this.held].some((number) =>
        keysIn(keyOf(self ?? 0, number)).some((key) => Buffer.compare(key, publicKey) === 0),
      );
    const ring = {
      identity: (key: Uint8Array) => (own(key) ? keyring.signer(key) : undefined),
      votes: (key: Uint8Array) => (own(key) ? keyring.voter(key) : undefined),
      seeds: (key: Uint8Array) => (own(key) ? keyring.prover(key) : undefined),
      heldConsensusKeys: () => [...this.held].map((number) => nameOf(self ?? 0, number)),
    };
    // The keys that the replica knows are others after a restart.
    const sets = {
      at: (height: number) => this.sets.at(height),
      knows: (height: number) => this.sets.knows(height),
    };
    return keyring.votesOver({
      sets,
      ...(self === undefined ? {} : { self: { nodeId: nodeIdOf(self), ring } }),
    });
  }

  /** What a custodian signs with. */
  #votesOf(custodian: number): VoteScheme {
    const { keyring } = this;
    if (custodian >= this.custodians) return keyring.votes(custodian, custodian + 1);
    const ring = {
      identity: (key: Uint8Array) => keyring.signer(key),
      votes: (key: Uint8Array) => keyring.voter(key),
      seeds: (key: Uint8Array) => keyring.prover(key),
      heldConsensusKeys: () => [],
    };
    return keyring.votesOver({ sets: this.#truth, self: { nodeId: nodeIdOf(custodian), ring } });
  }

  #recover(standing: Standing): Replica {
    const rows = [...this.rows.values()].flatMap(({ table, key, value }) =>
      value === undefined ? [] : [{ table, key, value }],
    );
    const held = this.scheme.heldKeys();
    const dependencies = { scheme: this.scheme, leaders: this.leaders };
    return Replica.recover(this.#replicaOptions(held), dependencies, rows, standing);
  }

  /** Of the replica of the height that is known last. */
  #replicaOptions(held: readonly string[]): ReplicaOptions {
    const { nodeIds } = this.sets.at(this.sets.knownTo)!;
    const index = this.self === undefined ? -1 : nodeIds.indexOf(nodeIdOf(this.self));
    const self = index === -1 ? undefined : index;
    const { fanout } = this.#options;
    return { clusterId: CLUSTER_ID, custodians: nodeIds, self, held, fanout };
  }

  /** From what is durable. */
  restart(standing: Standing = 'sound'): this {
    this.alarms.clear();
    this.sets = this.#setsTo(this.replica.finalised);
    this.replica = this.#recover(standing);
    this.sets = this.#setsTo(this.replica.finalised);
    return this.step({ type: 'start' });
  }

  /** A home without any memory. */
  forget(standing: Standing = 'doubtful'): this {
    this.rows.clear();
    return this.restart(standing);
  }

  step(...inputs: ReplicaInput[]): this {
    [this.sent, this.outcomes, this.entries] = [[], [], []];
    const queue = [...inputs];
    for (let input = queue.shift(); input !== undefined; input = queue.shift()) {
      const ready = this.replica.step(input, instant(this.now));
      for (const entry of ready.entries) this.rows.set(`${entry.table} ${entry.key}`, entry);
      this.entries = [...this.entries, ...ready.entries];
      const outcomes = ready.outcomes as readonly ReplicaOutcome[];
      this.outcomes.push(...outcomes);
      // As the chain does: the state after the block tells the keys of the next height.
      if (outcomes.some(({ type }) => type === 'finalised')) {
        const before = this.sets.at(this.replica.finalised)!;
        this.sets = this.#setsTo(this.replica.finalised);
        if (!before.hasSameMembers(this.sets.at(this.replica.height)!)) {
          // E5.
          const { held } = this;
          const names = [...held].map((number) => nameOf(this.self ?? 0, number));
          this.replica = this.replica.follow(this.#replicaOptions(names), this.leaders);
        }
        queue.unshift({ type: 'keys-known' });
      }
      for (const { to, body } of ready.messages) {
        this.sent.push({ to: Number(to.slice(5)), message: decodeMessage(body) });
      }
      for (const { key, at } of ready.alarms) {
        if (at === undefined) this.alarms.delete(key);
        else this.alarms.set(key, at);
      }
    }
    return this;
  }

  hear(from: number, ...messages: ConsensusMessage[]): this {
    return this.step(
      ...messages.map((message): ReplicaInput => {
        return { type: 'message', from: nodeIdOf(from), message };
      }),
    );
  }

  /** Lets the alarm go off when it is due. */
  ring(key: string): this {
    this.now = Math.max(this.now, this.alarms.get(key)!);
    this.alarms.delete(key);
    return this.step({ type: 'alarm', key });
  }

  /** What the chain says to a check. */
  judge(value: string, options: { isValid?: boolean; view?: number; height?: number } = {}): this {
    const { isValid = true, view = 0, height = this.replica.height } = options;
    return this.step({ type: 'verdict', height, digest: value, isValid, view });
  }

  /** The messages of the last step of one type, each once whoever gets it. */
  said<T extends ConsensusMessage['type']>(type: T): Extract<ConsensusMessage, { type: T }>[] {
    const all = this.sent.map(({ message }) => message).filter((m) => m.type === type);
    const unique = new Map(all.map((message) => [JSON.stringify(message), message]));
    return [...unique.values()] as Extract<ConsensusMessage, { type: T }>[];
  }

  told<T extends ReplicaOutcome['type']>(type: T): Extract<ReplicaOutcome, { type: T }>[] {
    return this.outcomes.filter((o) => o.type === type) as Extract<ReplicaOutcome, { type: T }>[];
  }

  /** The index of a node at a height. */
  indexAt(node: number, height: number): number {
    return this.#truth.at(height)!.indexOf(nodeIdOf(node));
  }

  /** The node that has an index at a height. */
  nodeAt(index: number, height: number): number {
    return Number(this.#truth.at(height)!.nodeIds[index]!.slice('node-'.length));
  }

  /** A share of any custodian. */
  share(from: number, share: Partial<Share> & Pick<Share, 'kind'>): Share {
    const full = { height: 1, view: 0, digest: undefined, highView: undefined, ...share };
    const signature = this.#votesOf(from).sign(full.height, shareMessage(CLUSTER_ID, full))!;
    return { ...full, signature };
  }

  vote(from: number, phase: Phase, value: string, view = 0, height = 1): ConsensusMessage {
    const { signature } = this.share(from, { kind: phase, height, view, digest: value });
    return { type: 'vote', phase, height, view, digest: value, signature, proposal: undefined };
  }

  timeout(from: number, view: number, high?: Certificate, height = 1): ConsensusMessage {
    const share = this.share(from, { kind: 'timeout', height, view, highView: high?.view });
    return { type: 'timeout', height, view, high, signature: share.signature };
  }

  certificate(
    phase: Phase,
    value: string,
    options: { view?: number; height?: number; signers?: readonly number[] } = {},
  ): Certificate {
    const { view = 0, height = 1, signers = this.others } = options;
    const shares = signers.map(
      (signer) => this.share(signer, { kind: phase, height, view, digest: value }).signature,
    );
    const signature = this.scheme.aggregate(shares)!;
    const isSimple = this.#options.members === undefined;
    const indices = isSimple ? signers : signers.map((node) => this.indexAt(node, height));
    return { phase, height, view, digest: value, signers: indices, signature };
  }

  /** @param named what each signer names. */
  timeouts(
    view: number,
    named: ReadonlyMap<number, Certificate | undefined> = new Map(
      this.others.map((i) => [i, undefined]),
    ),
    height = 1,
  ): TimeoutCertificate {
    const signers = [...named.keys()];
    const views = [...new Set([...named.values()].map((high) => high?.view))];
    const groups = views
      .map((highView) => ({
        highView,
        signers: signers.filter((signer) => named.get(signer)?.view === highView),
      }))
      .toSorted((a, b) => (a.highView ?? -1) - (b.highView ?? -1));
    const shares = signers.map((signer) => {
      const highView = named.get(signer)?.view;
      return this.share(signer, { kind: 'timeout', height, view, highView }).signature;
    });
    const best = groups.at(-1)?.highView;
    const high = [...named.values()].find((certificate) => certificate?.view === best);
    return { height, view, groups, signature: this.scheme.aggregate(shares)!, high };
  }

  /** Of the leader, or whoever else signs it. */
  proposal(
    value: string,
    options: {
      view?: number;
      height?: number;
      timeout?: TimeoutCertificate;
      previous?: Certificate;
      signer?: number;
    } = {},
  ): Extract<ConsensusMessage, { type: 'proposal' }> {
    const { view = 0, height = 1, timeout, previous } = options;
    const signer = options.signer ?? this.nodeAt(this.leaders.leaderOf(height, view), height);
    const bytes = digestMessage(CLUSTER_ID, 'proposal', height, view, value);
    const signature = this.#votesOf(signer).signProposal(height, bytes)!;
    const payload = Uint8Array.of(1);
    return { type: 'proposal', height, view, digest: value, payload, previous, timeout, signature };
  }

  /** Hears the proposal of the view from its leader and takes it as valid. */
  accept(value: string, view = 0, timeout?: TimeoutCertificate): this {
    const message = this.proposal(value, { view, ...(timeout === undefined ? {} : { timeout }) });
    this.hear(message.view % this.custodians, message);
    return this.judge(value, { view });
  }
}
