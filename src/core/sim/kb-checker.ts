/**
 * What the knowledge base promises, watched from outside.
 *
 * 1. On the wire: a node names or sends a version only when its entry is durable there, and claims
 *    a copy only when all objects of its root are durable there too.
 * 2. At `replicated`: every node that is named had a copy, and has it still unless its disk was
 *    lost or the root damaged since. So with k nodes named, any k - 1 disks may be lost at once.
 * 3. Over time: while at least two copies stand whenever a disk is lost or a root damaged, a
 *    version that was acknowledged is never lost.
 *    Only copies count that no collection may let go, and none does lately after a loss: the word
 *    of a holder counts for a while, as W23 has it.
 * 4. At the end, without faults: all nodes are connected, have equal versions and equal heads;
 *    every root of which a copy is left is at all of its holders; nothing else waits to be fetched;
 *    nobody is believed to have a copy that it has not. Nobody is found to have equivocated but
 *    those that did, and those whose disk was lost. The rows on each disk are those of its versions
 *    and copies (W40).
 */
import { CID } from 'multiformats/cid';
import { LIMITS } from '../kb/limits.ts';
import { decodeMessage } from '../kb/messages.ts';
import { KB_PROTOCOL, type Replication, type ReplicationOutcome } from '../kb/replication.ts';
import { TABLES } from '../kb/store.ts';
import type { Envelope, Outcome } from '../machine.ts';
import { type SignedVersion, versionCidOf } from '../model/version.ts';
import { MINUTE } from '../units.ts';
import { unsound } from './kb-rows-checker.ts';
import { kbOf } from './kb-tie.ts';
import type { SimNode } from './node.ts';
import { type Checker, SimFailure } from './scenario.ts';
import type { World } from './world.ts';

interface Acknowledged {
  readonly cidText: string;
  readonly root: string;
  readonly isDeleted: boolean;
}

/** Longer than the word of a holder lasts without being asked for again. */
const SHAKEN_MS = MINUTE;
/** Of the members by which all is placed; with more bytes not all is. */
const HASH_BYTES = 32;

export class KbChecker implements Checker {
  /** Versions that somebody was told are on two nodes or more. */
  readonly #acknowledged = new Map<string, Acknowledged>();
  /** `version node` and `root node` of copies that a fault has destroyed. */
  readonly #destroyed = new Set<string>();
  /** Nodes whose disk was lost, and nodes that were made to lie. */
  readonly #mayEquivocate = new Set<string>();
  readonly #equivocated = new Set<string>();
  /** By root, when a copy of it was lost last. */
  readonly #lostAtMs = new Map<string, number>();
  /** `root node` of copies that the node may have let go. */
  readonly #mayForget = new Set<string>();
  #versions = 0;

  get versions(): number {
    return this.#versions;
  }

  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  get equivocations(): number {
    return this.#equivocated.size;
  }

  onSend(node: SimNode, { protocol, body }: Envelope): void {
    if (protocol !== KB_PROTOCOL) return;
    if (body.length > LIMITS.messageBytes) fail(node, `sends ${body.length} bytes`);
    const message = decodeMessage(body);
    if (message.type === 'versions') {
      for (const bytes of message.versions) this.#checkEntry(node, versionCidOf(bytes));
    } else if (message.type === 'offer' || message.type === 'stored') {
      for (const cid of message.versions) this.#checkCopy(node, cid);
    }
  }

  onOutcome(node: SimNode, machine: string, outcome: Outcome): void {
    if (machine !== KB_PROTOCOL) return;
    const told = outcome as ReplicationOutcome;
    if (told.type === 'version-added') {
      if (told.version.version.author === node.nodeId) this.#versions += 1;
    } else if (told.type === 'equivocation') this.#equivocated.add(told.author);
    else if (told.type === 'refused') fail(node, `refuses a message: ${told.error.message}`);
    else if (told.type === 'replicated') this.#replicated(node, told);
  }

  allowsDiskLoss(node: SimNode): boolean {
    return [...this.#acknowledged.values()].every(
      (version) => !hasCopy(node, version) || this.#staying(node.world, version) >= 2,
    );
  }

  /** Whether a damaged root at a node leaves a copy of all that is acknowledged. */
  allowsLoss(node: SimNode, root: string): boolean {
    return [...this.#acknowledged.values()].every(
      (version) => version.root !== root || this.#staying(node.world, version) >= 2,
    );
  }

  onDiskLoss(node: SimNode): void {
    this.#mayEquivocate.add(node.nodeId);
    for (const { key } of node.disk.scan(TABLES.versions))
      this.#destroyed.add(`${key} ${node.nodeId}`);
    for (const root of node.disk.roots()) this.onRootLoss(node, root);
  }

  /** The node is about to sign two versions of one sequence. */
  onTwins(node: SimNode): void {
    this.#mayEquivocate.add(node.nodeId);
  }

  onRootLoss(node: SimNode, root: string): void {
    this.#destroyed.add(`${root} ${node.nodeId}`);
    this.#lostAtMs.set(root, node.world.elapsedMs);
  }

  /** Whether a copy of it has been lost lately: what its holders said is not true any more. */
  isShaken({ elapsedMs }: World, root: string): boolean {
    return elapsedMs - (this.#lostAtMs.get(root) ?? Number.NEGATIVE_INFINITY) < SHAKEN_MS;
  }

  /** W23: a root that may go is asked to go. */
  onLettingGo(node: SimNode, root: string): void {
    this.#mayForget.add(`${root} ${node.nodeId}`);
  }

  unsettled(world: World): string | undefined {
    return (
      unconnected(world) ??
      unequal(world) ??
      unplaced(world) ??
      unfetched(world) ??
      unfounded(world) ??
      unquiet(world)
    );
  }

  onSettled(world: World): void {
    for (const node of world.nodes) {
      const wrong = unsound(node);
      if (wrong !== undefined) throw new SimFailure(wrong);
    }
    for (const version of this.#acknowledged.values()) {
      const copies = this.#copies(world, version);
      if (copies.length < 2) {
        const { cidText } = version;
        const has = `${copies.length} copies`;
        throw new SimFailure(`durability: ${cidText} was acknowledged and has ${has}`);
      }
    }
    for (const author of this.#equivocated) {
      if (!this.#mayEquivocate.has(author)) throw new SimFailure(`${author} equivocated`);
    }
  }

  #replicated(node: SimNode, told: Extract<ReplicationOutcome, { type: 'replicated' }>): void {
    const isDeleted = kbOf(node)!.replication.graph.get(told.version)?.version.deleted === true;
    const version = { cidText: told.version, root: told.root.toString(), isDeleted };
    for (const nodeId of told.nodes) {
      const holder = node.world.node(nodeId)!;
      const isDestroyed =
        this.#destroyed.has(`${version.cidText} ${nodeId}`) ||
        this.#destroyed.has(`${version.root} ${nodeId}`);
      if (!hasCopy(holder, version) && !isDestroyed) {
        fail(node, `says that ${holder.options.name} has ${version.cidText}, and it has not`);
      }
    }
    if (new Set(told.nodes).size < told.copies) fail(node, 'counts a node twice');
    if (this.#copies(node.world, version).length >= 2) {
      this.#acknowledged.set(version.cidText, version);
    }
  }

  /** Copies that no collection may let go (W23). */
  #staying(world: World, version: Acknowledged): number {
    const root = CID.parse(version.root);
    const isStaying = (node: SimNode): boolean => {
      const replication = kbOf(node)?.replication;
      return replication?.holders(root).placed.includes(node.nodeId) ?? true;
    };
    return this.#copies(world, version).filter(isStaying).length;
  }

  #copies(world: World, version: Acknowledged): SimNode[] {
    return world.nodes.filter((node) => hasCopy(node, version));
  }

  #checkEntry(node: SimNode, cid: CID): void {
    if (!node.disk.has(TABLES.versions, cid.toString())) {
      fail(node, `sends ${cid.toString()} before it is durable`);
    }
  }

  #checkCopy(node: SimNode, cid: CID): void {
    this.#checkEntry(node, cid);
    const version = kbOf(node)?.replication.graph.get(cid.toString())?.version;
    if (version === undefined || version.deleted === true) return;
    const root = version.root.toString();
    // A claim may cross the news that the root is damaged.
    if (this.#destroyed.has(`${root} ${node.nodeId}`)) return;
    if (!node.disk.hasRoot(root)) fail(node, `claims ${root} before it is durable`);
    // A claim may cross the news that it has been let go.
    const mayForget = this.#mayForget.has(`${root} ${node.nodeId}`);
    if (!mayForget && !node.disk.has(TABLES.roots, root))
      fail(node, `claims ${root} and would forget it`);
  }
}

function fail(node: SimNode, what: string): never {
  throw new SimFailure(`${node.options.name} ${what}`);
}

const hasCopy = ({ disk }: SimNode, { cidText, root, isDeleted }: Acknowledged): boolean =>
  disk.has(TABLES.versions, cidText) && (isDeleted || disk.hasRoot(root));

function machines(world: World): { node: SimNode; replication: Replication }[] {
  return world.nodes.map((node) => ({ node, replication: kbOf(node)!.replication }));
}

function unconnected({ nodes, network }: World): string | undefined {
  for (const a of nodes) {
    for (const b of nodes) {
      if (a !== b && !network.isConnected(a.nodeId, b.nodeId)) {
        return `${a.options.name} is not connected with ${b.options.name}`;
      }
    }
  }
  return undefined;
}

function unequal(world: World): string | undefined {
  const states = machines(world).map(({ node, replication: { graph } }) => {
    const all = [...graph.all()].map(({ cidText }) => cidText).toSorted();
    const heads = graph.list().map(({ path, shown, others }) => [path, shown.cidText, others]);
    const rows = node.disk.scan(TABLES.versions).map(({ key }) => key);
    return { node, state: JSON.stringify([all, heads]), memory: all.join(), rows: rows.join() };
  });
  for (const { node, state, memory, rows } of states) {
    if (memory !== rows) return `${node.options.name} has not made all its versions durable`;
    if (state !== states[0]!.state) return `${node.options.name} has other versions`;
  }
  return undefined;
}

/** Versions whose root is still somewhere. */
function* kept(world: World): Generator<SignedVersion> {
  for (const version of machines(world)[0]!.replication.graph.all()) {
    const root = version.version.root.toString();
    if (version.version.deleted === true) continue;
    if (world.nodes.some(({ disk }) => disk.hasRoot(root))) yield version;
  }
}

function unplaced(world: World): string | undefined {
  const [first] = machines(world);
  for (const { cidText, version } of kept(world)) {
    const root = version.root.toString();
    const placed = first!.replication.holders(version.root).placed;
    for (const nodeId of placed) {
      const holder = world.node(nodeId)!;
      if (!holder.disk.hasRoot(root)) return `${holder.options.name} lacks ${root}`;
    }
    const author = kbOf(world.node(version.author)!)!.replication;
    const known = author.copies(cidText);
    const unknown = placed.find((nodeId) => !known.includes(nodeId));
    if (unknown !== undefined) return `the author of ${cidText} does not know of a copy`;
  }
  return undefined;
}

function unfetched(world: World): string | undefined {
  const roots = new Set([...kept(world)].map(({ version }) => version.root.toString()));
  const lost = new Set<string>();
  for (const { version } of machines(world)[0]!.replication.graph.all()) {
    if (version.deleted !== true && !roots.has(version.root.toString())) {
      lost.add(version.root.toString());
    }
  }
  for (const { node, replication } of machines(world)) {
    if (replication.backlog.wanted > lost.size) return `${node.options.name} still fetches`;
  }
  return undefined;
}

/** Absence and audits change accounts at any time: rows are looked at when all is written. */
function unquiet({ nodes }: World): string | undefined {
  for (const { disk, options } of nodes) {
    if (disk.isWriting) return `${options.name} is writing`;
    const placing = disk.get(TABLES.counters, 'placing');
    if (placing !== undefined && placing.length > HASH_BYTES) return `${options.name} is placing`;
  }
  return undefined;
}

function unfounded(world: World): string | undefined {
  for (const { node, replication } of machines(world)) {
    for (const { cidText, version } of replication.graph.all()) {
      const root = version.root.toString();
      const copy = { cidText, root, isDeleted: version.deleted === true };
      for (const nodeId of replication.copies(cidText)) {
        const holder = world.node(nodeId)!;
        if (hasCopy(holder, copy)) continue;
        return `${node.options.name} believes that ${holder.options.name} has ${root}`;
      }
    }
  }
  return undefined;
}
