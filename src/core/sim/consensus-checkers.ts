/** What consensus promises, watched from outside: on the wire, on the disk, and in the state. */
import type { Chain } from '../chain/chain.ts';
import type { ChainOutcome } from '../chain/types.ts';
import { verifyEvidence } from '../consensus/evidence.ts';
import type { VoteScheme } from '../consensus/scheme.ts';
import type { Evidence } from '../consensus/types.ts';
import type { Envelope, Outcome } from '../machine.ts';
import type { Clients } from './clients.ts';
import type { SimCluster } from './consensus-tools.ts';
import type { Governors } from './governors.ts';
import { checkHandovers } from './handover-checker.ts';
import type { SimHome } from './home.ts';
import { LedgerChecker } from './ledger-checker.ts';
import type { SimNode } from './node.ts';
import type { Operators } from './operator.ts';
import { registerModel } from './register.ts';
import { type Checker, SimFailure } from './scenario.ts';
import type { Truth } from './truth.ts';
import { WireChecker } from './wire-checker.ts';
import { isExplained } from './witness.ts';
import type { World } from './world.ts';

/** Names of the checkers: a failure begins with the one that found it. */
export const CHECKERS = [
  'wire',
  'durability',
  'certificates',
  'agreement',
  'validity',
  'execution',
  'finality',
  'evidence',
  'queues',
  'linearizability',
  'membership',
  'handovers',
  'rights',
  'quota',
  'upgrade',
  'sync',
  'liveness',
  'determinism',
  'machine',
] as const;

export interface CheckerContext {
  readonly cluster: SimCluster;
  /** Of the keys in force, by `truth`, which the final blocks move on. */
  readonly verifier: VoteScheme;
  readonly truth: Truth;
  readonly clients: Clients;
  readonly operators: Operators;
  readonly governors: Governors;
  readonly homeOf: (node: SimNode) => SimHome;
  readonly isByzantine: (nodeId: string) => boolean;
  readonly chainOf: (node: SimNode) => Chain | undefined;
}

export class ConsensusChecker implements Checker {
  readonly #context: CheckerContext;
  readonly wire: WireChecker;
  readonly ledger: LedgerChecker;
  /** By node id, those whose disk has lost something and who may be in doubt since. */
  readonly #damaged = new Set<string>();
  readonly #accused = new Map<string, Evidence>();
  readonly counts = { viewChanges: 0, doubts: 0, badShares: 0, liars: 0 };

  constructor(context: CheckerContext) {
    this.#context = context;
    const { clients, operators, governors } = context;
    this.wire = new WireChecker({
      ...context,
      programOf: (nodeId) => governors.programs.get(nodeId) ?? Infinity,
      versionAt: (height) => this.ledger.versionAt(height),
    });
    this.ledger = new LedgerChecker({
      ...context,
      isSubmitted: (digest) =>
        clients.submitted.has(digest) || operators.made.has(digest) || governors.made.has(digest),
    });
  }

  /** Custodians of which evidence was found. */
  get accused(): number {
    return new Set([...this.#accused.values()].map(({ custodian }) => custodian)).size;
  }

  onSend(node: SimNode, envelope: Envelope): void {
    this.wire.onSend(node, envelope);
  }

  onOutcome(node: SimNode, machine: string, outcome: Outcome): void {
    if (machine !== 'chain' || this.#context.isByzantine(node.nodeId)) return;
    const told = outcome as ChainOutcome;
    switch (told.type) {
      case 'finalised':
        this.ledger.onFinalised(node, told);
        this.#checkProgram(node, told.height);
        this.wire.settle();
        break;
      case 'entered':
        if (told.view > 0) this.counts.viewChanges += 1;
        break;
      case 'doubt':
        this.counts.doubts += 1;
        break;
      case 'evidence':
        this.#onEvidence(node, told.evidence);
        break;
      case 'bad-share':
        this.#onBadShare(node, told.from, told.what);
        break;
      case 'key-elsewhere':
        if (this.#damaged.has(node.nodeId)) break;
        throw new SimFailure(`evidence: ${node.options.name} sees its key elsewhere: ${told.what}`);
      case 'divergence':
        throw new SimFailure(`execution: ${node.options.name} differs at height ${told.height}`);
      case 'snapshot':
        if (told.state === 'installed') this.ledger.onSnapshot(node, told.height);
        break;
      case 'liar':
        this.#onLiar(node, told.nodeId, told.what);
        break;
      case 'conflict':
        throw new SimFailure(`sync: ${node.options.name} is shown two blocks of ${told.height}`);
      default:
    }
  }

  /** Before a node loses durable state: at most f may be faulty at once, in whatever way. */
  allowsDiskLoss(node: SimNode): boolean {
    if (this.#context.isByzantine(node.nodeId)) return false;
    const { needed, faultyMax } = this.margin(node.world);
    return !needed.has(node.nodeId) || this.#faultyOf(node.world, needed, node) < faultyMax;
  }

  /** Whether no more would be faulty than may be, if these became custodians, or were none. */
  allowsChange(world: World, adds: readonly string[], removes: readonly string[]): boolean {
    if (this.#context.governors.coming.length > 0) {
      const { needed, faultyMax } = this.margin(world, adds, removes);
      return this.#faultyOf(world, needed) <= faultyMax;
    }
    // Either it is carried out or it is not.
    const present = new Set(this.#context.truth.latest.nodeIds);
    const after = new Set([...present, ...adds].filter((nodeId) => !removes.includes(nodeId)));
    return [present, after].every(
      (set) => this.#faultyOf(world, set) <= Math.floor((set.size - 1) / 3),
    );
  }

  /**
   * Who is or may soon be a custodian, by what is proposed, and how many of them may be faulty
   * whichever proposals are carried out.
   */
  margin(
    _world: World,
    adds: readonly string[] = [],
    removes: readonly string[] = [],
  ): { readonly needed: ReadonlySet<string>; readonly faultyMax: number } {
    const { nodeIds, size } = this.#context.truth.latest;
    const changes = this.#context.governors.coming;
    const isGoing = ({ op }: { readonly op: string }): boolean => op === 'remove' || op === 'expel';
    const added = changes.flatMap((it) => (it.op === 'add' ? [it.nodeId] : []));
    const least = size - changes.filter(isGoing).length - removes.length;
    return {
      needed: new Set([...nodeIds, ...added, ...adds]),
      faultyMax: Math.max(0, Math.floor((least - 1) / 3)),
    };
  }

  #faultyOf(world: World, needed: ReadonlySet<string>, except?: SimNode): number {
    const others = [...needed].filter((nodeId) => nodeId !== except?.nodeId);
    return others.filter((nodeId) => this.#isFaulty(world.node(nodeId)!)).length;
  }

  onDiskLoss(node: SimNode): void {
    this.#damaged.add(node.nodeId);
    this.ledger.onDiskLoss(node);
    this.#context.clients.excuse(node);
  }

  onBoot(node: SimNode, chain: Chain): void {
    if (this.#context.isByzantine(node.nodeId)) return;
    this.ledger.onBoot(node, chain);
    this.wire.settle();
  }

  onSettled({ nodes }: World): void {
    const { clients, chainOf, isByzantine } = this.#context;
    for (const node of nodes) {
      const chain = chainOf(node);
      if (chain === undefined || isByzantine(node.nodeId)) continue;
      this.ledger.onSettled(node, chain);
      checkHandovers(node, chain, this.#context, (height) => this.ledger.blockAt(height));
    }
    const history = clients.history((digest) => this.ledger.placeOf(digest));
    if (!isExplained(registerModel, history)) {
      throw new SimFailure('linearizability: the clients saw what no order explains');
    }
  }

  /** V3: whoever does not know a version executes nothing by it. */
  #checkProgram(node: SimNode, height: number): void {
    const program = this.#context.governors.programs.get(node.nodeId) ?? Infinity;
    const version = this.ledger.versionAt(height);
    if (program >= version) return;
    const what = `takes block ${height} of version ${version} with a program for ${program}`;
    throw new SimFailure(`upgrade: ${node.options.name} ${what}`);
  }

  /** Whether a node counts among the f: it is Byzantine, or in doubt, or will be when it starts. */
  #isFaulty(node: SimNode): boolean {
    if (this.#context.isByzantine(node.nodeId) || node.disk.isDoubtful) return true;
    if (this.#context.homeOf(node).marker !== undefined) return true;
    if (!this.#damaged.has(node.nodeId)) return false;
    const chain = this.#context.chainOf(node);
    return chain === undefined || chain.status().doubt !== undefined;
  }

  #onEvidence(node: SimNode, evidence: Evidence): void {
    const { cluster, verifier, isByzantine, truth } = this.#context;
    const accused = truth.at(evidence.height).nodeIds[evidence.custodian];
    if (accused === undefined || !isByzantine(accused)) {
      throw new SimFailure(`evidence: ${node.options.name} accuses ${accused}, who is innocent`);
    }
    if (!verifyEvidence(evidence, verifier, cluster.clusterId)) {
      throw new SimFailure(`evidence: ${node.options.name} has some that does not hold`);
    }
    const { custodian, height, view, kind } = evidence;
    this.#accused.set(`${custodian} ${height} ${view} ${kind}`, evidence);
  }

  /** Y2. */
  #onLiar(node: SimNode, liar: string, what: string): void {
    this.counts.liars += 1;
    if (this.#context.isByzantine(liar)) return;
    throw new SimFailure(`sync: ${node.options.name} calls ${liar} a liar: ${what}`);
  }

  #onBadShare(node: SimNode, from: string, what: string): void {
    this.counts.badShares += 1;
    if (this.#context.isByzantine(from)) return;
    throw new SimFailure(`evidence: ${node.options.name} blames ${from} for ${what}`);
  }
}
