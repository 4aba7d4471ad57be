/** Certificates: their one encoding, and whether they hold. */
import { decode, encode } from '../model/cbor.ts';
import { bitmapOf, Fields, fromHex, SHARE_BYTES } from './fields.ts';
import { quorumOf } from './quorum.ts';
import type { SignerGroup, VoteScheme } from './scheme.ts';
import { digestMessage, timeoutMessage } from './signed-bytes.ts';
import type { Certificate, TimeoutCertificate, TimeoutGroup } from './types.ts';
import { CUSTODIANS_MAX, VIEW_MAX } from './types.ts';

export type { Certificate, TimeoutCertificate } from './types.ts';

const CERTIFICATE_BYTES_MAX = 512;

export const certificateValue = (certificate: Certificate): unknown => [
  certificate.phase,
  certificate.height,
  certificate.view,
  fromHex(certificate.digest),
  bitmapOf(certificate.signers),
  certificate.signature,
];

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function readCertificate(value: unknown): Certificate {
  const fields = new Fields(value, 6, 'certificate');
  return {
    phase: fields.word(['prepare', 'commit']),
    height: fields.height(),
    view: fields.view(),
    digest: fields.digest(),
    signers: fields.signers(),
    signature: fields.bytes(SHARE_BYTES),
  };
}

export const encodeCertificate = (certificate: Certificate): Uint8Array =>
  encode(certificateValue(certificate));

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. Whether it holds is another question. */
export const decodeCertificate = (bytes: Uint8Array): Certificate =>
  readCertificate(decode(bytes, { maxBytes: CERTIFICATE_BYTES_MAX }));

/** Whether the signers are ascending indices of custodians, each once, and a quorum of them. */
function isQuorum(signers: readonly number[], custodians: number | undefined): boolean {
  return (
    custodians !== undefined &&
    signers.length >= quorumOf(custodians) &&
    signers.every((signer, i) => signer < custodians && (i === 0 || signer > signers[i - 1]!))
  );
}

/**
 * Whether a quorum of the custodians of its height has signed what the certificate says, with the
 * keys in force there (C1). About a millisecond.
 */
export function verifyCertificate(
  certificate: Certificate,
  scheme: VoteScheme,
  clusterId: string,
): boolean {
  const { phase, height, view, digest, signers, signature } = certificate;
  if (!isQuorum(signers, scheme.custodiansAt(height))) return false;
  const message = digestMessage(clusterId, phase, height, view, digest);
  return scheme.verifyAggregate(height, [{ signers, message }], signature);
}

export const timeoutCertificateValue = (certificate: TimeoutCertificate): unknown => [
  certificate.height,
  certificate.view,
  certificate.groups.map(({ highView, signers }) => [highView ?? null, bitmapOf(signers)]),
  certificate.signature,
  certificate.high === undefined ? null : certificateValue(certificate.high),
];

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function readTimeoutCertificate(value: unknown): TimeoutCertificate {
  const fields = new Fields(value, 5, 'timeout certificate');
  return {
    height: fields.height(),
    view: fields.view(),
    groups: fields.list(CUSTODIANS_MAX, readGroup),
    signature: fields.bytes(SHARE_BYTES),
    high: fields.optional(readCertificate),
  };
}

function readGroup(value: unknown): TimeoutGroup {
  const fields = new Fields(value, 2, 'timeout certificate');
  const highView = fields.optional((view) => new Fields([view], 1, 'timeout group').view());
  return { highView, signers: fields.signers() };
}

/**
 * Whether a quorum has given up the view, and `high` is the best that any of them named (P2).
 * @param isKnown whether the prepare certificate of `high` has been verified before.
 */
export function verifyTimeoutCertificate(
  certificate: TimeoutCertificate,
  scheme: VoteScheme,
  clusterId: string,
  isKnown: (high: Certificate) => boolean = () => false,
): boolean {
  const { height, view, groups, signature, high } = certificate;
  const signers = groups.flatMap((group) => group.signers).toSorted((a, b) => a - b);
  const custodians = scheme.custodiansAt(height);
  if (view >= VIEW_MAX || !isQuorum(signers, custodians) || !areAscending(groups)) return false;
  const highView = groups.at(-1)?.highView;
  if (highView !== high?.view) return false;
  if (high !== undefined) {
    if (high.phase !== 'prepare' || high.height !== height || high.view > view) return false;
    if (!isKnown(high) && !verifyCertificate(high, scheme, clusterId)) return false;
  }
  return scheme.verifyAggregate(height, timeoutGroups(certificate, clusterId), signature);
}

/** Groups in one order and no two alike, so that a certificate has one form. */
const areAscending = (groups: readonly TimeoutGroup[]): boolean =>
  groups.every(({ highView }, i) => i === 0 || (highView ?? -1) > (groups[i - 1]!.highView ?? -1));

const timeoutGroups = (
  { height, view, groups }: TimeoutCertificate,
  clusterId: string,
): SignerGroup[] =>
  groups.map(({ highView, signers }) => ({
    signers,
    message: timeoutMessage(clusterId, height, view, highView),
  }));
