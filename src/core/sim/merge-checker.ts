/**
 * What merges promise (docs/knowledge-base.md, W7 to W16), at the end, without faults: every path
 * has one head, final, and the same on all nodes; every version that was ever durable at its author
 * is that head or in its history; every merge is what its parents come to, whoever computes it, and
 * what it shows is at its holders.
 */
import type { Chain } from '../chain/chain.ts';
import { mergeHeads } from '../kb/merge/heads.ts';
import { runSteps } from '../kb/merge/steps.ts';
import type { Replication } from '../kb/replication.ts';
import { encodeMerge, isMerge, openMerge } from '../model/merge.ts';
import type { SignedVersion } from '../model/version.ts';
import { type SimContents, simHashers } from './merge-contents.ts';
import type { SimNode } from './node.ts';
import { type Checker, SimFailure } from './scenario.ts';
import type { World } from './world.ts';

export interface MergeCheckerDeps {
  readonly contents: SimContents;
  readonly paths: readonly string[];
  chainOf(node: SimNode): Chain | undefined;
  replicationOf(node: SimNode): Replication | undefined;
  isIdle(node: SimNode): boolean;
}

export class MergeChecker implements Checker {
  readonly #deps: MergeCheckerDeps;
  /** By path, versions that were durable at their authors. */
  readonly #written = new Map<string, Set<string>>();
  merges = 0;
  conflicts = 0;
  /** Most parents that a merge had. */
  headsMax = 0;

  constructor(deps: MergeCheckerDeps) {
    this.#deps = deps;
  }

  get versions(): number {
    return [...this.#written.values()].reduce((sum, { size }) => sum + size, 0);
  }

  written({ cidText, version }: SignedVersion): void {
    const known = this.#written.get(version.path) ?? new Set();
    this.#written.set(version.path, known.add(cidText));
  }

  unsettled({ nodes }: World): string | undefined {
    const chains = nodes.map((node) => this.#deps.chainOf(node));
    for (const [n, node] of nodes.entries()) {
      const { name } = node.options;
      const chain = chains[n];
      if (chain === undefined || !this.#deps.isIdle(node)) return `${name} still writes`;
      if (chain.pending().length > 0) return `an intent of ${name} is undecided`;
      if (chain.height !== chains[0]!.height) return `${name} is at another height`;
      const unmerged = this.#deps.paths.find((path) => (chain.ref(path)?.heads.length ?? 1) > 1);
      if (unmerged !== undefined) return `${unmerged} has several heads on ${name}`;
      const lacking = this.#lacking(node);
      if (lacking !== undefined) return `${name} ${lacking}`;
    }
    return undefined;
  }

  onSettled({ nodes }: World): void {
    const [first] = nodes;
    const { graph } = this.#deps.replicationOf(first!)!;
    for (const path of this.#deps.paths) {
      const heads = new Set(nodes.map((node) => this.#headOf(node, path)));
      if (heads.size !== 1) throw new SimFailure(`merge: ${path} shows ${heads.size} versions`);
      const history = new Set([...graph.history(path)].map(({ cidText }) => cidText));
      for (const version of this.#written.get(path) ?? []) {
        if (!history.has(version)) throw new SimFailure(`merge: ${version} of ${path} is lost`);
      }
    }
    for (const node of nodes) this.#checkMerges(node);
  }

  #headOf(node: SimNode, path: string): string {
    const heads = this.#deps.chainOf(node)!.ref(path)?.heads ?? [];
    return heads.map(({ version }) => version.toString()).join();
  }

  /** What a node does not know or have yet, of what is final. */
  #lacking(node: SimNode): string | undefined {
    const replication = this.#deps.replicationOf(node)!;
    const { graph } = replication;
    for (const path of this.#deps.paths) {
      const head = this.#headOf(node, path);
      if (head === '') continue;
      const signed = graph.get(head);
      if (signed === undefined) return `does not know ${head}`;
      if (graph.headCount(path) !== 1) return `knows ${graph.headCount(path)} heads of ${path}`;
      const { root } = signed.version;
      const isPlaced = replication.holders(root).placed.includes(node.nodeId);
      if (isPlaced && !node.disk.hasRoot(root.toString())) return `lacks ${root.toString()}`;
    }
    return undefined;
  }

  #checkMerges(node: SimNode): void {
    const { graph } = this.#deps.replicationOf(node)!;
    let merges = 0;
    for (const signed of graph.all()) {
      if (!isMerge(signed.version)) continue;
      merges += 1;
      const parents = signed.version.parents.map((cid) => graph.get(cid.toString())!);
      const fields = runSteps(
        mergeHeads(graph, parents, simHashers),
        this.#deps.contents.answer(() => true),
      );
      if (openMerge(encodeMerge(fields)).cidText !== signed.cidText) {
        throw new SimFailure(`merge: ${signed.cidText} is not what its parents come to`);
      }
      if (node !== node.world.nodes[0]) continue;
      this.headsMax = Math.max(this.headsMax, parents.length);
      this.conflicts += Number(signed.version.conflicts !== undefined);
    }
    this.merges = merges;
  }
}
