/**
 * What stands around the machines of one node in the merge scenario, as it does in a real one:
 * versions are made one after another and become intents; paths with several final heads are merged
 * by rank; what is final and unknown is asked for. All of a run: a crash begins it anew.
 */
import { CID } from 'multiformats/cid';
import type { Chain } from '../chain/chain.ts';
import type { ChainInput, ChainOutcome } from '../chain/types.ts';
import { mergeHeads } from '../kb/merge/heads.ts';
import { MergeQueue, rankOf } from '../kb/merge/queue.ts';
import { runSteps } from '../kb/merge/steps.ts';
import {
  KB_PROTOCOL,
  type Replication,
  type ReplicationInput,
  type ReplicationOutcome,
} from '../kb/replication.ts';
import { compareShown } from '../kb/versions.ts';
import { isMove } from '../model/change.ts';
import { createIntent, type Move } from '../model/intent.ts';
import { encodeMerge, isMerge, openMerge } from '../model/merge.ts';
import { createVersion, type SignedVersion } from '../model/version.ts';
import type { Signer } from '../ports.ts';
import type { SimCluster } from './consensus-tools.ts';
import { edited, Lacking, type SimContents, simHashers } from './merge-contents.ts';
import type { SimNode } from './node.ts';
import type { SimRandom } from './random.ts';

const STEP_MS = 2000;
/** A head that is final and unknown is asked for after so long. */
const UNKNOWN_MS = 5000;
const FETCH_MS = 50;
const AGAIN_MS = 100;

export interface MergeWriterDeps {
  readonly node: SimNode;
  readonly chain: Chain;
  readonly replication: Replication;
  readonly cluster: SimCluster;
  readonly contents: SimContents;
  /** Of the identity key in force. */
  readonly signer: Signer;
  /** The name of the machine of the chain. */
  readonly chainName: string;
  /** A version that is durable: it must never be lost. */
  written(signed: SignedVersion): void;
  /** Whether anybody has seen the version decided. */
  isDecided(version: string): boolean;
}

export class MergeWriter {
  readonly #deps: MergeWriterDeps;
  readonly #queue = new MergeQueue({ stepMs: STEP_MS });
  /** Paths to write, one after another. */
  #wanted: { readonly path: string; readonly random: SimRandom }[] = [];
  /** The version that is being made durable. */
  #writing: string | undefined;
  readonly #unknown = new Set<string>();
  #nextSequence = 0;
  /** By id, those that are not durable yet. */
  readonly #handedIn = new Map<string, Move>();

  constructor(deps: MergeWriterDeps) {
    this.#deps = deps;
  }

  /** Call once the machines run. */
  start(): void {
    const { replication, chain, node } = this.#deps;
    const { graph } = replication;
    const pending = new Set(
      chain
        .pending()
        .flatMap(({ signed }) =>
          signed.intent.changes.filter(isMove).map(({ version }) => version.toString()),
        ),
    );
    const own = graph.author(node.nodeId);
    const left = [...own.between(1, own.sequence)].filter(({ cidText }) => {
      return !pending.has(cidText) && !this.#deps.isDecided(cidText);
    });
    for (const signed of left) this.#handIn(moveOf(signed));
    for (const path of graph.forkedAfter(undefined, 1000)) this.#look(path);
    for (const path of graph.pathsAfter(undefined, 1000)) this.#ask(path);
  }

  write(path: string, random: SimRandom): void {
    this.#wanted.push({ path, random });
    this.#writeNext();
  }

  get isIdle(): boolean {
    return this.#wanted.length + this.#handedIn.size === 0 && this.#writing === undefined;
  }

  chainTold(outcome: ChainOutcome): void {
    if (outcome.type === 'refused') this.#again(outcome.id);
    if (outcome.type === 'accepted') this.#handedIn.delete(outcome.id);
    if (outcome.type !== 'finalised') return;
    const records = outcome.receipts.flatMap(({ result }, n) =>
      result === 'refused'
        ? []
        : outcome.signed[n]!.intent.changes.filter(isMove).flatMap(({ merge }) => merge ?? []),
    );
    if (records.length > 0) this.#submit({ type: 'merges', records });
    for (const path of outcome.paths) {
      this.#look(path);
      this.#ask(path);
    }
  }

  kbTold(outcome: ReplicationOutcome): void {
    if (outcome.type === 'fetchWanted') this.#fetch(outcome.root);
    if (outcome.type !== 'version-added') return;
    const { version, cidText } = outcome.version;
    if (cidText === this.#writing) {
      this.#writing = undefined;
      this.#deps.written(outcome.version);
      this.#handIn(moveOf(outcome.version));
      this.#writeNext();
    }
    if (isMerge(version)) this.#submit({ type: 'want', version: cidText, copies: 2 });
    this.#look(version.path);
  }

  /** The heads that are final, as far as they are known; the shown one first. */
  #heads(path: string): { readonly known: SignedVersion[]; readonly isWhole: boolean } {
    const { chain, replication } = this.#deps;
    const heads = chain.ref(path)?.heads ?? [];
    const known = heads.flatMap(({ version }) => {
      const signed = replication.graph.get(version.toString());
      return signed === undefined ? [] : [signed];
    });
    const sorted = known.toSorted((a, b) => compareShown(b, a));
    return { known: sorted, isWhole: known.length === heads.length };
  }

  #writeNext(): void {
    const { node, replication, contents } = this.#deps;
    const [next] = this.#wanted;
    if (next === undefined || this.#writing !== undefined) return;
    const { path, random } = next;
    const { known } = this.#heads(path);
    const before = known[0];
    this.#wanted.shift();
    const bytes = before && contents.get(before.version.root);
    const block = edited(path, bytes, random);
    contents.put([block]);
    this.#writing = 'root';
    const write = node.guard(() => {
      const { graph } = replication;
      const version = createVersion(
        {
          path,
          root: block.cid,
          sizeBytes: block.bytes.length,
          parents: before === undefined ? [] : [before.cid],
          generation: (before?.version.generation ?? 0) + 1,
          sequence: graph.nextSequence(node.nodeId),
          time: Math.max(node.now(), before?.version.time ?? 0),
          author: node.nodeId,
        },
        node.identity.signer,
      );
      this.#writing = version.cidText;
      this.#submit({ type: 'local', version });
    });
    node.disk.putRoot(block.cid.toString(), write);
  }

  #handIn(move: Move): void {
    const { node, chain, cluster, signer, chainName } = this.#deps;
    const sequence = Math.max(this.#nextSequence, chain.nextSequence(node.nodeId));
    this.#nextSequence = sequence + 1;
    const intent = { author: node.nodeId, sequence, time: node.now(), changes: [move] };
    const signed = createIntent(intent, cluster, signer);
    this.#handedIn.set(signed.id, move);
    node.submit(chainName, { type: 'submit', intents: [signed] } satisfies ChainInput);
  }

  /** What the chain did not take leaves no gap, and is made up for. */
  #again(id: string): void {
    const move = this.#handedIn.get(id);
    this.#handedIn.delete(id);
    this.#nextSequence = 0;
    if (move !== undefined) this.#deps.node.later(AGAIN_MS, () => this.#handIn(move));
  }

  /** W9 */
  #look(path: string): void {
    const { node, replication, cluster } = this.#deps;
    const { known, isWhole } = this.#heads(path);
    if (!isWhole || known.length < 2) return this.#queue.settled(path);
    const { placed } = replication.holders(known[0]!.version.root);
    const who = { heads: known, placed, custodians: cluster.custodians };
    this.#queue.forked(path, known, rankOf(node.nodeId, who)!, node.now());
    this.#arm();
  }

  #arm(): void {
    const { node } = this.#deps;
    const at = this.#queue.nextAt();
    if (at !== undefined) node.later(Math.max(0, at - node.now()), () => this.#work());
  }

  #work(): void {
    const { node } = this.#deps;
    for (let path = this.#queue.take(node.now()); path !== undefined; ) {
      this.#queue.tried(path, node.now());
      this.#merge(path);
      path = this.#queue.take(node.now());
    }
    this.#arm();
  }

  #merge(path: string): void {
    const { node, replication, contents } = this.#deps;
    const { known, isWhole } = this.#heads(path);
    if (!isWhole || known.length < 2) return;
    try {
      const hasRoot = (root: string): boolean => node.disk.hasRoot(root);
      const steps = mergeHeads(replication.graph, known, simHashers);
      const merge = openMerge(encodeMerge(runSteps(steps, contents.answer(hasRoot))));
      const { root } = merge.version;
      const handIn = node.guard(() => {
        this.#submit({ type: 'stored', root });
        this.#handIn({ ...moveOf(merge), merge: merge.bytes });
      });
      node.disk.putRoot(root.toString(), handIn);
    } catch (error) {
      if (!(error instanceof Lacking)) throw error;
      this.#fetch(error.root);
    }
  }

  /** Heads that are final, and of which there is no record here. */
  #ask(path: string): void {
    const { node, chain, replication } = this.#deps;
    for (const { version } of chain.ref(path)?.heads ?? []) {
      const name = version.toString();
      if (replication.graph.has(name)) continue;
      if (this.#unknown.size === 0) node.later(UNKNOWN_MS, () => this.#askAll());
      this.#unknown.add(name);
    }
  }

  #askAll(): void {
    const { graph } = this.#deps.replication;
    const versions = [...this.#unknown].filter((name) => !graph.has(name));
    this.#unknown.clear();
    if (versions.length > 0) this.#submit({ type: 'missing', versions });
  }

  /** The model of a fetch: any connected node that has the root at the end of it. */
  #fetch(root: CID): void {
    const { node } = this.#deps;
    const { network } = node.world;
    const name = root.toString();
    node.later(FETCH_MS * network.slowness, () => {
      const isFound = node.world.nodes
        .filter((other) => network.isConnected(node.nodeId, other.nodeId))
        .some(({ disk }) => disk.hasRoot(name));
      if (!isFound) return this.#submit({ type: 'fetch-failed', root: CID.parse(name) });
      const stored = node.guard(() => {
        this.#submit({ type: 'stored', root });
        this.#work();
      });
      node.disk.putRoot(name, stored);
    });
  }

  #submit(input: ReplicationInput): void {
    this.#deps.node.submit(KB_PROTOCOL, input);
  }
}

const moveOf = ({ cid, version }: SignedVersion): Move => ({
  path: version.path,
  version: cid,
  parents: version.parents,
  generation: version.generation,
});
