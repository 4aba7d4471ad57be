/** Proof that a custodian has signed two things of which the rules allow one. */
import { decode, encode } from '../model/cbor.ts';
import { Fields, fromHex, orNull, SHARE_BYTES, SIGNATURE_BYTES } from './fields.ts';
import type { VoteScheme } from './scheme.ts';
import { digestMessage, timeoutMessage } from './signed-bytes.ts';
import type { Evidence, SignedClaim } from './types.ts';
import { CUSTODIANS_MAX } from './types.ts';

export type { Evidence } from './types.ts';

const EVIDENCE_BYTES_MAX = 1024;

/** Puts the claims in order: whoever finds the two, finds the same evidence. */
export function createEvidence(
  { kind, custodian, height, view }: Omit<Evidence, 'claims'>,
  one: SignedClaim,
  other: SignedClaim,
): Evidence {
  const [first, second] = [one, other]
    .map(({ digest, highView, signature }) => ({ digest, highView, signature }))
    .toSorted((a, b) => (claimKey(a) < claimKey(b) ? -1 : 1));
  return { kind, custodian, height, view, claims: [first!, second!] };
}

const claimKey = ({ digest, highView }: SignedClaim): string =>
  digest ?? String((highView ?? -1) + 1).padStart(10, '0');

/** Names the slot: more evidence about one slot proves no more. */
export const evidenceKey = ({ custodian, kind, height, view }: Omit<Evidence, 'claims'>): string =>
  `${String(height).padStart(15, '0')}/${String(view).padStart(10, '0')}/${kind}/${custodian}`;

/**
 * Whether the two claims differ and the custodian has signed both. Ask only where the keys of the
 * height are known (C3): what a retired key signs later is not said by its custodian.
 */
export function verifyEvidence(evidence: Evidence, scheme: VoteScheme, clusterId: string): boolean {
  const { claims, custodian, kind, height, view } = evidence;
  if (claimKey(claims[0]) >= claimKey(claims[1])) return false;
  return claims.every(({ digest, highView, signature }) => {
    if ((digest === undefined) !== (kind === 'timeout')) return false;
    if (digest === undefined || kind === 'timeout') {
      const message = timeoutMessage(clusterId, height, view, highView);
      return scheme.verify(custodian, height, message, signature);
    }
    const message = digestMessage(clusterId, kind, height, view, digest);
    return kind === 'proposal'
      ? scheme.verifyProposal(custodian, height, message, signature)
      : scheme.verify(custodian, height, message, signature);
  });
}

export const evidenceValue = ({ kind, custodian, height, view, claims }: Evidence): unknown => [
  kind,
  custodian,
  height,
  view,
  claims.map(({ digest, highView, signature }) => [
    digest === undefined ? null : fromHex(digest),
    orNull(highView),
    signature,
  ]),
];

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. */
export function readEvidence(value: unknown): Evidence {
  const fields = new Fields(value, 5, 'evidence');
  const kind = fields.word(['proposal', 'prepare', 'commit', 'timeout']);
  const custodian = fields.integer(0, CUSTODIANS_MAX - 1);
  const height = fields.height();
  const view = fields.view();
  const claims = fields.list(2, (claim) => readClaim(claim, kind));
  if (claims.length !== 2) throw fields.bad('does not have two claims');
  return { kind, custodian, height, view, claims: [claims[0]!, claims[1]!] };
}

function readClaim(value: unknown, kind: Evidence['kind']): SignedClaim {
  const fields = new Fields(value, 3, 'evidence');
  const digest = fields.optional((bytes) => new Fields([bytes], 1, 'digest').digest());
  const highView = fields.optional((view) => new Fields([view], 1, 'timeout').view());
  const isVote = kind !== 'timeout';
  if ((digest !== undefined) !== isVote || (isVote && highView !== undefined)) {
    throw fields.bad('has a claim of another kind');
  }
  const signature = fields.bytes(kind === 'proposal' ? SIGNATURE_BYTES : SHARE_BYTES);
  return { digest, highView, signature };
}

export const encodeEvidence = (evidence: Evidence): Uint8Array => encode(evidenceValue(evidence));

/** @throws {AegisError} `BAD_ENCODING`, `TOO_LARGE`. Whether it holds is another question. */
export const decodeEvidence = (bytes: Uint8Array): Evidence =>
  readEvidence(decode(bytes, { maxBytes: EVIDENCE_BYTES_MAX }));
