/**
 * Consensus in the simulator: the real `Chain` on every node, custodians that vote, agents that
 * follow, and clients at all of them.
 */
import { Chain } from '../chain/chain.ts';
import { heightKey, RECOVERY_TABLES, TABLES, undecidedFrom } from '../chain/rows.ts';
import { StateStore } from '../chain/state-store.ts';
import type { ChainInput, ChainOutcome, StoredRow } from '../chain/types.ts';
import type { Standing } from '../consensus/contract.ts';
import { CustodianSet, CustodianSets } from '../consensus/custodian-sets.ts';
import { EVIDENCE_TABLE, REPLICA_TABLE } from '../consensus/journal.ts';
import { verifyEd25519 } from '../crypto/sign.ts';
import type { Machine, Outcome, Ready } from '../machine.ts';
import { PROTOCOL } from '../model/protocol.ts';
import { KIB } from '../units.ts';
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
import { CONSENSUS_FAULTS } from './faults.ts';
import { prune, windowOf } from './final-blocks.ts';
import { Governors } from './governors.ts';
import { nameOfKey, SimHome } from './home.ts';
import { meteredSeeds, meteredVotes } from './metered-scheme.ts';
import type { SimNode } from './node.ts';
import { Operators } from './operator.ts';
import type { SimRandom } from './random.ts';
import { Reading } from './reading.ts';
import type { Checker, Scenario, Tie } from './scenario.ts';
import { Truth } from './truth.ts';
import { VoteChecker } from './vote-checker.ts';
import type { World } from './world.ts';

const TIE = 'chain';
/** After a restore, until the operator rotates the key. */
const RESTORED_MS_MAX = 60_000;
/** From a final change of keys until the home has erased the old ones. */
const SETTLE_MS_MAX = 2000;
/** Until custodians ask for snapshots at heights that a run comes to. */
const SNAPSHOTS_ASKED_MS = 3000;
const RECOVERED = [...RECOVERY_TABLES, REPLICA_TABLE, EVIDENCE_TABLE];
/** Of the state, so little in memory that much of it is read again all the time. */
const STATE = { cacheBytes: 4 * KIB, bucketLeaves: 4 };

export interface ConsensusOptions {
  /** The first so many of the nodes of the world; the others are agents. */
  readonly custodians: number;
  /** @default by the chain */
  readonly fanout?: 'all' | 'leader';
  /** @default 8, so that runs see several seeds */
  readonly epochHeights?: number;
  /** The cluster begins with version 1, and nodes with programs that know no other. */
  readonly isUpgraded?: boolean;
  /** Snapshots are made often, for those that come when blocks are forgotten. */
  readonly isPruned?: boolean;
  /** By place, when a node starts for the first time. @default at once */
  readonly startsAtMs?: ReadonlyMap<number, number>;
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
  readonly #reading: Reading;
  readonly #truth: Truth;
  readonly governors: Governors;

  constructor(world: World, options: ConsensusOptions) {
    this.options = options;
    this.#random = world.random.child('consensus');
    const name = world.random.child('cluster').bytes(16).join();
    const crypto = options.scheme === 'real' ? realCrypto(name) : stubCrypto(name);
    this.#crypto = crypto;
    const protocol = options.isUpgraded === true ? 1 : PROTOCOL.max;
    this.cluster = clusterOf(world, name, { custodians: options.custodians, protocol }, crypto);
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
    this.#reading = new Reading(
      { cluster: this.cluster, isReal: options.scheme === 'real', isByzantine },
      crypto,
    );
    this.governors = new Governors({
      chainOf,
      isByzantine,
      toolsOf: (node) => this.toolsOf(node),
      submit: (node, input) => node.submit(TIE, input),
      custodians: () => this.#truth.latest.nodeIds,
      polity: () => this.checker.ledger.polity,
      height: () => this.checker.ledger.height,
      allows: (adds, removes) => this.checker.allowsChange(world, adds, removes),
      random: this.#random.child('governors'),
    });
    if (options.isPruned === true) {
      const ask = (): void => void this.governors.offerSnapshots(world, this.#random.fraction());
      world.clock.after(SNAPSHOTS_ASKED_MS, ask);
    }
    if (options.isUpgraded === true) {
      for (const { nodeId } of world.nodes) this.governors.programs.set(nodeId, 1);
    }
    this.checker = new ConsensusChecker({
      chainOf,
      cluster: this.cluster,
      clients: this.clients,
      operators: this.operators,
      governors: this.governors,
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

  /** How often the epoch has changed. */
  get epochs(): number {
    return this.#truth.handovers().length;
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
    else if (random.chance(0.2)) this.clients.rule(node, random);
    else this.clients.act(node, random);
  }

  changeMembers(world: World, random: SimRandom): boolean {
    return this.governors.changeMembers(world, random);
  }

  rule(world: World, random: SimRandom): boolean {
    return this.governors.rule(world, random);
  }

  /** V1: the new program is there; who has it first, asks for the new version. */
  upgrade(node: SimNode, random: SimRandom): boolean {
    if (this.governors.programs.get(node.nodeId) !== 1) return false;
    this.governors.programs.set(node.nodeId, PROTOCOL.max);
    this.governors.raise(node.world, random);
    return true;
  }

  /** At many nodes at once, or nobody would miss anything. */
  prune({ world }: SimNode, force: number): boolean {
    const all = world.nodes.filter(({ isUp, isPaused }) => isUp && !isPaused);
    const pruned = all.filter((node, at) => {
      const chain = this.chainOf(node);
      if (chain === undefined || this.#byzantine.has(node.nodeId)) return false;
      return prune(node, chain, (force + at / 3) % 1, (base) => {
        node.submit(TIE, { type: 'pruned', base } satisfies ChainInput);
      });
    });
    return pruned.length > 0;
  }

  startsAtMs(index: number): number {
    return this.options.startsAtMs?.get(index) ?? 0;
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
      if (this.governors.programs.get(node.nodeId) === 1) {
        this.governors.programs.set(node.nodeId, PROTOCOL.max);
        node.crash();
        node.start();
      }
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
        this.#fillGap(node, chain);
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
      const open = this.governors.urge(node.world);
      if (open !== undefined) return { node, why: `sees that ${open}` };
      if (!this.#isRaised(node.world)) return { node, why: 'waits for the new version' };
      const since = this.#truth.since(node.nodeId);
      // A node that has changed its key, or has become a custodian, votes within its turn.
      // Alone it says nothing to anybody.
      const isAlone = this.#truth.latest.size === 1;
      if (since > 1 && !isAlone && this.checker.wire.signedAt(node.nodeId) < since) {
        return { node, why: `has not voted with its key of height ${since}` };
      }
    }
    return undefined;
  }

  /** What a member sends past its own node may be lost, and what comes after it waits. */
  #fillGap(node: SimNode, chain: Chain): void {
    const next = chain.nextSequence(node.nodeId);
    const isGap = chain.pending().some(({ signed }) => signed.intent.sequence > next);
    if (isGap) this.#probe(node);
  }

  #isRaised(world: World): boolean {
    const isWanted = this.options.isUpgraded === true;
    if (!isWanted || this.checker.ledger.polity.version === PROTOCOL.max) return true;
    this.governors.raise(world, this.#random);
    return false;
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
    // Whoever lies has other facts than its disk.
    const isHonest = this.options.wrap === undefined;
    const state = isHonest ? new StateStore(node.rows, STATE) : undefined;
    const { chain, keys } = this.#recover(node, rows, this.#standingOf(node), state);
    this.#present.set(node.nodeId, keys);
    const wrapped = this.options.wrap?.(node, chain, tools) ?? chain;
    if (wrapped !== chain) this.#byzantine.add(node.nodeId);
    this.checker.onBoot(node, chain);
    this.clients.booted(node);
    this.#settleHome(node, chain);
    this.governors.started(node);
    return {
      name: TIE,
      chain,
      machine: this.#watched(wrapped),
      first: [{ type: 'start' } satisfies ChainInput, ...this.operators.atStart(node)],
      alarmInput: (key) => ({ type: 'alarm', key }) satisfies ChainInput,
      peerInput: (nodeId, isUp) =>
        ({ type: isUp ? 'peer-up' : 'peer-down', nodeId }) satisfies ChainInput,
      envelopeInput: (from, envelope) =>
        this.#reading.open(chain, from, envelope, node.options.core),
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
    state?: StateStore,
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
      table === TABLES.blocks
        ? key >= first
        : RECOVERED.includes(table) || (state === undefined && table === TABLES.state),
    );
    const held = home.heldConsensusKeys();
    const protocolMax = this.governors.programs.get(nodeId);
    const rest = { fanout, epochHeights: epochHeights ?? 8, protocolMax };
    const chain = Chain.recover(
      { clusterId, genesis, self: nodeId, held, ...rest },
      {
        ...{ scheme: votes, seeds, sets, state },
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
      this.#crypto.verifyIdentity(key, message, signature) || verifyEd25519(key, message, signature)
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
