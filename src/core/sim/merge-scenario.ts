/**
 * Halves that are cut apart, both write the same paths, and are joined: the real `Chain` and
 * `Replication` on every node, and the merges of `kb/merge/`. Consensus itself is held to its own
 * scenario; here votes are stubs.
 */
import { Chain } from '../chain/chain.ts';
import { RECOVERY_TABLES, TABLES, undecidedFrom } from '../chain/rows.ts';
import { StateStore } from '../chain/state-store.ts';
import type { ChainInput, ChainOutcome } from '../chain/types.ts';
import { CustodianSet, CustodianSets } from '../consensus/custodian-sets.ts';
import { EVIDENCE_TABLE, REPLICA_TABLE } from '../consensus/journal.ts';
import {
  KB_PROTOCOL,
  Replication,
  type ReplicationInput,
  type ReplicationOutcome,
} from '../kb/replication.ts';
import { isMove } from '../model/change.ts';
import { PROTOCOL } from '../model/protocol.ts';
import { SECOND } from '../units.ts';
import { connectorTie } from './connector.ts';
import { clusterOf, type SimCluster, type SimCrypto, stubCrypto } from './consensus-tools.ts';
import type { FaultKind } from './faults.ts';
import { windowOf } from './final-blocks.ts';
import { SimHome } from './home.ts';
import { MergeChecker } from './merge-checker.ts';
import { pathAt, SimContents } from './merge-contents.ts';
import { MergeWriter } from './merge-writer.ts';
import type { SimNode } from './node.ts';
import type { SimRandom } from './random.ts';
import { Reading } from './reading.ts';
import type { Checker, Scenario, Tie } from './scenario.ts';
import type { World } from './world.ts';

export interface MergeOptions {
  /** @default 50 */
  readonly paths?: number;
}

interface ChainTie extends Tie {
  readonly chain: Chain;
}
interface KbTie extends Tie {
  readonly replication: Replication;
}

const CHAIN = 'chain';
const REPLICAS = 3;
/** All paths are there before the cut, and each half writes each of them during it. */
const FIRST_MS = 8 * SECOND;
const CUT_MS = 12 * SECOND;
const WRITE_MS = 20 * SECOND;
const RECOVERED = [...RECOVERY_TABLES, REPLICA_TABLE, EVIDENCE_TABLE];

export class MergeScenario implements Scenario {
  readonly faults: readonly FaultKind[] = [
    'crash',
    'pause',
    'loss',
    'doubling',
    'slow-network',
    'slow-disk',
  ];
  readonly checker: MergeChecker;
  readonly #cluster: SimCluster;
  readonly #crypto: SimCrypto;
  readonly #reading: Reading;
  readonly #contents = new SimContents();
  readonly #paths: readonly string[];
  readonly #writers = new Map<string, MergeWriter>();
  readonly #decided = new Set<string>();

  constructor(world: World, { paths = 50 }: MergeOptions = {}) {
    const name = world.random.child('cluster').bytes(16).join();
    this.#crypto = stubCrypto(name);
    const options = { custodians: world.nodes.length, protocol: PROTOCOL.max };
    this.#cluster = clusterOf(world, name, options, this.#crypto);
    const isByzantine = (): boolean => false;
    this.#reading = new Reading(
      { cluster: this.#cluster, isReal: false, isByzantine },
      this.#crypto,
    );
    this.#paths = Array.from({ length: paths }, (_, n) => pathAt(n));
    this.checker = new MergeChecker({
      contents: this.#contents,
      paths: this.#paths,
      chainOf: (node) => this.#chainOf(node),
      replicationOf: (node) => (node.tie(KB_PROTOCOL) as KbTie | undefined)?.replication,
      isIdle: (node) => this.#writers.get(node.nodeId)?.isIdle === true,
    });
    this.#plan(world);
  }

  get checkers(): readonly Checker[] {
    return [this.checker];
  }

  boot(node: SimNode): Tie[] {
    const chain = this.#bootChain(node);
    const kb = this.#bootKb(node);
    const identity = this.#crypto.identity(node.identity.signer);
    const writer = new MergeWriter({
      ...{ node, chain: chain.chain, replication: kb.replication, cluster: this.#cluster },
      ...{ contents: this.#contents, signer: identity, chainName: CHAIN },
      written: (signed) => this.checker.written(signed),
      isDecided: (version) => this.#decided.has(version),
    });
    this.#writers.set(node.nodeId, writer);
    node.later(1, () => writer.start());
    return [connectorTie(node, this.#cluster.members), chain, kb];
  }

  /** Somebody writes something, besides. */
  act(world: World, random: SimRandom): void {
    this.#write(random.pick(world.nodes), random.pick(this.#paths)!, random);
  }

  unsettled(world: World): string | undefined {
    return this.checker.unsettled(world);
  }

  #plan(world: World): void {
    const random = world.random.child('halves');
    for (const [n, path] of this.#paths.entries()) {
      const child = random.child(`first ${n}`);
      world.clock.after(child.between(0, FIRST_MS), () => {
        this.#write(child.pick(world.nodes), path, child);
      });
    }
    const sides = sidesOf(world, random);
    world.clock.after(CUT_MS, () => {
      const heal = world.network.cut(sides);
      world.clock.after(WRITE_MS, heal);
    });
    for (const side of [0, 1]) {
      const nodes = world.nodes.filter(({ nodeId }) => sides.get(nodeId) === side);
      for (const [n, path] of this.#paths.entries()) {
        const child = random.child(`side ${side} ${n}`);
        const at = CUT_MS + child.between(SECOND, WRITE_MS - SECOND);
        world.clock.after(at, () => this.#write(child.pick(nodes), path, child));
      }
    }
  }

  #write(node: SimNode | undefined, path: string, random: SimRandom): void {
    if (node === undefined || !node.isUp || node.isPaused) return;
    this.#writers.get(node.nodeId)?.write(path, random);
  }

  #chainOf(node: SimNode): Chain | undefined {
    return (node.tie(CHAIN) as ChainTie | undefined)?.chain;
  }

  #bootKb(node: SimNode): KbTie {
    const { nodeId } = node;
    const members = this.#cluster.custodians.map((id, n) => {
      return { nodeId: id, weight: 100, zone: `z${n % REPLICAS}` };
    });
    const keyOf = (id: string) => node.world.node(id)?.identity.signer.publicKey;
    const replication = new Replication(
      { nodeId, members, replicas: REPLICAS },
      { keyOf },
      node.rows,
    );
    return {
      name: KB_PROTOCOL,
      machine: replication,
      replication,
      first: [{ type: 'start' } satisfies ReplicationInput],
      alarmInput: (key) => ({ type: 'alarm', key }) satisfies ReplicationInput,
      peerInput: (id, isUp) =>
        ({ type: isUp ? 'peer-up' : 'peer-down', nodeId: id }) satisfies ReplicationInput,
      envelopeInput: (from, { protocol, body }) =>
        protocol === KB_PROTOCOL
          ? ({ type: 'message', from, body } satisfies ReplicationInput)
          : undefined,
      tell: (outcome) => this.#writers.get(nodeId)?.kbTold(outcome as ReplicationOutcome),
    };
  }

  #bootChain(node: SimNode): ChainTie {
    const { nodeId } = node;
    const { clusterId, genesis, firstKeys } = this.#cluster;
    const home = new SimHome();
    home.add(this.#crypto.identity(node.identity.signer), this.#crypto.voting(nodeId, 0));
    const rows = node.disk.tables().flatMap((table) => node.disk.scan(table));
    const first = undecidedFrom(rows.filter(({ table }) => table === TABLES.meta));
    const wanted = rows.filter(({ table, key }) =>
      table === TABLES.blocks ? key >= first : RECOVERED.includes(table),
    );
    const sets = new CustodianSets(new CustodianSet(firstKeys));
    const own = { sets, self: { nodeId, ring: home } };
    const chain = Chain.recover(
      { clusterId, genesis, self: nodeId, held: home.heldConsensusKeys() },
      {
        ...{ scheme: this.#crypto.votes(own), seeds: this.#crypto.seeds(own), sets },
        state: new StateStore(node.rows),
        schemeOf: (known) => this.#crypto.votes({ sets: known }),
      },
      wanted,
      'sound',
    );
    return {
      name: CHAIN,
      chain,
      machine: chain,
      first: [{ type: 'start' } satisfies ChainInput],
      alarmInput: (key) => ({ type: 'alarm', key }) satisfies ChainInput,
      peerInput: (id, isUp) =>
        ({ type: isUp ? 'peer-up' : 'peer-down', nodeId: id }) satisfies ChainInput,
      envelopeInput: (from, envelope) => this.#reading.open(chain, from, envelope, undefined),
      tell: (outcome) => this.#chainTold(node, outcome as ChainOutcome),
    };
  }

  #chainTold(node: SimNode, outcome: ChainOutcome): void {
    if (outcome.type === 'serve') {
      const { to, from } = outcome;
      const window = windowOf(node.disk, from, outcome.upTo);
      node.submit(CHAIN, { type: 'rows', to, from, window } satisfies ChainInput);
    } else if (outcome.type === 'finalised') {
      for (const { intent } of outcome.signed) {
        for (const { version } of intent.changes.filter(isMove)) {
          this.#decided.add(version.toString());
        }
      }
    }
    this.#writers.get(node.nodeId)?.chainTold(outcome);
  }
}

/** Two sides, none of them empty; one of them may have a quorum, or none. */
function sidesOf({ nodes }: World, random: SimRandom): Map<string, number> {
  const first = random.between(1, nodes.length - 1);
  return new Map(nodes.map(({ nodeId }, n) => [nodeId, Number(n < first)]));
}
