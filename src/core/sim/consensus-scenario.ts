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
import {
  blockKey,
  heightKey,
  RECOVERY_TABLES,
  readChainRow,
  TABLES,
  undecidedFrom,
} from '../chain/rows.ts';
import type { ChainInput, ChainOutcome, FinalBlock, StoredRow } from '../chain/types.ts';
import { EVIDENCE_TABLE, REPLICA_TABLE } from '../consensus/journal.ts';
import { CONSENSUS_PROTOCOL } from '../consensus/messages.ts';
import { AegisError } from '../errors.ts';
import type { Envelope, Machine, Outcome } from '../machine.ts';
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
  stubCrypto,
} from './consensus-tools.ts';
import { CONSENSUS_FAULTS } from './faults.ts';
import type { SimNode } from './node.ts';
import type { SimRandom } from './random.ts';
import { type Checker, type Scenario, SimFailure, type Tie } from './scenario.ts';
import type { SimKeys } from './stub-scheme.ts';
import { VoteChecker } from './vote-checker.ts';
import type { World } from './world.ts';

const TIE = 'chain';
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
  readonly checker: ConsensusChecker;
  readonly #checkers: readonly Checker[];
  readonly #crypto: SimCrypto;
  readonly #random: SimRandom;
  readonly #tools = new Map<string, ConsensusTools>();
  readonly #byzantine = new Set<string>();
  readonly #known = new WeakMap<Uint8Array, ReadMessage>();
  /** Messages that a node refused, as it should. */
  refused = 0;

  constructor(world: World, options: ConsensusOptions) {
    this.options = options;
    this.#random = world.random.child('consensus');
    const name = world.random.child('cluster').bytes(16).join();
    this.cluster = clusterOf(world, name, options.custodians);
    this.#crypto =
      options.scheme === 'real' ? realCrypto(name, world, this.cluster) : stubCrypto(name);
    const chainOf = (node: SimNode): Chain | undefined => this.chainOf(node);
    this.clients = new Clients({
      chainOf,
      toolsOf: (node) => this.toolsOf(node),
      submit: (node, input) => node.submit(TIE, input),
    });
    const isByzantine = (nodeId: string): boolean => this.#byzantine.has(nodeId);
    this.checker = new ConsensusChecker({
      chainOf,
      cluster: this.cluster,
      clients: this.clients,
      isByzantine,
      verifier: this.#crypto.keysOf(world.nodes[0]!, -1).votes,
    });
    const votes = new VoteChecker({ chainOf, cluster: this.cluster, isByzantine });
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
      const keys = this.#crypto.keysOf(node, index);
      tools = {
        cluster: this.cluster,
        index,
        keys,
        random,
        recover: (rows) => this.#recover(node.nodeId, keys, rows, 'sound'),
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

  healed(world: World): void {
    for (const node of world.nodes) this.#probe(node);
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
    const doubtful = honest.find((node) => this.chainOf(node)?.status().doubt !== undefined);
    if (doubtful === undefined) return undefined;
    // Only new heights end a doubt, and there are none without work.
    this.#probe(honest.find((node) => node !== doubtful) ?? doubtful);
    return `${doubtful.options.name} is in doubt`;
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
    const standing = disk.isDoubtful ? 'doubtful' : 'sound';
    const chain = this.#recover(node.nodeId, tools.keys, rows, standing);
    const wrapped = this.options.wrap?.(node, chain, tools) ?? chain;
    if (wrapped !== chain) this.#byzantine.add(node.nodeId);
    this.checker.onBoot(node, chain);
    this.clients.booted(node);
    return {
      name: TIE,
      chain,
      machine: wrapped,
      first: [{ type: 'start' } satisfies ChainInput],
      alarmInput: (key) => ({ type: 'alarm', key }) satisfies ChainInput,
      peerInput: (nodeId, isUp) =>
        ({ type: isUp ? 'peer-up' : 'peer-down', nodeId }) satisfies ChainInput,
      envelopeInput: (from, envelope) => this.#open(chain, from, envelope),
      tell: (outcome) => this.#told(node, outcome),
    };
  }

  /** What the owner of the store reads when a node starts, and the machine that comes of it. */
  #recover(
    nodeId: string,
    { votes: scheme, seeds }: SimKeys,
    rows: readonly StoredRow[],
    standing: 'sound' | 'doubtful',
  ): Chain {
    const { clusterId, members } = this.cluster;
    const { fanout, epochHeights } = this.options;
    const custodians = this.cluster.custodians.map((custodian) => ({ nodeId: custodian }));
    const first = undecidedFrom(rows.filter(({ table }) => table === TABLES.meta));
    const wanted = rows.filter(({ table, key }) =>
      table === TABLES.blocks ? key >= first : RECOVERED.includes(table),
    );
    return Chain.recover(
      { clusterId, custodians, members, self: nodeId, fanout, epochHeights: epochHeights ?? 8 },
      { scheme, seeds },
      wanted,
      standing,
    );
  }

  /** As the node does off the loop: read, check signatures, hand in. */
  #open(chain: Chain, from: string, { protocol, body }: Envelope): ChainInput | undefined {
    if (protocol !== CHAIN_PROTOCOL && protocol !== CONSENSUS_PROTOCOL) return undefined;
    try {
      const { message, isRight } = this.#read(chain, protocol, body);
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
    const { clusterId } = this.cluster;
    const isWaiting = (digest: string): boolean => chain.isWaiting(digest);
    if (this.options.scheme === 'real') {
      const isKnown = (digest: string): boolean => chain.isKnown(digest);
      return this.#verify(openMessage(protocol, body, { clusterId, isKnown, isWaiting }));
    }
    let known = this.#known.get(body);
    if (known === undefined) {
      known = this.#verify(openMessage(protocol, body, { clusterId, isKnown: () => false }));
      this.#known.set(body, known);
    }
    const { message, isRight } = known;
    if (message.type !== 'intents') return known;
    const intents = message.intents.filter(({ digest }) => !isWaiting(digest));
    return { message: { ...message, intents }, isRight };
  }

  #verify({ message, checks }: OpenedMessage): ReadMessage {
    const isRight = checks.every(({ author, message: bytes, signature }) =>
      this.#crypto.verifyIdentity(author, bytes, signature),
    );
    return { message, isRight };
  }

  #told(node: SimNode, outcome: Outcome): void {
    const told = outcome as ChainOutcome;
    this.clients.told(node, told);
    // The machine has made its doubt durable: from now on it knows by itself.
    if (told.type === 'doubt') node.disk.isDoubtful = false;
    if (told.type === 'serve') {
      const blocks = finalBlocks(node, told.from, told.upTo);
      node.submit(TIE, { type: 'rows', to: told.to, blocks } satisfies ChainInput);
    }
  }
}

/** What the owner of the store reads for a node that lags. */
function finalBlocks({ disk }: SimNode, from: number, upTo: number): FinalBlock[] {
  const blocks: FinalBlock[] = [];
  for (let height = from; height <= upTo; height += 1) {
    const row = disk.get(TABLES.chain, heightKey(height));
    if (row === undefined) break;
    const { digest, certificate } = readChainRow(row);
    const block = disk.get(TABLES.blocks, blockKey(height, digest));
    if (block === undefined) break;
    blocks.push({ block, certificate });
  }
  return blocks;
}
