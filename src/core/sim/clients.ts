/**
 * The clients of a consensus run: at every node somebody writes, compares and swaps, and reads
 * linearizably, and notes what was asked and answered when. The history is judged at the end.
 */
import type { CID } from 'multiformats/cid';
import type { Chain } from '../chain/chain.ts';
import type { ChainInput, ChainOutcome, Finalised } from '../chain/types.ts';
import { INTENTS_MAX } from '../model/block.ts';
import { isMove } from '../model/change.ts';
import { type Change, createIntent, type Move, type SignedIntent } from '../model/intent.ts';
import { versionCidOf } from '../model/version.ts';
import type { Signer } from '../ports.ts';
import { type Verified, verified } from '../units.ts';
import { citizenChange } from './citizens.ts';
import type { ConsensusTools } from './consensus-tools.ts';
import type { SimNode } from './node.ts';
import type { SimRandom } from './random.ts';
import type { RegisterInput, RegisterOutput } from './register.ts';
import type { HintedOp } from './witness.ts';

const PATHS = 5;

/** Asked, and not answered yet. */
interface Call {
  readonly input: RegisterInput;
  readonly call: number;
}

interface Write {
  readonly author: string;
  readonly sequence: number;
  /** Changes when it is signed anew. */
  digest: string;
  readonly id: string;
  readonly calls: readonly Call[];
  /** The node has said that it will be decided. */
  isAccepted: boolean;
  /** It need not be decided any more: the node has lost part of its disk, or refused it. */
  isExcused: boolean;
  isDone: boolean;
}

interface Read {
  readonly call: Call;
  /** The height that the answer must have; undefined until the custodians have said. */
  height: number | undefined;
}

type History = HintedOp<RegisterInput, RegisterOutput>;

export interface ClientDeps {
  readonly toolsOf: (node: SimNode) => ConsensusTools;
  readonly chainOf: (node: SimNode) => Chain | undefined;
  readonly submit: (node: SimNode, input: ChainInput) => void;
}

export class Clients {
  readonly #deps: ClientDeps;
  /** By node id, what its clients have asked to be written, in the order of asking. */
  readonly #writes = new Map<string, Write[]>();
  /** By node id and name, reads of the present run. */
  readonly #reads = new Map<string, Map<string, Read>>();
  readonly #history: History[] = [];
  /** Digests of all intents that clients have signed. */
  readonly submitted = new Set<string>();
  #serial = 0;
  readonly counts = { writes: 0, reads: 0, cancelled: 0 };

  constructor(deps: ClientDeps) {
    this.#deps = deps;
  }

  /** One piece of work at a node. */
  act(node: SimNode, random: SimRandom): void {
    if (random.chance(0.3)) return this.#read(node, random);
    const burst = random.chance(0.15) ? random.between(2, 6) : 1;
    const first = this.#deps.chainOf(node)?.nextSequence(node.nodeId);
    if (first === undefined) return;
    for (let i = 0; i < burst; i += 1) this.write(node, first + i, random);
  }

  /** What changes nothing, so that there is something to decide; or a write. */
  write(node: SimNode, sequence: number, random: SimRandom): void {
    const count = random.chance(0.1) ? 2 : 1;
    const paths = new Set(Array.from({ length: count }, () => pathOf(random)));
    // An intent is atomic: only one that cannot be refused splits into operations by path.
    const changes = [...paths].map((path) => this.#changeOf(node, path, paths.size > 1, random));
    const signed = this.#sign(node, sequence, changes);
    if (signed === undefined) return;
    const call = node.world.clock.now();
    const calls = signed.intent.changes
      .filter(isMove)
      .map((change) => ({ input: inputOf(change), call }));
    const { id, digest } = signed;
    const flags = { isAccepted: false, isExcused: false, isDone: false };
    const author = node.nodeId;
    this.#writesOf(author).push({ author, sequence, digest, id, calls, ...flags });
    this.counts.writes += 1;
    this.#deps.submit(node, { type: 'submit', intents: [signed] });
  }

  /** Something about rights, or where not everybody may write; at times past the own node. */
  rule(node: SimNode, random: SimRandom): void {
    const chain = this.#deps.chainOf(node);
    const sequence = chain?.nextSequence(node.nodeId);
    if (chain === undefined || sequence === undefined) return;
    const view = {
      node,
      heads: (path: string) => chain.ref(path)?.heads ?? [],
      anchor: (label: string) => chain.anchor(node.nodeId, label)?.digest,
    };
    const signed = this.#sign(node, sequence, [citizenChange(view, random)]);
    if (signed === undefined) return;
    if (random.chance(0.4)) {
      // Its own node would refuse much of it at once.
      const other = random.pick(node.world.nodes)!;
      const message = verified({ type: 'intents' as const, intents: [signed] });
      if (other.isUp) this.#deps.submit(other, { type: 'message', from: node.nodeId, message });
      return;
    }
    const { id, digest } = signed;
    const flags = { isAccepted: false, isExcused: false, isDone: false };
    this.#writesOf(node.nodeId).push({
      author: node.nodeId,
      sequence,
      digest,
      id,
      calls: [],
      ...flags,
    });
    this.#deps.submit(node, { type: 'submit', intents: [signed] });
  }

  /** Takes back the oldest intent that is still pending, as an operator may. */
  cancel(node: SimNode): void {
    const pending = this.#deps.chainOf(node)?.pending().at(0);
    if (pending === undefined) return;
    const { sequence } = pending.signed.intent;
    const signed = this.#sign(node, sequence, []);
    if (signed === undefined) return;
    this.counts.cancelled += 1;
    this.#deps.submit(node, { type: 'submit', intents: [signed] });
  }

  told(node: SimNode, outcome: ChainOutcome): void {
    switch (outcome.type) {
      case 'accepted':
        for (const write of this.#find(node, outcome.digest)) write.isAccepted = true;
        break;
      case 'refused':
        this.#drop(node, this.#find(node, outcome.digest));
        break;
      case 'finalised':
        this.#finalised(node, outcome);
        this.#answer(node);
        break;
      case 'read-index': {
        const read = this.#reads.get(node.nodeId)?.get(outcome.id);
        if (read !== undefined) read.height = outcome.height;
        this.#answer(node);
        break;
      }
      case 'retired-epoch':
        this.#signAnew(node, outcome.intents);
        break;
      case 'read-failed':
        this.#reads.get(node.nodeId)?.delete(outcome.id);
        break;
      default:
    }
  }

  /** The node has started anew: nobody waits for the answers to what was read before. */
  booted(node: SimNode): void {
    this.#reads.delete(node.nodeId);
  }

  /** Part of the disk is lost: so may be intents that were accepted. */
  excuse(node: SimNode): void {
    for (const write of this.#writesOf(node.nodeId)) write.isExcused = true;
  }

  /** An intent that was accepted and is not decided, though it must be. */
  undecided(node: SimNode, isDecided: (author: string, sequence: number) => boolean): boolean {
    return this.#writesOf(node.nodeId).some(
      ({ author, sequence, isAccepted, isExcused, isDone }) =>
        isAccepted && !isExcused && !isDone && !isDecided(author, sequence),
    );
  }

  /**
   * All that was asked and answered, with what was never answered.
   * @param placeOf where the chain has decided an intent; undefined: nowhere, so it never happened.
   */
  history(placeOf: (digest: string) => number | undefined): History[] {
    const open = [...this.#writes.values()].flat().filter(({ isDone }) => !isDone);
    const unknown = open.flatMap(({ digest, calls }) => {
      const order = placeOf(digest);
      if (order === undefined) return [];
      return calls.map((call): History => {
        return { ...call, client: 0, output: undefined, return: Infinity, order };
      });
    });
    return [...this.#history, ...unknown];
  }

  #read(node: SimNode, random: SimRandom): void {
    this.#serial += 1;
    const id = `read ${this.#serial}`;
    const input: RegisterInput = { type: 'read', path: pathOf(random) };
    const reads = this.#reads.get(node.nodeId) ?? new Map<string, Read>();
    this.#reads.set(node.nodeId, reads);
    reads.set(id, { call: { input, call: node.world.clock.now() }, height: undefined });
    this.#deps.submit(node, { type: 'read-index', id });
  }

  #changeOf(node: SimNode, path: string, isBlind: boolean, random: SimRandom): Move {
    const heads = this.#headsOf(node, path);
    const compares = !isBlind && random.chance(0.6);
    const expected = compares && heads.length <= 1 ? (heads[0] ?? null) : undefined;
    this.#serial += 1;
    return {
      path,
      version: versionCidOf(Buffer.from(`${node.nodeId} ${this.#serial}`)),
      parents: heads,
      generation: 1,
      ...(expected === undefined ? {} : { expected }),
    };
  }

  #sign(
    node: SimNode,
    sequence: number,
    changes: readonly Change[],
  ): Verified<SignedIntent> | undefined {
    const identity = this.#identityOf(node);
    if (identity === undefined) return undefined;
    const { signer, keyEpoch } = identity;
    const intent = { author: node.nodeId, sequence, time: node.now(), changes, keyEpoch };
    const signed = createIntent(intent, this.#deps.toolsOf(node).cluster, signer);
    this.submitted.add(signed.digest);
    return signed;
  }

  /** Undefined: the identity key in force, as the node knows it, is not in its home. */
  #identityOf(node: SimNode): { readonly signer: Signer; readonly keyEpoch: number } | undefined {
    const roster = this.#deps.chainOf(node)?.roster;
    const keyEpoch = roster?.keyEpochOf(node.nodeId) ?? 0;
    const key = roster?.identityKey(node.nodeId, keyEpoch);
    const signer = key && this.#deps.toolsOf(node).home.signer(key);
    return signer && { signer, keyEpoch };
  }

  /** A2: what waits under a retired key is signed anew, under the same id. */
  #signAnew(node: SimNode, retired: readonly SignedIntent[]): void {
    const intents = retired.flatMap(({ id, intent: { sequence, changes } }) => {
      const signed = this.#sign(node, sequence, changes);
      if (signed === undefined) return [];
      for (const write of this.#writesOf(node.nodeId)) {
        if (write.id === id && write.sequence === sequence) write.digest = signed.digest;
      }
      return [signed];
    });
    if (intents.length > 0) this.#deps.submit(node, { type: 'submit', intents, replaces: true });
  }

  #headsOf(node: SimNode, path: string): readonly CID[] {
    const state = this.#deps.chainOf(node)?.ref(path);
    return (state?.heads ?? []).map(({ version }) => version);
  }

  #writesOf(nodeId: string): Write[] {
    const writes = this.#writes.get(nodeId) ?? [];
    this.#writes.set(nodeId, writes);
    return writes;
  }

  #find(node: SimNode, digest: string): Write[] {
    return this.#writesOf(node.nodeId).filter((write) => write.digest === digest);
  }

  #drop(node: SimNode, dropped: readonly Write[]): void {
    const kept = this.#writesOf(node.nodeId).filter((write) => !dropped.includes(write));
    this.#writes.set(node.nodeId, kept);
  }

  #finalised(node: SimNode, { receipts }: Finalised): void {
    const now = node.world.clock.now();
    for (const { author, sequence, id, result, height, index } of receipts) {
      if (author !== node.nodeId) continue;
      for (const write of this.#writesOf(author)) {
        if (write.sequence !== sequence || write.isDone) continue;
        write.isDone = true;
        // Another intent of the same sequence was decided: this one never will be.
        if (write.id !== id) continue;
        const output = { isDone: result !== 'refused' };
        // Of several paths, one with too many heads refuses all; the others say nothing then.
        if (!output.isDone && write.calls.length > 1) continue;
        const order = placeAt(height, index);
        for (const call of write.calls) {
          this.#history.push({ ...call, client: 0, output, return: now, order });
        }
      }
    }
  }

  /** Answers the reads whose height this node has reached. */
  #answer(node: SimNode): void {
    const reads = this.#reads.get(node.nodeId);
    const chain = this.#deps.chainOf(node);
    if (reads === undefined || chain === undefined) return;
    for (const [id, { call, height }] of reads) {
      if (height === undefined || chain.height < height) continue;
      reads.delete(id);
      this.counts.reads += 1;
      const heads = this.#headsOf(node, call.input.path).map(String).toSorted();
      const order = placeAt(chain.height, INTENTS_MAX);
      const now = node.world.clock.now();
      this.#history.push({ ...call, client: 0, output: { heads }, return: now, order });
    }
  }
}

/** Where in the chain: an intent of a block, or a read after all of them. */
export const placeAt = (height: number, index: number): number =>
  height * (INTENTS_MAX + 1) + index;

const pathOf = (random: SimRandom): string => `doc ${random.between(1, PATHS)}`;

const inputOf = ({ path, version, parents, expected }: Move): RegisterInput => ({
  type: 'write',
  path,
  version: version.toString(),
  parents: parents.map(String),
  expected: expected === undefined || expected === null ? expected : expected.toString(),
});
