/**
 * Twins (Bano and others, OPODIS 2021): a Byzantine custodian is modelled by two correct replicas
 * with one identity and one key, which know nothing of each other. What partitions and the choice
 * of leaders make of them covers equivocation, double votes and lost memory.
 *
 * Four custodians, one of them twice: five instances. A scenario says for each of its rounds (the
 * first views of height 1) who leads and how the instances are parted into at most two groups:
 * 4 * 16 a round, few enough to run them all. Between the groups nothing passes but timeouts. Then
 * the network heals; the correct custodians must finalise one block, and the same one. Scenarios
 * that are drawn part the instances anew for the commit votes of a round, and let some hear none:
 * so locks come about, and blocks that are final for one alone.
 */
import { type ConsensusMessage, decodeMessage } from '../consensus/messages.ts';
import { Replica, type ReplicaInput, type ReplicaOutcome } from '../consensus/replica.ts';
import type { Leaders } from '../consensus/schedule.ts';
import type { Certificate } from '../consensus/types.ts';
import { sha256 } from '../crypto/hash.ts';
import type { Envelope } from '../machine.ts';
import { instant, MINUTE, SECOND } from '../units.ts';
import { SimClock } from './clock.ts';
import type { SimRandom } from './random.ts';
import { SimFailure } from './scenario.ts';
import { StubKeyring } from './stub-scheme.ts';

const CUSTODIANS = 4;
/** The custodian that is there twice. */
const TWIN = 0;
/** Custodian of each instance. */
const INSTANCES = [TWIN, TWIN, 1, 2, 3] as const;
const PARTITIONS = 2 ** (INSTANCES.length - 1);
const CHOICES = CUSTODIANS * PARTITIONS;
const CLUSTER_ID = 'twins';
const NODE_IDS: readonly string[] = ['custodian 0', 'custodian 1', 'custodian 2', 'custodian 3'];
const LATENCY_MS = 1;
/** How long a timeout takes to the other side: longer than all that a side can do by itself. */
const ACROSS_MS = 50;
const DEAF_RATE = 0.4;
const SETTLE_MS = 10 * MINUTE;

export interface TwinsRound {
  readonly leader: number;
  /** By instance: 0 or 1. */
  readonly sides: readonly number[];
  /** For commit votes. */
  readonly commitSides: readonly number[];
  /** By instance: whether it hears no commit votes, and nothing of what is final. */
  readonly deaf: readonly boolean[];
}

export interface TwinsReport {
  /** Of the block that the correct custodians finalised. */
  readonly digest: string;
  /** In which the last of them got its certificate. */
  readonly view: number;
  /** Different blocks that were proposed. */
  readonly proposals: number;
  /** Whether a correct custodian had it final while the network was parted. */
  readonly isFinalInParts: boolean;
  /** Whether a correct custodian found evidence. */
  readonly isFoundOut: boolean;
}

/** How many scenarios of so many rounds there are. */
export const twinsScenarios = (rounds: number): number => CHOICES ** rounds;

/** The scenario of a number. */
export function twinsScenario(number: number, rounds: number): TwinsRound[] {
  return Array.from({ length: rounds }, (_, round) => {
    const choice = Math.floor(number / CHOICES ** round) % CHOICES;
    const sides = sidesOf(Math.floor(choice / CUSTODIANS));
    return { leader: choice % CUSTODIANS, sides, commitSides: sides, deaf: [] };
  });
}

/** A scenario of so many rounds with a partition for each phase. */
export function drawTwins(rounds: number, random: SimRandom): TwinsRound[] {
  return Array.from({ length: rounds }, () => ({
    leader: random.between(0, CUSTODIANS - 1),
    sides: sidesOf(random.between(0, PARTITIONS - 1)),
    commitSides: sidesOf(random.between(0, PARTITIONS - 1)),
    deaf: INSTANCES.map(() => random.chance(DEAF_RATE)),
  }));
}

/** The first instance is on side 0. */
const sidesOf = (partition: number): number[] =>
  INSTANCES.map((_instance, place) => ((2 * partition) >> place) & 1);

/** @throws {SimFailure} when a promise is broken. */
export function runTwins(rounds: readonly TwinsRound[]): TwinsReport {
  return new Twins(rounds).run();
}

/** The given leaders, then one after the other. */
const leadersOf = (rounds: readonly TwinsRound[]): Leaders => ({
  leaderOf: (_height, view) => rounds[view]?.leader ?? view % CUSTODIANS,
  passedOver: () => [],
  next: () => leadersOf(rounds),
});

interface Proposed {
  readonly payload: Uint8Array;
  readonly view: number;
}

interface Final {
  readonly digest: string;
  readonly certificate: Certificate;
}

/** One replica and what it has come to. */
interface Instance {
  readonly place: number;
  readonly custodian: number;
  readonly isCorrect: boolean;
  readonly replica: Replica;
  readonly alarms: Map<string, () => void>;
  /** What it has signed, by slot. */
  readonly signed: Map<string, string>;
  view: number;
  /** It knows that the height is final, and waits for the block. */
  isBehind: boolean;
  final: Final | undefined;
}

class Twins {
  readonly #rounds: readonly TwinsRound[];
  readonly #clock = new SimClock(instant(0));
  readonly #instances: readonly Instance[];
  readonly #correct: readonly Instance[];
  /** Every block that was ever proposed, by digest. */
  readonly #proposed = new Map<string, Proposed>();
  readonly #decoded = new WeakMap<Uint8Array, ConsensusMessage>();
  #isHealed = false;
  #isFinalInParts = false;
  #isFoundOut = false;

  constructor(rounds: readonly TwinsRound[]) {
    this.#rounds = rounds;
    const keyring = new StubKeyring(CLUSTER_ID);
    this.#instances = INSTANCES.map((custodian, place) => {
      const options = { clusterId: CLUSTER_ID, custodians: NODE_IDS, self: custodian, held: [] };
      const dependencies = { scheme: keyring.votes(custodian, 4), leaders: leadersOf(rounds) };
      const replica = Replica.recover(options, dependencies, [], 'sound');
      const isCorrect = custodian !== TWIN;
      const [alarms, signed] = [new Map<string, () => void>(), new Map<string, string>()];
      const start = { view: 0, isBehind: false, final: undefined };
      return { place, custodian, isCorrect, replica, alarms, signed, ...start };
    });
    this.#correct = this.#instances.filter(({ isCorrect }) => isCorrect);
  }

  run(): TwinsReport {
    for (const instance of this.#instances) {
      this.#step(instance, { type: 'start' });
      for (const nodeId of NODE_IDS) {
        if (nodeId !== NODE_IDS[instance.custodian]) {
          this.#step(instance, { type: 'peer-up', nodeId });
        }
      }
      this.#step(instance, { type: 'work', isWaiting: true });
    }
    // Timers double: by then every round is over, whoever was left alone in one.
    const heal = (): void => {
      this.#isHealed = true;
    };
    this.#clock.after(2 ** (this.#rounds.length + 1) * SECOND, heal);
    while (this.#correct.some(({ final }) => final === undefined)) {
      if (this.#clock.now() > SETTLE_MS) throw new SimFailure(`liveness: ${this.#whereTheyAre()}`);
      this.#clock.runUntil(instant(this.#clock.now() + 100));
    }
    return this.#report();
  }

  #report(): TwinsReport {
    const finals = this.#correct.map(({ final }) => final!);
    const digests = new Set(finals.map(({ digest }) => digest));
    if (digests.size > 1)
      throw new SimFailure(`agreement: ${[...digests].join(' and ')} are final`);
    return {
      digest: finals[0]!.digest,
      view: Math.max(...finals.map(({ certificate }) => certificate.view)),
      proposals: this.#proposed.size,
      isFinalInParts: this.#isFinalInParts,
      isFoundOut: this.#isFoundOut,
    };
  }

  #whereTheyAre(): string {
    const places = this.#correct.map(({ replica }) => {
      const { height, view, phase } = replica.status();
      return `height ${height} view ${view} ${phase}`;
    });
    return places.join(', ');
  }

  #step(instance: Instance, input: ReplicaInput): void {
    const { messages, alarms, outcomes } = instance.replica.step(input, this.#clock.now());
    for (const envelope of messages) this.#send(instance, envelope);
    for (const { key, at } of alarms) {
      instance.alarms.get(key)?.();
      instance.alarms.delete(key);
      if (at === undefined) continue;
      const ring = (): void => this.#step(instance, { type: 'alarm', key });
      instance.alarms.set(key, this.#clock.wakeAt(at, ring));
    }
    for (const outcome of outcomes) this.#act(instance, outcome as ReplicaOutcome);
  }

  /** The chain, as far as the replica sees it: every block is valid and at hand. */
  #act(instance: Instance, outcome: ReplicaOutcome): void {
    switch (outcome.type) {
      case 'build':
        return this.#build(instance, outcome.height, outcome.view);
      case 'reproposal-wanted': {
        const { height, digest } = outcome;
        const proposed = this.#proposed.get(digest)!;
        return this.#step(instance, { type: 'proposal', height, digest, ...proposed });
      }
      case 'check':
        return this.#judge(instance, outcome.digest);
      case 'fetch':
        return this.#fetch(instance);
      case 'finalised':
        return this.#finalised(instance, outcome);
      case 'entered':
        if (outcome.height === 1) instance.view = outcome.view;
        return this.#healWhenDone();
      case 'evidence':
        if (outcome.evidence.custodian !== TWIN) throw new SimFailure('evidence: of the innocent');
        if (instance.isCorrect) this.#isFoundOut = true;
        return undefined;
      case 'bad-share':
        throw new SimFailure(`evidence: ${outcome.from} is said to send ${outcome.what}`);
      default:
        return undefined;
    }
  }

  #build(instance: Instance, height: number, view: number): void {
    if (height > 1) return this.#step(instance, { type: 'no-proposal', height, view });
    const payload = Buffer.from(`block ${height} ${view} by instance ${instance.place}`);
    const digest = Buffer.from(sha256(payload)).toString('hex');
    this.#proposed.set(digest, { payload, view });
    this.#step(instance, { type: 'proposal', height, view, digest, payload });
  }

  #judge(instance: Instance, digest: string): void {
    const proposed = this.#proposed.get(digest);
    const [isValid, view] = [proposed !== undefined, proposed?.view ?? 0];
    this.#step(instance, { type: 'verdict', height: 1, digest, isValid, view });
  }

  /** Catching up: whoever has the block gives it, once the network lets it. */
  #fetch(instance: Instance): void {
    instance.isBehind = true;
    this.#healWhenDone();
    const has = this.#instances.find(
      ({ final, place }) => final !== undefined && (this.#isHealed || place === instance.place),
    );
    if (instance.final !== undefined) return;
    if (has?.final === undefined) {
      this.#clock.after(ACROSS_MS, () => this.#fetch(instance));
      return;
    }
    const { digest, certificate } = has.final;
    this.#judge(instance, digest);
    this.#step(instance, { type: 'certified', certificate });
  }

  #finalised(instance: Instance, { digest, certificate }: Final): void {
    instance.final = { digest, certificate };
    if (instance.isCorrect && !this.#isHealed) this.#isFinalInParts = true;
    this.#step(instance, { type: 'work', isWaiting: false });
    this.#healWhenDone();
  }

  /** The network heals when the rounds are over for all that are correct. */
  #healWhenDone(): void {
    this.#isHealed ||= this.#correct.every(
      ({ view, final, isBehind }) => final !== undefined || isBehind || view >= this.#rounds.length,
    );
  }

  #send(from: Instance, { to, body }: Envelope): void {
    const message = this.#decode(body);
    if (from.isCorrect) this.#watch(from, message);
    const nodeId = NODE_IDS[from.custodian]!;
    for (const instance of this.#instances) {
      if (NODE_IDS[instance.custodian] !== to) continue;
      const delayMs = this.#delayMs(from, instance, message);
      if (delayMs === undefined) continue;
      // A twin that hears of the other one would be in doubt and fall silent, which is no attack.
      const isHidden = !instance.isCorrect && message.type === 'status';
      const heard = isHidden ? { ...message, seen: undefined } : message;
      this.#clock.after(delayMs, () =>
        this.#step(instance, { type: 'message', from: nodeId, message: heard }),
      );
    }
  }

  /** Undefined: the message is lost. */
  #delayMs(from: Instance, to: Instance, message: ConsensusMessage): number | undefined {
    if (this.#isHealed) return LATENCY_MS;
    const last = this.#rounds.length - 1;
    const { deaf } = this.#rounds[Math.min(to.view, last)]!;
    if (deaf[to.place] === true && tellsFinality(message)) return undefined;
    const round = this.#rounds[Math.min(viewOf(message), last)]!;
    const sides = isOfCommit(message) ? round.commitSides : round.sides;
    if (sides[from.place] === sides[to.place]) return LATENCY_MS;
    return isOfTimeout(message) ? ACROSS_MS : undefined;
  }

  /** P6: a correct custodian says one thing a slot. */
  #watch({ signed }: Instance, message: ConsensusMessage): void {
    if (message.type !== 'vote' && message.type !== 'timeout' && message.type !== 'proposal')
      return;
    const kind = message.type === 'vote' ? message.phase : message.type;
    const slot = `${kind} of height ${message.height} in view ${message.view}`;
    const said = Buffer.from(message.signature).toString('latin1');
    const before = signed.get(slot) ?? said;
    if (before !== said) throw new SimFailure(`wire: two signatures for ${slot}`);
    signed.set(slot, said);
  }

  #decode(body: Uint8Array): ConsensusMessage {
    const known = this.#decoded.get(body);
    if (known !== undefined) return known;
    const message = decodeMessage(body);
    this.#decoded.set(body, message);
    return message;
  }
}

const isOfTimeout = ({ type }: ConsensusMessage): boolean =>
  type === 'timeout' || type === 'timeout-certificate';

const isOfCommit = (message: ConsensusMessage): boolean =>
  isOfTimeout(message) || (message.type === 'vote' && message.phase === 'commit');

const tellsFinality = (message: ConsensusMessage): boolean =>
  message.type === 'status' ||
  message.type === 'certificate' ||
  (message.type === 'vote' && message.phase === 'commit');

function viewOf(message: ConsensusMessage): number {
  if ('view' in message) return message.view;
  return message.type === 'evidence' ? message.evidence.view : message.certificate.view;
}
