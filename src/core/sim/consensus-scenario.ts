/**
 * Consensus in the simulator: the real `Chain` on every node, custodians that vote, agents that
 * follow, and clients at all of them.
 */
import { Chain } from '../chain/chain.ts';
import {
  CHAIN_PROTOCOL,
  type ChainMessage,
  type OpenedMessage,
  openMessage,
} from '../chain/messages.ts';
import type { Roster } from '../chain/roster.ts';
import { heightKey, RECOVERY_TABLES, TABLES, undecidedFrom } from '../chain/rows.ts';
import type { ChainInput, ChainOutcome, StoredRow } from '../chain/types.ts';
import type { Standing } from '../consensus/contract.ts';
import { CustodianSet, CustodianSets } from '../consensus/custodian-sets.ts';
import { EVIDENCE_TABLE, REPLICA_TABLE } from '../consensus/journal.ts';
import { CONSENSUS_PROTOCOL } from '../consensus/messages.ts';
import { verifyEd25519 } from '../crypto/sign.ts';
import { AegisError } from '../errors.ts';
import type { Envelope, Machine, Outcome, Ready } from '../machine.ts';
import { verified } from '../units.ts';
import { Clients } from './clients.ts';
import { connectorTie } from './connector.ts';
import { ConsensusChecker } from './consensus-checkers.ts';
import {
  type ConsensusTools,
  clusterOf,
  realCrypto,
  type SimCluster,
  type SimCrypto,
  type SimKeys,
  stubCrypto,
} from './consensus-tools.ts';
import type { Core } from './core.ts';
import { CONSENSUS_FAULTS } from './faults.ts';
import { windowOf } from './final-blocks.ts';
import { nameOfKey, SimHome } from './home.ts';
import { meteredSeeds, meteredVotes } from './metered-scheme.ts';
import type { SimNode } from './node.ts';
import { Operators } from './operator.ts';
import type { SimRandom } from './random.ts';
import { type Checker, type Scenario, SimFailure, type Tie } from './scenario.ts';
import { Truth } from './truth.ts';
import { VoteChecker } from './vote-checker.ts';
import type { World } from './world.ts';

const TIE = 'chain';
/** After a restore, until the operator rotates the key. */
const RESTORED_MS_MAX = 60_000;
/** From a final change of keys until the home has erased the old ones. */
const SETTLE_MS_MAX = 2000;
const RECOVERED = [...RECOVERY_TABLES, REPLICA_TABLE, EVIDENCE_TABLE];

export interface ConsensusOptions {
  /** The first so many of the nodes of the world; the others are agents. */
  readonly custodians: number;
  /** @default by the chain */
  readonly fanout?: 'all' | 'leader';
  /** @default 8, so that runs see several seeds */
  readonly epochHeights?: number;
  /** @default 'stub' */
  readonly scheme?: 'stub' | 'real';
  /** Beside those of the scenario. */
  readonly checkers?: readonly Checker[];
  /**
   * Called at each start of a node; another machine than the given one makes the node Byzantine
   * for the checkers, for good, and one of the f that may be faulty.
   */
  readonly wrap?: (
    node: SimNode,
    machine: Machine<ChainInput>,
    tools: ConsensusTools,
  ) => Machine<ChainInput>;
  /** Called instead of each step of a chain; takes it by `step`, and may look at the time. */
  readonly watch?: (input: ChainInput, step: () => Ready) => Ready;
}

interface ReadMessage {
  readonly message: ChainMessage;
  /** Whether its signatures hold. */
  readonly isRight: boolean;
}

interface ChainTie extends Tie {
  readonly chain: Chain;
}

export class ConsensusScenario implements Scenario {
  readonly faults = CONSENSUS_FAULTS;
  readonly options: ConsensusOptions;
  readonly cluster: SimCluster;
  readonly clients: Clients;
  readonly operators: Operators;
  readonly checker: ConsensusChecker;
  readonly #checkers: readonly Checker[];
  readonly #crypto: SimCrypto;
  readonly #random: SimRandom;
  readonly #tools = new Map<string, ConsensusTools>();
  /** By node id, the keys of its present machine. */
  readonly #present = new Map<string, SimKeys>();
  readonly #byzantine = new Set<string>();
  /** By body, then by what is known of the members' keys. */
  readonly #known = new WeakMap<Uint8Array, Map<string, ReadMessage>>();
  readonly #truth: Truth;
  /** Messages that a node refused, as it should. */
  refused = 0;

  constructor(world: World, options: ConsensusOptions) {
    this.options = options;
    this.#random = world.random.child('consensus');
    const name = world.random.child('cluster').bytes(16).join();
    const crypto = options.scheme === 'real' ? realCrypto(name) : stubCrypto(name);
    this.#crypto = crypto;
    this.cluster = clusterOf(world, name, options.custodians, crypto);
    this.#truth = new Truth(this.cluster.firstKeys);
    const chainOf = (node: SimNode): Chain | undefined => this.chainOf(node);
    this.clients = new Clients({
      chainOf,
      toolsOf: (node) => this.toolsOf(node),
      submit: (node, input) => node.submit(TIE, input),
    });
    this.operators = new Operators({
      crypto,
      toolsOf: (node) => this.toolsOf(node),
      submit: (node, input) => node.submit(TIE, input),
      isFinal: (digest) => this.checker.ledger.isStated(digest),
    });
    for (const node of world.nodes) {
      const member = this.cluster.genesis.members.find(({ nodeId }) => nodeId === node.nodeId)!;
      this.operators.furnish(node, member.keys);
    }
    const isByzantine = (nodeId: string): boolean => this.#byzantine.has(nodeId);
    this.checker = new ConsensusChecker({
      chainOf,
      cluster: this.cluster,
      clients: this.clients,
      operators: this.operators,
      homeOf: (node) => this.toolsOf(node).home,
      isByzantine,
      truth: this.#truth,
      verifier: crypto.votes({ sets: this.#truth }),
    });
    const votes = new VoteChecker({ chainOf, truth: this.#truth, isByzantine });
    this.#checkers = [this.checker, votes, ...(options.checkers ?? [])];
  }

  get checkers(): readonly Checker[] {
    return this.#checkers;
  }

  /** The chain of the present run of a node. */
  chainOf(node: SimNode): Chain | undefined {
    return (node.tie(TIE) as ChainTie | undefined)?.chain;
  }

  /** How many nodes are Byzantine. */
  get byzantine(): number {
    return this.#byzantine.size;
  }

  isByzantine(nodeId: string): boolean {
    return this.#byzantine.has(nodeId);
  }

  toolsOf(node: SimNode): ConsensusTools {
    let tools = this.#tools.get(node.nodeId);
    if (tools === undefined) {
      const index = this.cluster.custodians.indexOf(node.nodeId);
      const random = this.#random.child(node.options.name);
      const present = this.#present;
      tools = {
        cluster: this.cluster,
        index,
        home: new SimHome(),
        get keys() {
          return present.get(node.nodeId)!;
        },
        random,
        recover: (rows) => this.#recover(node, rows, 'sound').chain,
      };
      this.#tools.set(node.nodeId, tools);
    }
    return tools;
  }

  boot(node: SimNode): Tie[] {
    return [connectorTie(node, this.cluster.members), this.#bootChain(node)];
  }

  act(world: World, random: SimRandom): void {
    const node = random.pick(world.nodes);
    if (node === undefined || !node.isUp || node.isPaused) return;
    if (random.chance(0.02)) this.clients.cancel(node);
    else this.clients.act(node, random);
  }

  changeKeys(node: SimNode, force: number): boolean {
    if (this.#byzantine.has(node.nodeId)) return false;
    this.operators.rotate(node, force);
    return true;
  }

  restoreHome(node: SimNode, force: number): void {
    this.toolsOf(node).home.restore(force);
    // K2: its operator knows what to do, and takes some time for it.
    const delayMs = Math.floor(force * RESTORED_MS_MAX);
    node.world.clock.after(delayMs, () => this.#renew(node));
  }

  refuseSigning(node: SimNode, how: 'no' | 'lost' | undefined): boolean {
    if (this.#byzantine.has(node.nodeId)) return false;
    this.toolsOf(node).home.isRefusing = how;
    return true;
  }

  healed(world: World): void {
    for (const node of world.nodes) {
      this.toolsOf(node).home.isRefusing = undefined;
      this.#renew(node);
      this.#probe(node);
    }
  }

  /** A home without its key in force, or from a backup, gets a new key; an open entry goes on. */
  #renew(node: SimNode): void {
    const { home } = this.toolsOf(node);
    if (this.#byzantine.has(node.nodeId)) return;
    const key = this.#truth.keyOf(node.nodeId, this.checker.ledger.height + 1)?.consensusKey;
    const lacks = key !== undefined && home.votes(key) === undefined;
    if (home.marker !== undefined || lacks || this.#lacksIdentity(node)) {
      this.operators.rotate(node, 1);
    } else this.operators.handIn(node);
  }

  #lacksIdentity(node: SimNode): boolean {
    const roster = this.chainOf(node)?.roster;
    const key = roster?.identityKey(node.nodeId, roster.keyEpochOf(node.nodeId));
    return key !== undefined && this.toolsOf(node).home.signer(key) === undefined;
  }

  unsettled(world: World): string | undefined {
    const { ledger } = this.checker;
    const honest = world.nodes.filter(({ nodeId }) => !this.#byzantine.has(nodeId));
    for (const node of honest) {
      const chain = this.chainOf(node);
      if (chain === undefined || chain.height < ledger.height) {
        return `${node.options.name} is at ${chain?.height}, not ${ledger.height}`;
      }
      if (ledger.height > 0 && !node.disk.has(TABLES.chain, heightKey(ledger.height))) {
        return `${node.options.name} has not made ${ledger.height} durable`;
      }
      if (this.clients.undecided(node, (author, sequence) => ledger.isUsed(author, sequence))) {
        return `an intent of ${node.options.name} is undecided`;
      }
    }
    const waits = this.#waiting(honest);
    if (waits === undefined) return undefined;
    // Only new heights end a doubt or bring a new key's first vote, and none comes without work.
    this.#probe(honest.find((node) => node !== waits.node) ?? waits.node);
    return `${waits.node.options.name} ${waits.why}`;
  }

  /** An honest node that does not take part yet as it should, and why. */
  #waiting(
    honest: readonly SimNode[],
  ): { readonly node: SimNode; readonly why: string } | undefined {
    for (const node of honest) {
      const status = this.chainOf(node)?.status();
      if (this.operators.isOpen(node)) {
        this.operators.handIn(node);
        return { node, why: 'has handed in a succession that is not final' };
      }
      if (status?.doubt !== undefined || status?.keyMissing === true) {
        this.#renew(node);
        return { node, why: status.doubt === undefined ? 'lacks its key' : 'is in doubt' };
      }
      const since = this.#truth.since(node.nodeId);
      // A node that has changed its key, or has become a custodian, votes within its turn.
      if (since > 1 && this.checker.wire.signedAt(node.nodeId) < since) {
        return { node, why: `has not voted with its key of height ${since}` };
      }
    }
    return undefined;
  }

  /** A client that is left alone writes something, so that there is something to decide. */
  #probe(node: SimNode): void {
    if (this.#byzantine.has(node.nodeId)) return;
    const sequence = this.chainOf(node)?.nextSequence(node.nodeId);
    if (sequence !== undefined) this.clients.write(node, sequence, this.#random);
  }

  #bootChain(node: SimNode): ChainTie {
    const tools = this.toolsOf(node);
    const { disk } = node;
    const rows = disk.tables().flatMap((table) => disk.scan(table));
    const { chain, keys } = this.#recover(node, rows, this.#standingOf(node));
    this.#present.set(node.nodeId, keys);
    const wrapped = this.options.wrap?.(node, chain, tools) ?? chain;
    if (wrapped !== chain) this.#byzantine.add(node.nodeId);
    this.checker.onBoot(node, chain);
    this.clients.booted(node);
    this.#settleHome(node, chain);
    return {
      name: TIE,
      chain,
      machine: this.#watched(wrapped),
      first: [{ type: 'start' } satisfies ChainInput, ...this.operators.atStart(node)],
      alarmInput: (key) => ({ type: 'alarm', key }) satisfies ChainInput,
      peerInput: (nodeId, isUp) =>
        ({ type: isUp ? 'peer-up' : 'peer-down', nodeId }) satisfies ChainInput,
      envelopeInput: (from, envelope) => this.#open(chain, from, envelope, node.options.core),
      tell: (outcome) => this.#told(node, outcome),
    };
  }

  #watched(machine: Machine<ChainInput>): Machine<ChainInput> {
    const { watch } = this.options;
    if (watch === undefined) return machine;
    return { step: (input, now) => watch(input, () => machine.step(input, now)) };
  }

  /** What the owner of the store reads when a node starts, and the machine that comes of it. */
  #recover(
    { nodeId, options: { core } }: SimNode,
    rows: readonly StoredRow[],
    standing: Standing,
  ): { readonly chain: Chain; readonly keys: SimKeys } {
    const { clusterId, genesis, firstKeys } = this.cluster;
    const { fanout, epochHeights } = this.options;
    const { home } = this.#tools.get(nodeId)!;
    const sets = new CustodianSets(new CustodianSet(firstKeys));
    const options = { sets, self: { nodeId, ring: home } };
    const [free, freeSeeds] = [this.#crypto.votes(options), this.#crypto.seeds(options)];
    const votes = core === undefined ? free : meteredVotes(free, core);
    const seeds = core === undefined ? freeSeeds : meteredSeeds(freeSeeds, core);
    const first = undecidedFrom(rows.filter(({ table }) => table === TABLES.meta));
    const wanted = rows.filter(({ table, key }) =>
      table === TABLES.blocks ? key >= first : RECOVERED.includes(table),
    );
    const held = home.heldConsensusKeys();
    const rest = { fanout, epochHeights: epochHeights ?? 8 };
    const chain = Chain.recover(
      { clusterId, genesis, self: nodeId, held, ...rest },
      {
        ...{ scheme: votes, seeds, sets },
        schemeOf: (known) => this.#crypto.votes({ sets: known }),
        verify: (key, bytes, signature) => this.#holds(key, bytes, signature),
      },
      wanted,
      standing,
    );
    return { chain, keys: { votes, seeds, sets } };
  }

  /** Successors sign in earnest, whatever stands for the other signatures. */
  #holds(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    return (
      this.#crypto.verifyIdentity(key, message, signature) ||
      verifyEd25519(key, message, signature)
    );
  }

  /** K2: a home from a backup is that until another key is in force. */
  #standingOf(node: SimNode): Standing {
    if (this.toolsOf(node).home.marker !== undefined) return 'restored';
    return node.disk.isDoubtful ? 'doubtful' : 'sound';
  }

  /** A4: what the final blocks of this node have retired is erased. */
  #settleHome(node: SimNode, chain: Chain): void {
    const member = chain.roster.get(node.nodeId);
    if (member === undefined || this.#byzantine.has(node.nodeId)) return;
    const { home } = this.toolsOf(node);
    const { consensusKey, identityKey } = member.keys.keys;
    const retired = member.history.slice(0, -1).flatMap(({ keys }) => {
      return [keys.consensusKey, keys.identityKey];
    });
    const present = new Set([consensusKey, identityKey].map(nameOfKey));
    home.erase(retired.filter((key) => !present.has(nameOfKey(key))));
    home.settle(consensusKey);
  }

  /** As the node does off the loop: read, check signatures, hand in. */
  #open(
    chain: Chain,
    from: string,
    { protocol, body }: Envelope,
    core: Core | undefined,
  ): ChainInput | undefined {
    if (protocol !== CHAIN_PROTOCOL && protocol !== CONSENSUS_PROTOCOL) return undefined;
    try {
      const { message, isRight } = this.#read(chain, protocol, body);
      core?.read(newIntents(chain, message));
      if (isRight) return { type: 'message', from, message: verified(message) };
    } catch (error) {
      if (!(error instanceof AegisError)) throw error;
    }
    this.refused += 1;
    if (!this.#byzantine.has(from)) {
      throw new SimFailure(`evidence: a message of ${from}, who is innocent, is refused`);
    }
    return undefined;
  }

  /** One body goes to many: it is read and verified once, except where signatures are real. */
  #read(chain: Chain, protocol: string, body: Uint8Array): ReadMessage {
    const { clusterId, names } = this.cluster;
    const { roster } = chain;
    const isWaiting = (digest: string): boolean => chain.isWaiting(digest);
    const options = {
      clusterId,
      names,
      height: () => chain.height,
      hasKey: (author: string, keyEpoch: number) =>
        roster.identityKey(author, keyEpoch) !== undefined,
    };
    if (this.options.scheme === 'real') {
      const isKnown = (digest: string): boolean => chain.isKnown(digest);
      return this.#verify(roster, openMessage(protocol, body, { ...options, isKnown, isWaiting }));
    }
    const byKeys = this.#known.get(body) ?? new Map<string, ReadMessage>();
    this.#known.set(body, byKeys);
    const epochs = roster
      .all()
      .map(({ keys }) => keys.keyEpoch)
      .join();
    const known =
      byKeys.get(epochs) ??
      this.#verify(roster, openMessage(protocol, body, { ...options, isKnown: () => false }));
    byKeys.set(epochs, known);
    const { message, isRight } = known;
    if (message.type !== 'intents') return known;
    const intents = message.intents.filter(({ digest }) => !isWaiting(digest));
    return { message: { ...message, intents }, isRight };
  }

  #verify(roster: Roster, { message, checks }: OpenedMessage): ReadMessage {
    const isRight = checks.every((check) => {
      const { author, keyEpoch, message: bytes, signature } = check;
      // Successors sign in earnest, whatever stands for the other signatures.
      if (check.key !== undefined) return verifyEd25519(check.key, bytes, signature);
      const key = roster.identityKey(author, keyEpoch);
      return key !== undefined && this.#crypto.verifyIdentity(key, bytes, signature);
    });
    return { message, isRight };
  }

  #told(node: SimNode, outcome: Outcome): void {
    const told = outcome as ChainOutcome;
    this.clients.told(node, told);
    // The machine has made its doubt durable: from now on it knows by itself.
    if (told.type === 'doubt') node.disk.isDoubtful = false;
    const chain = this.chainOf(node);
    if (told.type === 'roster' && chain !== undefined) {
      // Files are not erased at once: until then both keys are at hand.
      node.later(this.#random.between(0, SETTLE_MS_MAX), () => this.#settleHome(node, chain));
    }
    if (told.type === 'serve') {
      const { to, from } = told;
      const window = windowOf(node.disk, from, told.upTo);
      node.submit(TIE, { type: 'rows', to, from, window } satisfies ChainInput);
    }
  }
}

/** Intents in a message that a node has to read and verify, since it does not know them. */
function newIntents(chain: Chain, message: ChainMessage): number {
  const isNew = (digest: string): boolean => !chain.isKnown(digest);
  if (message.type === 'intents') {
    return message.intents.filter(({ digest }) => isNew(digest)).length;
  }
  if (message.type !== 'consensus' || message.block === undefined) return 0;
  return message.block.digests.filter(isNew).length;
}

