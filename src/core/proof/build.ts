/**
 * Makes proofs of what a node knows: links from its hand-overs and its tip, claims from the proofs
 * of its state. All of it is of one height, which the caller looks after. It verifies nothing.
 */
import { AegisError } from '../errors.ts';
import type { CustodianEntry } from '../model/custodians.ts';
import { encodeProof, PROOF_LIMITS } from './codec.ts';
import type { Claim, OtherLeaf, ProofLink } from './types.ts';

/** A link and its height. */
export interface HeldLink {
  readonly height: number;
  readonly header: Uint8Array;
  readonly certificate: Uint8Array;
}

/** The last block of an epoch (E1). */
export interface Handover extends HeldLink {
  /** Of the height after it. */
  readonly custodians: readonly CustodianEntry[];
}

export interface ProofParts {
  readonly clusterId: string;
  /** Those of height 1. */
  readonly custodians: readonly CustodianEntry[];
  /** All below the tip or at it, in the order of their heights. */
  readonly handovers: readonly Handover[];
  /** The block that the verifier is going to trust (Y5). */
  readonly checkpoint?: Pick<HeldLink, 'height' | 'header'> | undefined;
  /** The block after which the claims hold. */
  readonly tip: HeldLink;
  readonly claims: readonly Claim[];
}

/** @throws {AegisError} `TOO_LARGE`. */
export function buildProof(parts: ProofParts): Uint8Array {
  const { clusterId, claims } = parts;
  const links = linksOf(parts);
  if (links.length > PROOF_LIMITS.linksMax) {
    throw new AegisError('TOO_LARGE', `the proof has more than ${PROOF_LIMITS.linksMax} links`, {
      hint: 'Begin later, at a checkpoint: --checkpoint H:HASH',
    });
  }
  return encodeProof({ clusterId, links, claims });
}

/** With a checkpoint, what comes before it is left out. */
function linksOf({ custodians, handovers, checkpoint, tip }: ProofParts): ProofLink[] {
  const from = checkpoint?.height ?? 0;
  const links = new Map<number, ProofLink>();
  if (checkpoint !== undefined) {
    const before = handovers.findLast(({ height }) => height <= from);
    // Nobody would look at its certificate.
    const { header } = checkpoint;
    links.set(from, { header, custodians: before?.custodians ?? custodians });
  }
  for (const handover of handovers) {
    if (handover.height > from) links.set(handover.height, linkOf(handover, handover.custodians));
  }
  if (!links.has(tip.height)) links.set(tip.height, linkOf(tip));
  return [...links.values()];
}

const linkOf = (
  { header, certificate }: HeldLink,
  custodians?: readonly CustodianEntry[],
): ProofLink => ({ header, certificate, custodians });

/** What the state says about one key; keys in hex. */
interface Placed {
  readonly siblings: readonly Uint8Array[];
  readonly other?: { readonly key: string; readonly valueHash: Uint8Array } | undefined;
}

/**
 * A claim about a path: its value, or that it has none.
 * @param lineage signed versions, from a head down to the one that is meant.
 * @throws {AegisError} `TOO_LARGE`.
 */
export function pathClaim(
  path: string,
  placed: Placed & { readonly value: Uint8Array | undefined },
  lineage: readonly Uint8Array[],
): Claim {
  const { siblings, other, value } = placed;
  if (value === undefined) return { type: 'absence', path, siblings, other: otherOf(other) };
  if (lineage.length <= PROOF_LIMITS.lineageMax)
    return { type: 'value', path, siblings, value, lineage };
  throw new AegisError(
    'TOO_LARGE',
    `the version is more than ${PROOF_LIMITS.lineageMax} versions old`,
  );
}

/** @throws {AegisError} `TOO_LARGE`. */
export function directoryClaim(
  path: string,
  placed: Placed & {
    /** In the order of their keys. */
    readonly leaves: readonly { readonly key: string; readonly value: Uint8Array }[];
  },
): Claim {
  const { siblings, other } = placed;
  const leaves = placed.leaves.map(({ key, value }) => ({ key: fromHex(key), value }));
  if (leaves.length <= PROOF_LIMITS.leavesMax) {
    return { type: 'directory', path, siblings, other: otherOf(other), leaves };
  }
  throw new AegisError('TOO_LARGE', `the directory has more than ${PROOF_LIMITS.leavesMax} names`, {
    hint: 'Prove its paths one by one: aegis kb get PATH --proof F',
  });
}

const otherOf = (other: Placed['other']): OtherLeaf | undefined =>
  other === undefined ? undefined : { key: fromHex(other.key), valueHash: other.valueHash };

const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));

/**
 * The way from a head down to a version, the head first; empty when no head goes back to it.
 * @param get the parents and the signed bytes of a version, by the text of its CID.
 */
export function lineageOf(
  heads: readonly string[],
  wanted: string,
  get: (
    cid: string,
  ) => { readonly parents: readonly string[]; readonly bytes: Uint8Array } | undefined,
): Uint8Array[] {
  /** Of each version that was reached, the one that names it as a parent. */
  const above = new Map<string, string | undefined>(heads.map((head) => [head, undefined]));
  // Breadth first, so that the way is a shortest one. A map goes on to what is added meanwhile.
  for (const cid of above.keys()) {
    if (cid === wanted) break;
    for (const parent of get(cid)?.parents ?? []) if (!above.has(parent)) above.set(parent, cid);
  }
  if (!above.has(wanted)) return [];
  const way: Uint8Array[] = [];
  for (let at: string | undefined = wanted; at !== undefined; at = above.get(at)) {
    const found = get(at);
    if (found === undefined) return [];
    way.unshift(found.bytes);
  }
  return way;
}
