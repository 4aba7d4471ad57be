/**
 * Hand-overs (E1): what a node keeps leads from the custodians of the genesis to those of its tip,
 * each step shown by a certificate of those before it, with no line of `chain/` that does the same.
 */
import type { Chain } from '../chain/chain.ts';
import { decodeCertificate, verifyCertificate } from '../consensus/certificate.ts';
import type { VoteScheme } from '../consensus/scheme.ts';
import { sha256Hex } from '../crypto/hash.ts';
import { type Block, readHeader } from '../model/block.ts';
import { custodiansDigest } from '../model/custodians.ts';
import type { SimCluster } from './consensus-tools.ts';
import type { SimNode } from './node.ts';
import { SimFailure } from './scenario.ts';
import type { Truth } from './truth.ts';

interface HandoverContext {
  readonly cluster: SimCluster;
  readonly truth: Truth;
  readonly verifier: VoteScheme;
}

/** @throws {SimFailure} */
export function checkHandovers(
  { options }: SimNode,
  chain: Chain,
  { cluster, truth, verifier }: HandoverContext,
  blockAt: (height: number) => Block | undefined,
): void {
  const fail = (what: string): never => {
    throw new SimFailure(`handovers: ${options.name} ${what}`);
  };
  const kept = chain.handovers(0);
  const wanted = truth.handovers().filter((height) => height <= chain.height);
  const heights = kept.map(({ height }) => height);
  if (heights.join() !== wanted.join())
    fail(`keeps ${heights.join()}, and epochs end at ${wanted.join()}`);
  for (const { height, header, certificate, custodians } of kept) {
    const shown = decodeCertificate(certificate);
    const digest = sha256Hex(header);
    const isIts = shown.height === height && shown.digest === digest && shown.phase === 'commit';
    if (!isIts || digest !== blockAt(height)?.digest) fail(`has another block at ${height}`);
    if (!verifyCertificate(shown, verifier, cluster.clusterId)) fail(`cannot show ${height}`);
    const isNamed = Buffer.compare(custodiansDigest(custodians), readHeader(header).custodians);
    const isTrue = Buffer.compare(custodiansDigest(custodians), truth.at(height + 1).digest);
    if (isNamed !== 0 || isTrue !== 0) fail(`names others than decide after ${height}`);
  }
}
