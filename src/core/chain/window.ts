/**
 * Y1: a window of blocks as it came, with one certificate for its last block. Whether its blocks
 * hang together is judged here; whether the certificate holds, where the custodians are known.
 */
import { decodeCertificate } from '../consensus/certificate.ts';
import type { Certificate } from '../consensus/types.ts';
import type { SignatureCheck } from '../model/signed.ts';
import type { OpenedBlock } from './opened-block.ts';
import type { BlockWindow } from './types.ts';

export interface FetchedWindow {
  /** At least one. */
  readonly blocks: readonly OpenedBlock[];
  /** By block: signatures by keys that were not known here when it came. */
  readonly late: readonly (readonly SignatureCheck[])[];
  readonly certificate: Certificate;
}

export const readWindowCertificate = decodeCertificate;

export const firstOf = ({ blocks }: FetchedWindow): number => blocks[0]!.block.header.height;
export const lastOf = ({ blocks }: FetchedWindow): number => blocks.at(-1)!.block.header.height;

export const bytesOf = ({ blocks }: FetchedWindow): number =>
  blocks.reduce((sum, { block }) => sum + block.bytes.length, 0);

/** What is wrong with a window by itself; undefined: nothing. */
export function windowFault({ blocks, certificate }: FetchedWindow): string | undefined {
  for (const [at, { block }] of blocks.entries()) {
    const before = blocks[at - 1]?.block;
    if (before === undefined) continue;
    const { header } = block;
    if (header.height !== before.header.height + 1) return 'its blocks leave gaps';
    if (Buffer.from(header.previous).toString('hex') !== before.digest) {
      return 'its blocks do not follow one another';
    }
    // E1: no certificate proves anything beyond its epoch.
    const isSame = Buffer.compare(header.custodians, before.header.custodians) === 0;
    if (!isSame && at < blocks.length - 1) return 'it goes on after the end of an epoch';
  }
  const { digest, header } = blocks.at(-1)!.block;
  const isIts = certificate.height === header.height && certificate.digest === digest;
  return isIts && certificate.phase === 'commit'
    ? undefined
    : 'its certificate is of another block';
}

/**
 * The window of consecutive final blocks that begins with the first of them: it ends at the last
 * one with a certificate among the first `count`, or at the first one with a certificate.
 */
export function windowIn(
  rows: readonly { readonly block: Uint8Array; readonly certificate: Uint8Array | undefined }[],
  count: number,
): BlockWindow | undefined {
  const isCertified = rows.map(({ certificate }) => certificate !== undefined);
  const within = isCertified.lastIndexOf(true, Math.max(0, count - 1));
  const end = within === -1 ? isCertified.indexOf(true) : within;
  const certificate = rows[end]?.certificate;
  if (certificate === undefined) return undefined;
  return { blocks: rows.slice(0, end + 1).map(({ block }) => block), certificate };
}
