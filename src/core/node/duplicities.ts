/**
 * Evidence that a node has two successions (docs/keys.md, S8), as operators are shown it: one piece
 * a node, seen in hello or final in a block. What comes of it, roster and introductions say.
 */
import { assert } from '../assert.ts';
import type { Finalised } from '../chain/chain.ts';
import type { Roster } from '../chain/roster.ts';
import { decode } from '../model/cbor.ts';
import { createDuplicity, DUPLICITY_BYTES_MAX, readDuplicity } from '../model/statement.ts';
import type { SignedSuccession } from '../model/succession.ts';
import type { ChainStore } from '../storage/chain-store.ts';

export const DUPLICITIES_TABLE = 'node/duplicities';

export interface Duplicity {
  readonly nodeId: string;
  /** Of the two entries. */
  readonly number: number;
  /** Their digests. */
  readonly digests: readonly [string, string];
  readonly bytes: Uint8Array;
}

export class Duplicities {
  readonly #store: Pick<ChainStore, 'commit'>;
  readonly #all: Map<string, Duplicity>;

  private constructor(store: Pick<ChainStore, 'commit'>, all: Map<string, Duplicity>) {
    this.#store = store;
    this.#all = all;
  }

  static async open(store: Pick<ChainStore, 'commit' | 'scan'>): Promise<Duplicities> {
    const rows = await store.scan(DUPLICITIES_TABLE);
    return new Duplicities(store, new Map(rows.map(({ key, value }) => [key, readRow(value)])));
  }

  all(): readonly Duplicity[] {
    return [...this.#all.values()];
  }

  get count(): number {
    return this.#all.size;
  }

  /** The first one of a node is kept. @returns whether it is news. */
  keep(bytes: Uint8Array): boolean {
    const found = readRow(bytes);
    if (this.#all.has(found.nodeId)) return false;
    this.#all.set(found.nodeId, found);
    // Others have it, too: a failure costs the row until it is seen again.
    const row = { table: DUPLICITIES_TABLE, key: found.nodeId, value: bytes };
    this.#store.commit([row]).catch(() => {});
    return true;
  }

  /** What a final block holds of it. @returns nodes of which it is news. */
  learn({ signed, receipts }: Finalised, roster: Pick<Roster, 'get'>): string[] {
    return signed.flatMap(({ statement, bytes }, n) => {
      if (statement?.type === 'duplicity') {
        return receipts[n]?.result === 'done' && this.keep(bytes) ? [statement.nodeId] : [];
      }
      if (statement?.type !== 'succession') return [];
      const { nodeId } = statement.signed.succession;
      const evidence = contradiction(statement.signed, roster.get(nodeId));
      return evidence !== undefined && this.keep(evidence) ? [nodeId] : [];
    });
  }
}

/** An entry that contradicts the final one freezes its node by itself. */
function contradiction(
  entry: SignedSuccession,
  member: ReturnType<Roster['get']>,
): Uint8Array | undefined {
  const { number, previous } = entry.succession;
  const final = member?.succession.find(({ succession }) => succession.number === number);
  if (member?.isFrozen !== true || final === undefined || final.digest === entry.digest) {
    return undefined;
  }
  const isOnePlace = Buffer.compare(final.succession.previous, previous) === 0;
  const isOneSigner = Buffer.compare(final.succession.revealed, entry.succession.revealed) === 0;
  return isOnePlace && isOneSigner ? createDuplicity(final, entry) : undefined;
}

function readRow(bytes: Uint8Array): Duplicity {
  const { statement, nodeId } = readDuplicity(
    decode(bytes, { maxBytes: DUPLICITY_BYTES_MAX }),
    bytes,
  );
  assert(statement.type === 'duplicity', 'a duplicity is read as one');
  const { a, b } = statement;
  return { nodeId, number: a.succession.number, digests: [a.digest, b.digest], bytes };
}
