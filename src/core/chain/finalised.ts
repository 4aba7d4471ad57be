/** What the owner hears of a final block, and of one that this node cannot agree with. */
import type { Certificate } from '../consensus/types.ts';
import type { ExecutedBlock, Judgement } from './block-rules.ts';
import type { OpenedBlock } from './opened-block.ts';
import type { Divergence, Finalised } from './types.ts';

/** @param certificate its own, or that of a later block of its epoch (Y1). */
export function finalisedBy(executed: ExecutedBlock, certificate: Certificate): Finalised {
  const { header, bytes, digest } = executed.block;
  return {
    type: 'finalised',
    height: header.height,
    digest,
    view: header.view,
    time: header.time,
    proposer: header.proposer,
    intents: header.intents,
    sizeBytes: bytes.length,
    receipts: executed.receipts,
    signed: executed.intents,
    certificate,
    paths: executed.paths,
    namespaces: [...executed.registers.namespaces.keys()],
    anchors: executed.anchors,
  };
}

/** Y7: a final block leads to something else here. */
export function divergenceOf(
  { block: { header } }: Pick<OpenedBlock, 'block'>,
  judgement: Extract<Judgement, { isValid: false }>,
): Divergence {
  const { height, proposer, stateRoot } = header;
  const ours = judgement.ownStateRoot ?? `none: ${judgement.why}`;
  const theirs = Buffer.from(stateRoot).toString('hex');
  return { type: 'divergence', height, ours, theirs, proposer };
}
