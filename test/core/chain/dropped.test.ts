/** Blocks of which there were too many, in a cluster that keeps few. */
import { expect, it, vi } from 'vitest';
import { encodeMessage } from '../../../src/core/chain/messages.ts';
import { TABLES } from '../../../src/core/chain/rows.ts';
import { encodeCertificate } from '../../../src/core/consensus/certificate.ts';
import { encodeMessage as encodeVote } from '../../../src/core/consensus/messages.ts';
import { digestMessage } from '../../../src/core/consensus/signed-bytes.ts';
import type { Certificate } from '../../../src/core/consensus/types.ts';
import { TestCluster } from './support/cluster.ts';
import { CLUSTER_ID, intentOf } from './support/fixtures.ts';

vi.mock(import('../../../src/core/chain/limits.ts'), async (importOriginal) => {
  const { LIMITS } = await importOriginal();
  return { LIMITS: { ...LIMITS, undecidedBlocks: 2 as never } };
});

function commitOf(cluster: TestCluster, digest: string): Certificate {
  const place = { phase: 'commit', height: 1, view: 0 } as const;
  const message = digestMessage(CLUSTER_ID, 'commit', 1, 0, digest);
  const signers = [0, 1, 2];
  const signature = cluster.aggregate(signers.map((index) => cluster.shareOf(index, 1, message)));
  return { ...place, digest, signers, signature };
}

it('a block that was dropped and is final after all is fetched again', () => {
  const cluster = new TestCluster({ custodians: 4 });
  const [first, second] = cluster.nodes as [(typeof cluster.nodes)[0], (typeof cluster.nodes)[0]];
  // Nobody sees a quorum of prepare votes, so each view brings another block.
  cluster.isLost = (_from, to, envelope) => {
    const message = cluster.open(to, envelope);
    return message.type === 'consensus' && message.message.type === 'vote';
  };
  cluster.submit(first, intentOf(first.member, 1, { version: 'a' }));
  cluster.runUntil(() => first.table(TABLES.blocks).length > 0);
  const { key, value: block } = first.table(TABLES.blocks)[0]!;
  cluster.runUntil(() => first.table(TABLES.blocks).length > 4);
  expect(first.chain.status().undecided).toBe(2);

  const certificate = commitOf(cluster, key.split('/')[1]!);
  const give = (protocol: string, body: Uint8Array) => {
    const message = cluster.open(first, { to: first.nodeId, protocol, body });
    cluster.give(first, { type: 'message', from: second.nodeId, message });
  };
  give('consensus', encodeVote({ type: 'certificate', certificate }));
  expect(first.chain.height).toBe(0);
  // It takes only what it has asked for.
  const window = { blocks: [block], certificate: encodeCertificate(certificate) };
  give('chain', encodeMessage({ type: 'blocks', from: 1, window }));
  expect(first.chain.height).toBe(1);
  expect(first.chain.tip().digest).toBe(certificate.digest);
  expect(first.table(TABLES.blocks).map((row) => row.key)).toEqual([key]);
});
