/**
 * Those who decide about the cluster of a run (docs/history.md, E, V): its custodians' operators
 * propose and approve, each through its own node, and hand in again what is not decided. They never
 * ask for more than the model of faults allows: whichever of their proposals are carried out, at
 * most f custodians are faulty.
 */
import type { Chain } from '../chain/chain.ts';
import type { ChainInput } from '../chain/types.ts';
import { readIntent } from '../model/intent.ts';
import { encodeProposedChange, type ProposedChange } from '../model/proposed-change.ts';
import { signRecord } from '../model/signed.ts';
import type { Signer } from '../ports.ts';
import { MINUTE, SECOND, verified } from '../units.ts';
import type { ConsensusTools } from './consensus-tools.ts';
import type { SimNode } from './node.ts';
import type { Polity } from './polity.ts';
import type { SimRandom } from './random.ts';
import type { World } from './world.ts';

export interface GovernorDeps {
  readonly toolsOf: (node: SimNode) => ConsensusTools;
  readonly chainOf: (node: SimNode) => Chain | undefined;
  readonly submit: (node: SimNode, input: ChainInput) => void;
  readonly isByzantine: (nodeId: string) => boolean;
  /** Node ids of those who decide the next height. */
  readonly custodians: () => readonly string[];
  readonly polity: () => Polity;
  readonly height: () => number;
  /** Whether so few custodians would be faulty as may be. */
  readonly allows: (adds: readonly string[], removes: readonly string[]) => boolean;
  readonly random: SimRandom;
}

interface Voice {
  readonly signer: Signer;
  readonly keyEpoch: number;
}

/** Open at a time: several proposals run into each other. */
const OPEN_MAX = 3;
const CUSTODIANS_LEAST = 4;
const CUSTODIANS_MOST = 7;
const APPROVAL_MS_MAX = 4 * SECOND;
/** Namespaces that proposals make; citizens make others within them. */
const TOWNS = ['town', 'town/north', 'port'];

export class Governors {
  readonly #deps: GovernorDeps;
  /** Digests of all that was signed. */
  readonly made = new Set<string>();
  /** By node id, the highest protocol version of the program that it runs. */
  readonly programs = new Map<string, number>();
  /** By id, those that no block has shown yet: they may be decided all the same. */
  readonly #asked = new Map<string, readonly ProposedChange[]>();
  readonly counts = { proposals: 0, memberChanges: 0 };

  constructor(deps: GovernorDeps) {
    this.#deps = deps;
  }

  /** Proposes to change who decides. @returns whether there is something to propose now. */
  changeMembers(world: World, random: SimRandom): boolean {
    const changes = this.#draw(world, random);
    if (changes.length === 0 || !this.#isAllowed(changes)) return false;
    if (!this.propose(world, changes, random)) return false;
    this.counts.memberChanges += 1;
    return true;
  }

  /** Proposes to change rights, quotas or parameters. */
  rule(world: World, random: SimRandom): boolean {
    return this.propose(world, [this.#ruling(world, random)], random);
  }

  /** Q2: at heights that a run comes to. */
  offerSnapshots(world: World, force: number): boolean {
    const value = 3 + Math.floor(force * 8);
    const random = this.#deps.random.child(`snapshots ${force}`);
    return this.propose(world, [{ op: 'parameter', name: 'snapshotHeights', value }], random);
  }

  /** V1: once; `isOver` when it is decided, or on its way. */
  raise(world: World, random: SimRandom): boolean {
    const polity = this.#deps.polity();
    const isAsked = polity.pending.some(({ proposal }) =>
      proposal.changes.some(({ op }) => op === 'protocol'),
    );
    if (polity.version > 1 || isAsked) return false;
    return this.propose(world, [{ op: 'protocol', version: polity.version + 1 }], random);
  }

  propose(world: World, changes: readonly ProposedChange[], random: SimRandom): boolean {
    if (this.#deps.polity().pending.length >= OPEN_MAX) return false;
    const able = this.#speakers(world);
    const node = random.pick(able);
    if (node === undefined) return false;
    const { cluster } = this.#deps.toolsOf(node);
    const { signer, keyEpoch } = this.#voiceOf(node)!;
    const createdAt = node.now();
    const isShort = random.chance(0.1);
    const bytes = signRecord(
      {
        ...{
          v: 1,
          type: 'proposal',
          clusterId: cluster.clusterId,
          proposer: node.nodeId,
          keyEpoch,
        },
        nonce: random.bytes(16),
        changes: changes.map((change) => encodeProposedChange(change, cluster.names)),
        at: random.chance(0.3) ? this.#deps.height() + random.between(1, 8) : 0,
        createdAt,
        expiresAt: createdAt + (isShort ? random.between(1, 20) * SECOND : 60 * MINUTE),
      },
      signer,
    );
    this.counts.proposals += 1;
    this.#handIn(node, bytes);
    // Others hear of it from their nodes, or from people.
    const id = readIntent(bytes, cluster).signed.digest;
    this.#asked.set(id, changes);
    for (const other of able) {
      if (other === node || random.chance(0.1)) continue;
      other.later(random.between(1, APPROVAL_MS_MAX), () => this.#approve(other, id));
    }
    return true;
  }

  /** All that is proposed and not over, wherever it is known. */
  get coming(): ProposedChange[] {
    const { motions, pending } = this.#deps.polity();
    const asked = [...this.#asked].filter(([id]) => !motions.has(id));
    return [
      ...asked.flatMap(([, changes]) => changes),
      ...pending.flatMap(({ proposal }) => proposal.changes),
    ];
  }

  /** What is not decided is handed in again, by all who may. @returns what is still open. */
  urge(world: World): string | undefined {
    const { pending } = this.#deps.polity();
    for (const node of this.#speakers(world)) {
      for (const [id, motion] of this.#deps.polity().motions) {
        if (motion.status === 'open' && motion.approvals.get(node.nodeId) === undefined) {
          this.#approve(node, id);
        }
      }
      this.#state(node);
    }
    return pending.length === 0 ? undefined : `${pending.length} proposals are not over`;
  }

  /** V2: says which version the program of a node takes part in, if it is to say so. */
  #state(node: SimNode): void {
    const protocol = this.programs.get(node.nodeId);
    const voice = this.#voiceOf(node);
    if (protocol === undefined || voice === undefined) return;
    if (this.#deps.polity().readyFor(node.nodeId) === protocol) return;
    const { clusterId } = this.#deps.toolsOf(node).cluster;
    const { keyEpoch, signer } = voice;
    const fields = { clusterId, nodeId: node.nodeId, keyEpoch, protocol, time: node.now() };
    this.#handIn(node, signRecord({ v: 1, type: 'readiness', ...fields }, signer));
  }

  /** A node has started; its program tells by itself. */
  started(node: SimNode): void {
    if (this.programs.has(node.nodeId)) node.later(SECOND, () => this.#state(node));
  }

  #approve(node: SimNode, id: string): void {
    const voice = this.#voiceOf(node);
    if (voice === undefined || !node.isUp || node.isPaused) return;
    const { clusterId } = this.#deps.toolsOf(node).cluster;
    const proposal = new Uint8Array(Buffer.from(id, 'hex'));
    const { keyEpoch, signer } = voice;
    const fields = { clusterId, proposal, nodeId: node.nodeId, keyEpoch, time: node.now() };
    this.#handIn(node, signRecord({ v: 1, type: 'approval', ...fields }, signer));
  }

  #handIn(node: SimNode, bytes: Uint8Array): void {
    const signed = verified(readIntent(bytes, this.#deps.toolsOf(node).cluster).signed);
    this.made.add(signed.digest);
    this.#deps.submit(node, { type: 'submit', intents: [signed] });
  }

  /** Custodians that follow the rules and are there. */
  #speakers({ nodes }: World): SimNode[] {
    const { isByzantine, custodians } = this.#deps;
    const ids = new Set(custodians());
    return nodes.filter(
      (node) =>
        ids.has(node.nodeId) &&
        !isByzantine(node.nodeId) &&
        node.isUp &&
        !node.isPaused &&
        this.#voiceOf(node) !== undefined,
    );
  }

  /** By the identity key in force, as the node knows it, if that is in its home. */
  #voiceOf(node: SimNode): Voice | undefined {
    const roster = this.#deps.chainOf(node)?.roster;
    const keyEpoch = roster?.keyEpochOf(node.nodeId);
    if (roster === undefined || keyEpoch === undefined) return undefined;
    const key = roster.identityKey(node.nodeId, keyEpoch);
    const signer = key && this.#deps.toolsOf(node).home.signer(key);
    return signer && { signer, keyEpoch };
  }

  /** Small clusters grow, large ones shrink, and in between some are replaced. */
  #draw({ nodes }: World, random: SimRandom): ProposedChange[] {
    const custodians = [...this.#deps.custodians()];
    const agents = nodes.map(({ nodeId }) => nodeId).filter((id) => !custodians.includes(id));
    const take = (ids: string[], count: number): string[] =>
      Array.from({ length: Math.min(count, ids.length) }, () => {
        return ids.splice(random.between(0, ids.length - 1), 1)[0]!;
      });
    const add = (count: number): ProposedChange[] =>
      take(agents, count).map((nodeId) => ({ op: 'add', nodeId }));
    const bad = custodians.filter((nodeId) => this.#deps.isByzantine(nodeId));
    const remove = (count: number): ProposedChange[] =>
      // Those that misbehave are sent away more often.
      take(count === 1 && random.chance(0.5) && bad.length > 0 ? bad : custodians, count).map(
        (nodeId) => ({ op: 'remove', nodeId }),
      );
    const { length } = custodians;
    // E3: what cannot be made takes what could be with it.
    if (random.chance(0.15)) return [...add(1), { op: 'add', nodeId: custodians[0]! }];
    if (length < CUSTODIANS_LEAST) return add(CUSTODIANS_LEAST - length);
    if (length >= CUSTODIANS_MOST && random.chance(0.7)) return remove(length - CUSTODIANS_LEAST);
    if (random.chance(0.4)) return [...add(1), ...remove(1)];
    return random.chance(0.75) ? add(CUSTODIANS_MOST - length) : remove(1);
  }

  #isAllowed(changes: readonly ProposedChange[]): boolean {
    const idsOf = (op: string): string[] =>
      changes.flatMap((change) => (change.op === op && 'nodeId' in change ? [change.nodeId] : []));
    const [adds, removes] = [idsOf('add'), idsOf('remove')];
    const programs = adds.map((nodeId) => this.programs.get(nodeId) ?? Infinity);
    // A program that is too old could not take part.
    const isNewEnough = programs.every((program) => program >= this.#deps.polity().version);
    return isNewEnough && this.#deps.allows(adds, removes);
  }

  #ruling({ nodes }: World, random: SimRandom): ProposedChange {
    const some = (count: number): string[] =>
      nodes
        .map(({ nodeId }) => nodeId)
        .filter(() => random.chance(count / nodes.length))
        .toSorted();
    const owners = some(2);
    const owner = random.pick(nodes)!.nodeId;
    switch (random.between(0, 3)) {
      case 0:
        return { op: 'parameter', name: 'agentPaths', value: random.between(0, 4) };
      case 1: {
        const changesPerHour = random.chance(0.5) ? random.between(0, 30) : null;
        return { op: 'quota', nodeId: owner, changesPerHour, bytesPerHour: null, paths: null };
      }
      default: {
        const all = owners.length === 0 ? [owner] : owners;
        const writers = some(2).filter((nodeId) => !all.includes(nodeId));
        return { op: 'namespace', path: random.pick(TOWNS)!, owners: all, writers };
      }
    }
  }
}
