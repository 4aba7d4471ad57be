/** Proofs of a real history: blocks executed by the chain, certified by a real key. */
import { expect, it } from 'vitest';
import { FinalViews } from '../../../src/core/chain/final-views.ts';
import { TABLES } from '../../../src/core/chain/rows.ts';
import { sha256Hex } from '../../../src/core/crypto/hash.ts';
import { AegisError } from '../../../src/core/errors.ts';
import { openBlock } from '../../../src/core/model/block.ts';
import { Proofs, type ProofsDeps } from '../../../src/core/node/proofs.ts';
import { verifyProof } from '../../../src/core/proof/verifier.ts';
import { MadeHistory } from '../../helpers/made-history.ts';
import { type Memo, verify } from '../../proof-check/verifier.ts';

const PATHS = 20;
const HEIGHTS = 50;
const { signal } = new AbortController();
const memo: Memo = new Set();

/** How much a claim of either verifier says. */
function counts(claim: object): unknown[] {
  const { type, path, heads, values, paths, directories, erased } = claim as Record<
    string,
    unknown
  >;
  const inside = [heads, values ?? paths, directories].map(
    (list) => (list as unknown[] | undefined)?.length,
  );
  return [type, path, erased, ...inside];
}

/** What a node knows of the history. */
class Node extends FinalViews {
  readonly headers = new Map<number, Uint8Array>();
  readonly made: MadeHistory;

  constructor(made: MadeHistory) {
    super(made.genesis.clusterId, made.ledger);
    this.made = made;
  }

  grow(isLast = false): void {
    for (const { table, value } of this.made.grow(isLast)) {
      if (table !== TABLES.blocks || value === undefined) continue;
      const { header, headerBytes } = openBlock(value);
      this.headers.set(header.height, headerBytes);
    }
  }

  headerOf(height: number): Uint8Array | undefined {
    return this.headers.get(height);
  }

  get proofs(): Proofs {
    const { genesis } = this.made;
    const gone = (): never => {
      throw new AegisError('NOT_FOUND', 'there is no such block here');
    };
    const deps: ProofsDeps = {
      ...{ genesis, chain: this, archive: { block: gone } },
      // The records of these versions have been lost, or have not come yet.
      graph: { get: () => undefined },
      record: () => Promise.reject(new AegisError('TIMEOUT', 'nobody has it')),
    };
    return new Proofs(deps);
  }

  async verdict(query: Parameters<Proofs['make']>[0]) {
    const { proof, height } = await this.proofs.make(query, signal);
    const bytes = new Uint8Array(Buffer.from(proof, 'base64'));
    const [at, digest] = query.checkpoint?.split(':') ?? [];
    const checkpoint = digest === undefined ? undefined : { height: Number(at), digest };
    const verdict = verifyProof(bytes, this.made.genesisBytes, { checkpoint });
    expect(verdict.height).toBe(height);
    // The second verifier sees nothing else in a real history, either.
    const second = verify(bytes, this.made.genesisBytes, { checkpoint, memo });
    expect([second.height, second.digest]).toEqual([height, verdict.digest]);
    expect(second.claims.map(counts)).toEqual(verdict.claims.map(counts));
    return verdict;
  }
}

const node = new Node(new MadeHistory({ paths: PATHS }));
for (let height = 1; height <= HEIGHTS; height += 1) node.grow();
const query = (path: string, more = {}) => ({ path, directory: false, recursive: false, ...more });

it('proves what the chain holds of a path, though its record is not here', async () => {
  for (let height = HEIGHTS - PATHS + 1; height <= HEIGHTS; height += 1) {
    const path = node.made.pathAt(height);
    const { claims, ...verdict } = await node.verdict(query(path));
    const heads = node.ref(path)!.heads.map((head) => ({ ...head, deleted: false }));
    expect(claims).toEqual([
      { type: 'value', path, generation: heads[0]!.generation, heads, isErased: false },
    ]);
    expect(verdict).toMatchObject({ height: HEIGHTS, digest: node.tip().digest, certificates: 1 });
  }
});

it('proves that a path holds nothing', async () => {
  for (const path of ['notes/20.md', 'notes', 'notes/1.md/below', 'x']) {
    expect((await node.verdict(query(path))).claims).toEqual([{ type: 'absence', path }]);
  }
});

it('proves a directory, and all below it', async () => {
  const all = await node.verdict(query('', { directory: true, recursive: true }));
  expect(all.claims).toMatchObject([
    { type: 'directory', path: '', directories: ['notes'], values: [] },
    { type: 'directory', path: 'notes', directories: [] },
  ]);
  const notes = await node.verdict(query('notes/', { directory: true }));
  const [claim] = notes.claims;
  const names = claim?.type === 'directory' ? claim.values.map(({ path }) => path) : [];
  const written = Array.from({ length: PATHS }, (_, n) => `notes/${n}.md`);
  expect(names).toEqual(written.toSorted());
  const none = await node.verdict(query('none', { directory: true, recursive: true }));
  expect(none.claims).toMatchObject([{ values: [], directories: [] }]);
});

it('begins at a checkpoint that is here, and of this history', async () => {
  const digest = sha256Hex(node.headers.get(7)!);
  const made = await node.verdict(query('x', { checkpoint: `7:${digest}` }));
  expect(made.certificates).toBe(1);
  const refused = (checkpoint: string) =>
    expect(node.proofs.make(query('x', { checkpoint }), signal)).rejects;
  await refused(`8:${digest}`).toMatchObject({ code: 'CHECK_FAILED' });
  await refused(`51:${digest}`).toMatchObject({ code: 'NOT_FOUND' });
  await refused(digest).toMatchObject({ code: 'BAD_REQUEST' });
});

it('knows what it cannot prove', async () => {
  const version = node.ref('notes/1.md')!.heads[0]!.version.toString();
  const older = node.proofs.make(query('notes/1.md', { version }), signal);
  await expect(older).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(node.proofs.make(query('a//b'), signal)).rejects.toMatchObject({
    code: 'BAD_REQUEST',
  });
  const fresh = new Node(new MadeHistory({ certifyEvery: 5 }));
  const early = expect(fresh.proofs.make(query('x'), signal)).rejects;
  await early.toMatchObject({ code: 'TRY_AGAIN', message: 'nothing is final yet' });
  fresh.grow();
  // Y1: in the middle of a window.
  const between = expect(fresh.proofs.make(query('x'), signal)).rejects;
  await between.toMatchObject({ code: 'TRY_AGAIN' });
  fresh.grow(true);
  expect((await fresh.verdict(query('x'))).height).toBe(2);
});
