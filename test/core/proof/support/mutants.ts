/**
 * Proofs that show nothing, made of good ones: each says or carries what nobody has agreed on, or
 * is written in another way than it must be. Which one is made follows from the chance alone.
 */
import { sha256Hex } from '../../../../src/core/crypto/hash.ts';
import { decode, encode } from '../../../../src/core/model/cbor.ts';
import type { Checkpoint } from '../../../../src/core/model/checkpoint.ts';
import { CLAIM_MUTATIONS } from './mutant-claims.ts';
import { LINK_MUTATIONS } from './mutant-links.ts';
import { flipped, type Map, type Mutation, plainOf, type Scene } from './mutant-parts.ts';
import type { Generated, GeneratedProof } from './proofs.ts';
import { recoded } from './recode.ts';

export interface Mutant {
  /** What was done to it. */
  readonly what: string;
  readonly bytes: Uint8Array;
  readonly genesis: Uint8Array;
  readonly checkpoint?: Checkpoint | undefined;
}

/** Of the bytes, whatever they are. */
const BYTE_MUTATIONS: Readonly<Record<string, (at: Scene) => Uint8Array>> = {
  'a flipped bit': ({ good, chance }) => flipped(good.bytes, chance),
  'other bytes': ({ good, chance }) => {
    const copy = Uint8Array.from(good.bytes);
    const at = chance.below(copy.length);
    copy.set(chance.bytes(1 + chance.below(Math.min(40, copy.length - at))), at);
    return copy;
  },
  'a cut': ({ good, chance }) => good.bytes.slice(0, chance.below(good.bytes.length)),
  'more bytes': ({ good, chance }) =>
    new Uint8Array(Buffer.concat([good.bytes, chance.bytes(1 + chance.below(9))])),
  'bytes left out': ({ good: { bytes }, chance }) => {
    const at = chance.below(bytes.length);
    const rest = bytes.subarray(at + 1 + chance.below(40));
    return new Uint8Array(Buffer.concat([bytes.subarray(0, at), rest]));
  },
  'another encoding': ({ good, chance }) => recoded(good.bytes, chance),
};

/** Of the record and its fields. */
const RECORD_MUTATIONS: Readonly<Record<string, Mutation>> = {
  'a field that nobody knows': (proof, { chance }) => {
    const target = chance.pick<Map>([
      proof as never,
      chance.pick(proof.links),
      chance.pick(proof.claims),
    ]);
    target['more'] = chance.pick<unknown>([1, 'text', null, new Uint8Array(3)]);
  },
  'another version': (proof, { chance }) => {
    proof.v = chance.pick([0, 2, 99]);
  },
  'another type': (proof) => {
    proof.type = 'genesis';
  },
  'the id of another cluster': (proof) => {
    proof.clusterId = `aegisc1${'b'.repeat(52)}`;
  },
};

const KINDS = [
  ...Object.keys(BYTE_MUTATIONS),
  ...Object.keys(RECORD_MUTATIONS),
  ...Object.keys(LINK_MUTATIONS),
  ...Object.keys(CLAIM_MUTATIONS),
];
const MUTATIONS = { ...RECORD_MUTATIONS, ...LINK_MUTATIONS, ...CLAIM_MUTATIONS };

/** What is asked of a good proof that it cannot say. */
function misplaced(
  good: GeneratedProof,
  { history, chance }: Pick<Scene, 'history' | 'chance'>,
): Mutant {
  const { bytes, genesis } = good;
  const block = chance.pick(history.blocks);
  const digest = sha256Hex(block.header);
  switch (chance.below(4)) {
    case 0: {
      const checkpoint = { height: block.height + 1_000_000, digest };
      return { what: 'a checkpoint above all', bytes, genesis, checkpoint };
    }
    case 1: {
      const { height } = good.says;
      const checkpoint = { height, digest: sha256Hex(chance.bytes(32)) };
      return { what: 'a checkpoint of another history', bytes, genesis, checkpoint };
    }
    case 2: {
      // The last link names no custodians unless it is a hand-over.
      const isHandover = history.handovers.some(({ height }) => height === good.says.height);
      const checkpoint = { height: good.says.height, digest: good.says.digest };
      if (isHandover || good.checkpoint?.height === good.says.height) break;
      return { what: 'a checkpoint without custodians', bytes, genesis, checkpoint };
    }
    default:
  }
  const value = decode(genesis, { maxBytes: 16 * 1024 * 1024 }) as Map;
  const another = encode({ ...value, name: `${chance.below(1e9)}` });
  return { what: 'another genesis', bytes, genesis: another, checkpoint: good.checkpoint };
}

export const MUTATION_NAMES: readonly string[] = KINDS;

/** How often a kind is tried: not every one fits every proof. */
const TRIES = 50;

/** As many as are asked for, without end, each kind as often. */
export function* mutants({ history, proofs }: Generated): Generator<Mutant, never> {
  const { chance } = history;
  for (;;) {
    for (const what of KINDS) {
      const made = makeMutant(what, { history, proofs });
      if (made !== undefined) yield made;
    }
    yield misplaced(chance.pick(proofs), { history, chance });
  }
}

function makeMutant(what: string, { history, proofs }: Generated): Mutant | undefined {
  const { chance } = history;
  for (let n = 0; n < TRIES; n += 1) {
    const good = chance.pick(proofs);
    const elsewhere = proofs.filter(({ says }) => says.height !== good.says.height);
    const other = () => plainOf(chance.pick(elsewhere).bytes);
    const bytes = mutated(what, { chance, history, good, other });
    const { genesis, checkpoint } = good;
    if (Buffer.compare(bytes, good.bytes) !== 0) return { what, bytes, genesis, checkpoint };
  }
  return undefined;
}

function mutated(what: string, scene: Scene): Uint8Array {
  const mutateBytes = BYTE_MUTATIONS[what];
  if (mutateBytes !== undefined) return mutateBytes(scene);
  const proof = plainOf(scene.good.bytes);
  MUTATIONS[what]!(proof, scene);
  return encode(proof);
}
