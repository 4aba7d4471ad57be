/** How blocks, custodians and intents are shown to people. */

import type { BlockSummary, ConsensusStatus, Who } from '../core/api/contract/consensus.ts';
import type { IntentChange, IntentFate } from '../core/api/contract/intents.ts';
import { unreachable } from '../core/assert.ts';
import { AegisError } from '../core/errors.ts';
import { safeText } from './format.ts';
import { shortId } from './peers.ts';

/** Characters of a digest that are enough to recognise it. */
const SHORT_DIGEST = 12;

export const shortDigest = (digest: string): string => digest.slice(0, SHORT_DIGEST);

/** The name, or the start of the id of a node whose name is not known. */
export const whoText = ({ nodeId, name }: Who): string => safeText(name ?? shortId(nodeId) ?? '');

/** `alice, bob` or `nobody`. */
export const whosText = (whos: readonly Who[]): string => whos.map(whoText).join(', ') || 'nobody';

export const counted = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? '' : 's'}`;

/** `2 of 3 prepare votes`: what the phase has and takes; undefined where nothing is counted. */
export function votesText({ phase, votes, timeouts, quorum }: ConsensusStatus): string | undefined {
  if (phase === 'prepare') return `${votes.prepare.length} of ${quorum} prepare votes`;
  if (phase === 'commit') return `${votes.commit.length} of ${quorum} commit votes`;
  if (phase === 'timeout') return `${timeouts.length} of ${quorum} to give the view up`;
  return undefined;
}

/** One line of `consensus watch`. */
export function blockLine(block: BlockSummary): string {
  const { height, proposer, view, intents, signers, digest } = block;
  const by = `${whoText(proposer)}${view === 0 ? '' : ` (view ${view})`}`;
  const facts = `${counted(intents, 'intent')}, ${counted(signers, 'signer')}`;
  return `final ${height}  ${shortDigest(digest)}  ${by}  ${facts}`;
}

/** When a version became final, e.g. `at height 7`. */
export const finalText = (height: number | null): string =>
  height === null ? 'yes' : `at height ${height}`;

/** What became of an intent: `final at height 7: done`. */
export function fateText({ status, height, result, reason }: IntentFate): string {
  if (status === 'pending') return 'pending';
  const at = height === null ? 'final' : `final at height ${height}`;
  return `${at}: ${result ?? 'decided'}${reason === null ? '' : `, ${safeText(reason)}`}`;
}

/** The first path and how many more: a cell of a table, which makes it safe to print. */
export function changesText({ changes }: { readonly changes: readonly IntentChange[] }): string {
  const [first] = changes;
  if (first === undefined) return 'none (cancels)';
  const more = changes.length === 1 ? '' : ` and ${changes.length - 1} more`;
  return `${changeText(first)}${more}`;
}

function changeText(change: IntentChange): string {
  if (!('op' in change)) return `${change.deleted ? 'deletes ' : ''}${change.path}`;
  const { op } = change;
  switch (op) {
    case 'grant':
      return `grants ${change.path}`;
    case 'revoke':
      return `revokes ${change.path}`;
    case 'anchor':
      return `anchors ${change.label}`;
    case 'erase':
      return `erases ${change.path}`;
    default:
      return unreachable(op);
  }
}

/** @throws {AegisError} `USAGE` */
export function checkHeight(text: string, pattern: RegExp): string {
  if (pattern.test(text)) return text;
  throw new AegisError('USAGE', `not a height: ${JSON.stringify(text)}`, {
    hint: 'A height is a number from 1. See the last ones: aegis consensus blocks',
  });
}
