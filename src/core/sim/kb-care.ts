/**
 * What a node does about copies around the machine, as a model: audits of what others have
 * confirmed, roots that rot without a word, drains that an operator begins and takes back, and
 * collections that let go of what may go. Hashing and reading are not modelled: an answer is right
 * when the root is on the disk of the holder.
 */
import { CID } from 'multiformats/cid';
import { KB_PROTOCOL, type ReplicationInput, type ReplicationOutcome } from '../kb/replication.ts';
import { MINUTE, SECOND } from '../units.ts';
import type { KbChecker } from './kb-checker.ts';
import { type KbTie, kbOf } from './kb-tie.ts';
import type { SimNode } from './node.ts';
import type { SimRandom } from './random.ts';
import { SimFailure } from './scenario.ts';
import type { World } from './world.ts';

/** Between two audits of a node. */
const AUDIT_MS = { min: SECOND, max: 3 * SECOND };
const SCRUB_MS = 4 * MINUTE;
/** Copies that the placement asks for. */
export const KB_REPLICAS = 3;
const KEY_BYTES = 32;
/** Roots of one collection. */
const COLLECTED = 64;

export class KbCare {
  readonly #checker: KbChecker;
  readonly #random: SimRandom;
  #drains = 0;
  #dropped = 0;
  #unproved = 0;

  constructor(checker: KbChecker, random: SimRandom) {
    this.#checker = checker;
    this.#random = random;
  }

  /** What has been seen of it, so that a test can tell that there was something. */
  get counts(): { readonly drains: number; readonly dropped: number; readonly unproved: number } {
    return { drains: this.#drains, dropped: this.#dropped, unproved: this.#unproved };
  }

  /** At the start of a run of a node. */
  boot(node: SimNode, tie: KbTie): void {
    this.#auditLater(node, tie);
    this.#scrubLater(node, tie);
  }

  /** Now and then, where something is written as well. */
  act(node: SimNode, tie: KbTie, random: SimRandom): void {
    const { upkeep } = tie.replication;
    if (random.chance(0.04)) {
      this.#drains += 1;
      submit(node, { type: 'drain', isDraining: !upkeep.drain.isDraining });
    }
    if (random.chance(0.2)) {
      const names = node.disk
        .roots()
        .filter((root) => !this.#checker.isShaken(node.world, root))
        .filter((root) => !tie.replication.isToHold(parse(root)))
        .slice(0, COLLECTED);
      for (const name of names) this.#checker.onLettingGo(node, name);
      const roots = names.map(parse);
      submit(node, { type: 'let-go', roots, isDry: false });
    }
    if (random.chance(0.02)) submit(node, { type: 'repair', root: undefined, isNow: true });
  }

  /** All faults are over: nobody drains any more. */
  healed({ nodes }: World): void {
    for (const node of nodes) submit(node, { type: 'drain', isDraining: false });
  }

  told(node: SimNode, tie: KbTie, told: ReplicationOutcome): void {
    if (told.type === 'auditWanted') this.#audit(node, told.nodeId, told.root);
    if (told.type !== 'let-go') return;
    for (const root of told.roots) {
      const name = root.toString();
      // It has come again meanwhile, or comes just now: its lease keeps it.
      if (tie.replication.hasRoot(root) || tie.fetching.has(name)) continue;
      if (!node.disk.hasRoot(name)) continue;
      this.#checkLeft(node, tie, name);
      this.#dropped += 1;
      this.#checker.onRootLoss(node, name);
      node.disk.damageRoot(name);
    }
  }

  /** W23: as many others as the placement asks for have it. Deletions have no content. */
  #checkLeft(node: SimNode, { replication }: KbTie, root: string): void {
    const others = node.world.nodes.filter((one) => one !== node && one.disk.hasRoot(root));
    const isNeeded = [...replication.graph.all()].some(
      ({ version }) => version.deleted !== true && version.root.toString() === root,
    );
    if (!isNeeded || others.length >= KB_REPLICAS) return;
    const { name } = node.options;
    throw new SimFailure(`durability: ${name} lets go of ${root}, of ${others.length} others`);
  }

  #auditLater(node: SimNode, tie: KbTie): void {
    node.later(this.#random.between(AUDIT_MS.min, AUDIT_MS.max), () => {
      this.#auditLater(node, tie);
      if (node.isPaused) return;
      const start = Buffer.from(this.#random.bytes(KEY_BYTES)).toString('hex');
      const { network } = node.world;
      const isConnected = (nodeId: string) => network.isConnected(node.nodeId, nodeId);
      const found = tie.replication.upkeep.auditable(start, isConnected);
      const nodeId = found && this.#random.pick(found.nodeIds);
      if (found !== undefined && nodeId !== undefined) this.#audit(node, nodeId, found.root);
    });
  }

  /** W27: slower than audits, and it needs nobody else. */
  #scrubLater(node: SimNode, tie: KbTie): void {
    node.later(SCRUB_MS, () => {
      this.#scrubLater(node, tie);
      for (const root of tie.replication.roots(undefined, Infinity)) {
        if (!node.disk.hasRoot(root.toString())) this.#missing(node, root);
      }
    });
  }

  #audit(node: SimNode, nodeId: string, root: CID): void {
    const { network } = node.world;
    const name = root.toString();
    node.later(5 + 20 * network.slowness, () => {
      const holder = node.world.node(nodeId);
      if (holder === undefined || !holder.isUp || holder.isPaused) return;
      if (!network.isConnected(node.nodeId, nodeId)) return;
      // What this node has not cannot be compared.
      if (!node.disk.hasRoot(name)) return this.#missing(node, root);
      const isHeld = holder.disk.hasRoot(name);
      submit(node, { type: 'audited', nodeId, root, isHeld });
      if (isHeld) return;
      this.#unproved += 1;
      this.#missing(holder, root);
    });
  }

  /** Whoever looks for an object that is gone finds that it is. */
  #missing(node: SimNode, root: CID): void {
    if (kbOf(node)?.replication.hasRoot(root) === true) submit(node, { type: 'lost', root });
  }
}

const parse = (root: string): CID => CID.parse(root);
const submit = (node: SimNode, input: ReplicationInput): void => node.submit(KB_PROTOCOL, input);
