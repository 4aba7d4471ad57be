/**
 * Proofs of a generated history, and what each of them says: for every verifier that there is. The
 * same seed gives the same proofs, to the byte.
 */
import { sha256Hex } from '../../../../src/core/crypto/hash.ts';
import type { Checkpoint } from '../../../../src/core/model/checkpoint.ts';
import {
  buildProof,
  directoryClaim,
  lineageOf,
  pathClaim,
} from '../../../../src/core/proof/build.ts';
import type { Claim } from '../../../../src/core/proof/types.ts';
import { type Chance, entryOf, History, type Written } from './history.ts';

/** What a claim says, in plain values. CIDs are texts. */
export type Said =
  | {
      readonly type: 'value';
      readonly path: string;
      readonly generation: number;
      readonly erased: boolean;
      /** `CID generation`, and ` deleted` where it is so. */
      readonly heads: readonly string[];
      /** The version that it is about, and the root of its content. */
      readonly version: string | null;
      readonly root: string | null;
    }
  | { readonly type: 'absence'; readonly path: string }
  | {
      readonly type: 'directory';
      readonly path: string;
      /** Paths, in the order of their UTF-16 code units, as are the directories. */
      readonly values: readonly string[];
      readonly directories: readonly string[];
      readonly erased: number;
    };

export interface GeneratedProof {
  readonly bytes: Uint8Array;
  readonly genesis: Uint8Array;
  /** With which it is to be verified. */
  readonly checkpoint?: Checkpoint;
  readonly says: {
    readonly height: number;
    readonly time: number;
    readonly digest: string;
    readonly claims: readonly Said[];
  };
}

export interface GenerateOptions {
  readonly seed: string;
  /** Claims in all. @default 1000 */
  readonly claims?: number;
  /** Of memberships. @default 5 */
  readonly epochs?: number;
  /** Changes of one consensus key. @default 20 */
  readonly rotations?: number;
  /** Writes in the first epoch; a quarter of them in each later one. @default 160 */
  readonly writes?: number;
  /** Claims of one proof, at most. @default 16 */
  readonly perProof?: number;
}

export interface Generated {
  readonly history: History;
  readonly proofs: readonly GeneratedProof[];
}

const WORDS = ['a', 'notes', 'plan.md', 'été', 'x'.repeat(60), '2026', 'www', 'b', 'keys', '🙂'];
export function generateProofs(options: GenerateOptions): Generated {
  const { seed, claims = 1000, epochs = 5, rotations = 20 } = options;
  const { writes = 160, perProof = 16 } = options;
  const history = new History(seed);
  const { chance } = history;
  const proofs: GeneratedProof[] = [];
  let left = claims;
  for (let epoch = 1; epoch <= epochs; epoch += 1) {
    if (epoch > 1) history.changeMembers();
    live(history, epoch === 1 ? writes : writes / 4);
    const upTo = Math.round((rotations * epoch) / epochs);
    for (let n = Math.round((rotations * (epoch - 1)) / epochs); n < upTo; n += 1) history.rotate();
    // The last block of an epoch may be what is proved, too.
    if (epoch % 2 === 1) history.block();
    const upToNow = Math.round((claims * (epochs - epoch)) / epochs);
    while (left > upToNow) {
      const count = Math.min(1 + chance.below(perProof), left - upToNow);
      proofs.push(prove(history, count));
      left -= count;
    }
  }
  return { history, proofs };
}

/** Something happens to many paths. */
function live(history: History, times: number): void {
  const { chance } = history;
  for (let n = 0; n < times; n += 1) {
    const known = [...history.paths.keys()];
    const old = known.filter((path) => !history.paths.get(path)!.isErased);
    const kind = chance.below(12);
    if (kind < 6 || old.length === 0) history.write(newPath(chance));
    else if (kind < 9) history.write(chance.pick(old));
    else if (kind === 9) history.write(chance.pick(old), 'conflict');
    else if (kind === 10) history.write(chance.pick(old), 'deletion');
    else if (chance.below(2) === 0) history.erase(chance.pick(old));
    else history.putAccount();
  }
}

const newPath = (chance: Chance): string => {
  const parts = Array.from({ length: 1 + chance.below(4) }, () => chance.pick(WORDS));
  return [...parts.slice(1), `${parts[0]}${chance.below(60)}`].join('/');
};

function prove(history: History, count: number): GeneratedProof {
  const { chance, tip } = history;
  const made = Array.from({ length: count }, () => makeClaim(history));
  const trusted = chance.below(4) === 0 ? chance.pick(history.blocks) : undefined;
  const bytes = buildProof({
    clusterId: history.clusterId,
    custodians: history.first.map(entryOf),
    handovers: history.handovers,
    ...(trusted === undefined
      ? {}
      : { checkpoint: { height: trusted.height, header: trusted.header } }),
    tip,
    claims: made.map(({ claim }) => claim),
  });
  const digest = sha256Hex(tip.header);
  const said = made.map(({ says }) => says);
  const says = { height: tip.height, time: tip.time, digest, claims: said };
  const { genesis } = history;
  if (trusted === undefined) return { bytes, genesis, says };
  const checkpoint = { height: trusted.height, digest: sha256Hex(trusted.header) };
  return { bytes, genesis, checkpoint, says };
}

interface Made {
  readonly claim: Claim;
  readonly says: Said;
}

function makeClaim(history: History): Made {
  const kind = history.chance.below(10);
  if (kind < 5) return makeValue(history, history.chance.pick([...history.paths.keys()]));
  return kind < 7 ? makeAbsence(history) : makeDirectory(history);
}

function makeValue(history: History, path: string): Made {
  const { chance, names, tree } = history;
  const { heads, isErased } = history.paths.get(path)!;
  const key = names.refKey(path);
  const all = ancestorsOf(history, heads);
  const wanted = chance.below(5) === 0 ? undefined : chance.pick(all);
  const claim = pathClaim(
    path,
    { ...tree.prove(key), value: tree.get(key)! },
    wanted === undefined ? [] : lineage(history, path, wanted),
  );
  const says: Said = {
    ...{ type: 'value', path, erased: isErased },
    generation: Math.max(...heads.map((head) => head.generation)),
    heads: heads.map(
      ({ cid, generation, deleted }) =>
        `${cid.toString()} ${generation}${deleted ? ' deleted' : ''}`,
    ),
    version: wanted?.cid.toString() ?? null,
    root: wanted?.root.toString() ?? null,
  };
  return { claim, says };
}

/** The heads, and all that they go back to. */
function ancestorsOf({ versions }: History, heads: readonly Written[]): Written[] {
  const found = new Set(heads);
  for (const { parents } of found) {
    for (const parent of parents) found.add(versions.get(parent.toString())!);
  }
  return [...found];
}

function lineage({ versions, paths }: History, path: string, wanted: Written): Uint8Array[] {
  const heads = paths.get(path)!.heads.map(({ cid }) => cid.toString());
  return lineageOf(heads, wanted.cid.toString(), (cid) => {
    const found = versions.get(cid);
    return found && { parents: found.parents.map(String), bytes: found.bytes };
  });
}

function makeAbsence(history: History): Made {
  const { chance, names, tree } = history;
  const near = chance.pick([...history.paths.keys()]);
  const candidates = [`${near}.`, `${near}/${chance.below(1e6)}`, `nowhere/${chance.below(1e6)}`];
  const directory = names.directories(near)[0];
  // A directory is no path.
  const free = directory === undefined || history.paths.has(directory) ? [] : [directory];
  const path = chance.pick([...candidates, `${chance.below(1e9)}`, ...free]);
  const claim = pathClaim(path, { ...tree.prove(names.refKey(path)), value: undefined }, []);
  return { claim, says: { type: 'absence', path } };
}

export function makeDirectory(history: History): Made {
  const { chance, names } = history;
  const known = [...history.paths.keys()].flatMap((path) => names.directories(path));
  const path = chance.pick(['', `none${chance.below(1000)}`, ...known]);
  const tag = names.tagOf(path);
  const inside = [...history.paths].filter(([one]) => parentOf(one) === path);
  const below = [...new Set(known)].filter((one) => parentOf(one) === path);
  const keys = [
    ...inside.map(([one]) => names.refKey(one)),
    ...below.map((one) => names.markKey(one)),
  ];
  const leaves = keys.toSorted().map((key) => ({ key, value: history.tree.get(key)! }));
  const { siblings, other } = history.tree.prove(tag.padEnd(64, '0'));
  const beside = other === undefined || other.key.startsWith(tag) ? {} : { other };
  const claim = directoryClaim(path, { siblings: siblings.slice(0, 64), ...beside, leaves });
  const named = inside.filter(([, { isErased }]) => !isErased).map(([one]) => one);
  const erased = inside.length - named.length;
  const values = named.toSorted();
  return {
    claim,
    says: { type: 'directory', path, values, directories: below.toSorted(), erased },
  };
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));
