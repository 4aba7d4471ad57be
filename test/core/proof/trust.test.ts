import { describe, expect, it } from 'vitest';
import { sha256Hex } from '../../../src/core/crypto/hash.ts';
import { decode, encode } from '../../../src/core/model/cbor.ts';
import { buildProof, lineageOf, pathClaim } from '../../../src/core/proof/build.ts';
import { encodeProof, PROOF_LIMITS, readProof } from '../../../src/core/proof/codec.ts';
import { verifyProof } from '../../../src/core/proof/verifier.ts';
import { entryOf, History, sorted } from './support/history.ts';
import { makeDirectory } from './support/proofs.ts';

const PATH = 'notes/plan.md';

/** Four epochs, each of a few blocks; the path is written in the first and in the last. */
function live(seed: string, custodians = 4): History {
  const history = new History(seed, custodians);
  history.write(PATH);
  history.block();
  for (let n = 0; n < 3; n += 1) {
    history.rotate();
    history.block();
  }
  history.write(PATH);
  history.block();
  return history;
}

const valueClaim = (history: History) => {
  const key = history.names.refKey(PATH);
  const [head] = history.paths.get(PATH)!.heads;
  return pathClaim(PATH, { ...history.tree.prove(key), value: history.tree.get(key)! }, [
    head!.bytes,
  ]);
};

function proofOf(history: History, trusted?: History['tip']): Uint8Array {
  return buildProof({
    clusterId: history.clusterId,
    custodians: history.first.map(entryOf),
    handovers: history.handovers,
    checkpoint: trusted,
    tip: history.tip,
    claims: [valueClaim(history)],
  });
}

const checkpointAt = ({ height, header }: History['tip']) => ({
  height,
  digest: sha256Hex(header),
});

describe('a checkpoint', () => {
  const history = live('checkpoint');
  const { genesis } = history;

  it('may be any block, the last one too', () => {
    const version = history.paths.get(PATH)!.heads[0]!;
    for (const block of history.blocks) {
      const checkpoint = checkpointAt(block);
      const verdict = verifyProof(proofOf(history, block), genesis, { checkpoint });
      const later = history.handovers.filter(({ height }) => height > block.height).length;
      const isTip = block === history.tip;
      expect(verdict).toMatchObject({
        height: history.tip.height,
        certificates: later + (isTip ? 0 : 1),
      });
      expect(verdict.claims).toMatchObject([{ version: { cid: version.cid, isHead: true } }]);
    }
  });

  it('may be a hand-over of a proof that was made without one', () => {
    const bytes = proofOf(history);
    const { certificates } = verifyProof(bytes, genesis);
    expect(certificates).toBe(4);
    for (const [n, { block }] of history.handovers.entries()) {
      const checkpoint = checkpointAt(block);
      expect(verifyProof(bytes, genesis, { checkpoint }).certificates).toBe(certificates - n - 1);
    }
  });

  it('is the beginning of trust: a proof made for one holds for nobody without it', () => {
    const bytes = proofOf(history, history.blocks[3]);
    expect(() => verifyProof(bytes, genesis)).toThrow('has no certificate');
  });

  it('keeps out a history that retired keys have forged', () => {
    // All keys of the first epoch are stolen, after they were retired.
    const forged = new History('checkpoint');
    forged.block();
    forged.write(PATH);
    forged.block();
    const bytes = proofOf(forged);
    expect(forged.genesis).toEqual(genesis);
    expect(verifyProof(bytes, genesis).claims).toHaveLength(1);
    const checkpoint = checkpointAt(history.blocks[4]!);
    expect(() => verifyProof(bytes, genesis, { checkpoint })).toThrow('has no link of height');
    const mixed = readProof(proofOf(history, history.blocks[4]));
    const last = readProof(bytes).links.at(-1)!;
    const height = history.tip.height + 1;
    const header = encode({ ...(decode(last.header, { maxBytes: 1024 }) as object), height });
    const place = { header, height, custodians: history.first };
    const certificate = history.certify(place, history.first);
    const links = [...mixed.links.slice(0, -1), { header, certificate }];
    const put = encodeProof({ ...mixed, links, claims: readProof(bytes).claims });
    expect(() => verifyProof(put, genesis, { checkpoint })).toThrow(
      /does not hold|other custodians/,
    );
  });
});

it.each([1, 3, 4, 7, 40])('%i custodians: a quorum is all but a third of the others', (count) => {
  const history = new History(`${count} custodians`, count);
  history.write(PATH);
  history.block();
  const proof = readProof(proofOf(history));
  const { tip, first } = history;
  const quorum = count - Math.floor((count - 1) / 3);
  const signedBy = (n: number) => {
    const certificate = history.certify(tip, sorted(history.chance.shuffled(first).slice(0, n)));
    return encodeProof({ ...proof, links: [{ header: tip.header, certificate }] });
  };
  expect(verifyProof(signedBy(quorum), history.genesis).height).toBe(tip.height);
  expect(verifyProof(signedBy(count), history.genesis).height).toBe(tip.height);
  if (quorum === 1) return;
  expect(() => verifyProof(signedBy(quorum - 1), history.genesis)).toThrow('too few signers');
});

it('a recovered cluster goes on with the names of the oldest one', () => {
  const old = live('recovered');
  const value = decode(old.genesis, { maxBytes: 1 << 20 }) as object;
  const genesis = encode({ ...value, origin: { names: old.names.key, height: 7 } });
  // Its blocks are of another cluster, so that this proof is none of it.
  expect(() => verifyProof(proofOf(old), genesis)).toThrow('of another cluster than the genesis');
  const recovered = new History('recovered', 4, old.names.key);
  recovered.write(PATH);
  recovered.block();
  expect(recovered.names.refKey(PATH)).toBe(old.names.refKey(PATH));
  expect(verifyProof(proofOf(recovered), recovered.genesis).claims).toMatchObject([{ path: PATH }]);
});

it('bytes that are no genesis are told apart from bytes that are no proof', () => {
  const history = live('genesis');
  const bytes = proofOf(history);
  for (const genesis of [bytes, new Uint8Array(), encode({ v: 3, type: 'genesis' }), encode([])]) {
    expect(() => verifyProof(bytes, genesis)).toThrow(
      expect.objectContaining({ code: 'BAD_ENCODING' }),
    );
  }
  expect(() => verifyProof(history.genesis, history.genesis)).toThrow(
    expect.objectContaining({ code: 'BAD_PROOF' }),
  );
});

describe('a directory', () => {
  it('of many paths is proved whole', () => {
    const history = new History('directories');
    for (let n = 0; n < 120; n += 1) history.write(`many/path ${n}`);
    history.block();
    const parts = { clusterId: history.clusterId, custodians: [], handovers: [], tip: history.tip };
    let seen = 0;
    for (let n = 0; n < 8; n += 1) {
      const { claim, says } = makeDirectory(history);
      const [found] = verifyProof(
        buildProof({ ...parts, claims: [claim] }),
        history.genesis,
      ).claims;
      if (found?.type !== 'directory' || says.type !== 'directory') throw new Error('no directory');
      expect(found.values.map(({ path }) => path)).toEqual(says.values);
      seen += found.values.length;
    }
    expect(seen).toBeGreaterThan(120);
  });
});

describe('a lineage', () => {
  const graph = new Map([
    ['d', { parents: ['c', 'b'], bytes: Uint8Array.of(4) }],
    ['c', { parents: ['b'], bytes: Uint8Array.of(3) }],
    ['b', { parents: ['a'], bytes: Uint8Array.of(2) }],
    ['x', { parents: [], bytes: Uint8Array.of(9) }],
  ]);
  const get = (cid: string) => graph.get(cid);
  const way = (heads: string[], wanted: string) =>
    lineageOf(heads, wanted, get).map(([one]) => one);

  it('is a shortest way from a head down', () => {
    expect(way(['d'], 'd')).toEqual([4]);
    expect(way(['d'], 'b')).toEqual([4, 2]);
    expect(way(['x', 'c'], 'b')).toEqual([3, 2]);
  });

  it('is none where a record is missing, or where no head goes back so far', () => {
    expect(way(['d'], 'a')).toEqual([]);
    expect(way(['d'], 'x')).toEqual([]);
    expect(way([], 'd')).toEqual([]);
  });

  it('has an end', () => {
    const placed = { siblings: [], value: new Uint8Array() };
    const versions = Array.from({ length: PROOF_LIMITS.lineageMax + 1 }, () => new Uint8Array());
    expect(() => pathClaim('a', placed, versions)).toThrow('more than 1024 versions old');
  });
});
