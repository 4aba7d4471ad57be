/**
 * The knowledge base in the simulator: the real `Replication` and `PeerBook` on every node, writers
 * that put and delete versions anywhere, and content that moves by a model of a fetch (delay, then
 * a connected holder that has the root on its disk, or failure). What `Fetch` itself does is held
 * to its own tests.
 */
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { assert } from '../assert.ts';
import { sha256 } from '../crypto/hash.ts';
import { encodeMessage } from '../kb/messages.ts';
import type { PlacementMember } from '../kb/placement.ts';
import {
  KB_PROTOCOL,
  Replication,
  type ReplicationInput,
  type ReplicationOutcome,
} from '../kb/replication.ts';
import { TABLES } from '../kb/store.ts';
import type { Outcome } from '../machine.ts';
import { createVersion } from '../model/version.ts';
import { PeerBook } from '../peers/book.ts';
import type { PeerInput, PeerOutcome } from '../peers/book-io.ts';
import { MINUTE, SECOND } from '../units.ts';
import { KB_FAULTS } from './faults.ts';
import { KB_REPLICAS, KbCare } from './kb-care.ts';
import { KbChecker } from './kb-checker.ts';
import { type KbTie, kbOf } from './kb-tie.ts';
import type { SimNode } from './node.ts';
import type { SimRandom } from './random.ts';
import type { Checker, Scenario, Tie } from './scenario.ts';
import type { World } from './world.ts';

const PATHS = 6;
const ZONES = 3;
/** W20: shorter than most faults, and longer than the run. */
const GRACES_MS = [2 * SECOND, 10 * SECOND, 5 * MINUTE];
/** Share of writes that equivocate. */
const TWINS = 0.05;
const RAW = 0x55;
const SHA2_256 = 0x12;

type Made = ReturnType<typeof createVersion>;

export class KbScenario implements Scenario {
  readonly faults = KB_FAULTS;
  readonly checker: KbChecker;
  readonly care: KbCare;
  readonly #members: readonly PlacementMember[];
  readonly #graceMs: number;

  constructor(world: World) {
    const random = world.random.child('members');
    this.#members = world.nodes.map((node, index) => ({
      nodeId: node.nodeId,
      // Now and then a node that keeps nothing, and one that keeps more than others.
      weight: [100, 100, 100, 300, 0][random.between(0, index === 0 ? 3 : 4)]!,
      zone: `z${index % ZONES}`,
    }));
    this.checker = new KbChecker();
    this.#graceMs = random.pick(GRACES_MS)!;
    this.care = new KbCare(this.checker, world.random.child('care'));
  }

  get checkers(): readonly Checker[] {
    return [this.checker];
  }

  boot(node: SimNode): Tie[] {
    return [this.#bootPeers(node), this.#bootKb(node)];
  }

  act(world: World, random: SimRandom): void {
    const node = random.pick(world.nodes);
    const tie = node === undefined || !node.isUp || node.isPaused ? undefined : kbOf(node);
    if (node === undefined || tie === undefined) return;
    this.care.act(node, tie, random);
    if (tie.writing !== undefined) return;
    tie.writing = 'root';
    const path = `doc ${random.between(1, PATHS)}`;
    const content = sha256(random.bytes(8));
    // Equal content now and then, so that versions share roots.
    if (random.chance(0.2)) content.fill(random.between(0, 2));
    const root = CID.createV1(RAW, Digest.create(SHA2_256, content));
    node.disk.putRoot(
      root.toString(),
      node.guard(() => this.#write(node, tie, path, root, random)),
    );
  }

  damage(node: SimNode, force: number): boolean {
    const tie = kbOf(node);
    const roots = node.disk.roots();
    const root = roots[Math.floor(force * roots.length)];
    if (tie === undefined || root === undefined || !this.checker.allowsLoss(node, root))
      return false;
    this.checker.onRootLoss(node, root);
    node.disk.damageRoot(root);
    // The scrub has found it; or nobody knows, until it is audited.
    if (Math.floor(force * 1000) % 2 === 1) return true;
    node.submit(KB_PROTOCOL, { type: 'lost', root: CID.parse(root) } satisfies ReplicationInput);
    return true;
  }

  healed(world: World): void {
    this.care.healed(world);
  }

  unsettled(world: World): string | undefined {
    return this.checker.unsettled(world);
  }

  #write(node: SimNode, tie: KbTie, path: string, root: CID, random: SimRandom): void {
    const version = this.#make(node, tie, path, root, random);
    if (random.chance(TWINS)) this.#twin(node, this.#make(node, tie, path, root, random), random);
    tie.writing = version.cidText;
    submit(node, { type: 'local', version });
    const copies = random.between(2, 3);
    node.later(random.between(0, 1000), () => {
      submit(node, { type: 'want', version: version.cidText, copies });
    });
  }

  #make(node: SimNode, tie: KbTie, path: string, root: CID, random: SimRandom): Made {
    const { graph } = tie.replication;
    const heads = graph.heads(path);
    // Most writers follow all heads, which merges them; some follow the shown one, or none.
    const parents = random.chance(0.6) ? heads : heads.slice(0, random.between(0, 1));
    const generations = parents.map(({ version }) => version.generation);
    return createVersion(
      {
        path,
        root,
        sizeBytes: random.between(0, 1_000_000),
        parents: parents.map(({ cid }) => cid),
        generation: Math.max(0, ...generations) + 1,
        sequence: graph.nextSequence(node.nodeId),
        time: Math.floor(node.world.clock.now() + node.options.skewMs),
        author: node.nodeId,
        ...(parents.length > 0 && random.chance(0.1) ? { deleted: true } : {}),
      },
      node.identity.signer,
    );
  }

  /** A Byzantine author: one peer gets another version of the same sequence. */
  #twin(node: SimNode, version: Made, random: SimRandom): void {
    const peer = random.pick(node.world.nodes.filter((other) => other !== node && other.isUp));
    if (peer === undefined) return;
    this.checker.onTwins(node);
    const versions = [version.bytes];
    const body = encodeMessage({ type: 'versions', versions, isMore: false });
    submit(peer, { type: 'message', from: node.nodeId, body });
  }

  #bootKb(node: SimNode): KbTie {
    const { nodeId } = node;
    const replicas = KB_REPLICAS;
    const keyOf = (id: string): Uint8Array | undefined =>
      node.world.node(id)?.identity.signer.publicKey;
    const replication = new Replication(
      { nodeId, members: this.#members, replicas, graceMs: this.#graceMs },
      { keyOf },
      node.rows,
    );
    const lost = node.disk
      .scan(TABLES.roots)
      .filter(({ key }) => !node.disk.hasRoot(key))
      .map(({ key }): ReplicationInput => ({ type: 'lost', root: CID.parse(key) }));
    const tie: KbTie = {
      name: KB_PROTOCOL,
      machine: replication,
      replication,
      writing: undefined,
      fetching: new Set(),
      first: [{ type: 'start' } satisfies ReplicationInput, ...lost],
      alarmInput: (key) => ({ type: 'alarm', key }) satisfies ReplicationInput,
      peerInput: (id, isUp) =>
        ({ type: isUp ? 'peer-up' : 'peer-down', nodeId: id }) satisfies ReplicationInput,
      envelopeInput: (from, { protocol, body }) =>
        protocol === KB_PROTOCOL
          ? ({ type: 'message', from, body } satisfies ReplicationInput)
          : undefined,
      tell: (outcome) => this.#told(node, tie, outcome),
    };
    this.care.boot(node, tie);
    return tie;
  }

  #told(node: SimNode, tie: KbTie, outcome: Outcome): void {
    const told = outcome as ReplicationOutcome;
    if (told.type === 'version-added' && told.version.cidText === tie.writing) {
      tie.writing = undefined;
    }
    if (told.type === 'fetchWanted') this.#fetch(node, tie, told.root, told.sources);
    this.care.told(node, tie, told);
  }

  /** The model of a fetch: the first connected source that has the root at the end of it. */
  #fetch(node: SimNode, tie: KbTie, root: CID, sources: readonly string[]): void {
    tie.fetching.add(root.toString());
    const { network } = node.world;
    const delay = 5 + 200 * network.slowness;
    node.later(delay, () => {
      const source = sources
        .filter((id) => network.isConnected(node.nodeId, id))
        .map((id) => node.world.node(id))
        .find((holder) => holder?.disk.hasRoot(root.toString()) === true);
      if (source === undefined) {
        tie.fetching.delete(root.toString());
        return submit(node, { type: 'fetch-failed', root });
      }
      const stored = node.guard(() => {
        tie.fetching.delete(root.toString());
        submit(node, { type: 'stored', root });
      });
      node.disk.putRoot(root.toString(), stored);
    });
  }

  #bootPeers(node: SimNode): Tie {
    const { world } = node;
    const book = new PeerBook({ self: node.nodeId });
    book.recover(node.disk.scan('peers'));
    const members = world.nodes
      .filter((other) => other !== node)
      .map(({ nodeId }): PeerInput => {
        return { type: 'member', nodeId, addresses: [addressOf(world, nodeId)] };
      });
    return {
      name: 'peers',
      machine: book,
      first: [...members, { type: 'start' } satisfies PeerInput],
      alarmInput: (key) => ({ type: 'alarm', key }) satisfies PeerInput,
      peerInput: (nodeId, isUp) => ({ type: isUp ? 'up' : 'down', nodeId }) satisfies PeerInput,
      tell: (outcome) => dial(node, outcome as PeerOutcome),
    };
  }
}

const submit = (node: SimNode, input: ReplicationInput): void => node.submit(KB_PROTOCOL, input);

const addressOf = (world: World, nodeId: string): string =>
  `/ip4/10.0.0.${world.nodes.findIndex((node) => node.nodeId === nodeId) + 1}/tcp/4001`;

function dial(node: SimNode, outcome: PeerOutcome): void {
  if (outcome.type !== 'dial') return;
  const { address } = outcome;
  const { world } = node;
  const target = world.nodes.find(({ nodeId }) => addressOf(world, nodeId) === address);
  assert(target !== undefined, 'only members are dialled');
  const { nodeId } = target;
  const done = node.guard((isUp: boolean) => {
    const input: PeerInput = isUp
      ? { type: 'dialed', address, nodeId }
      : { type: 'dial-failed', address, code: 'TIMEOUT', message: 'no answer' };
    node.submit('peers', input);
  });
  world.network.dial(node.nodeId, nodeId, done);
}
