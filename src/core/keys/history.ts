/**
 * The succession of a node, entry by entry, verified from the inception on: whoever tells it is
 * not believed. Which of two entries of one place counts, the chain says, not this.
 */
import { AegisError } from '../errors.ts';
import type { ConsensusKeys } from '../model/bundle.ts';
import { type OpenInception, openInception } from '../model/identity.ts';
import type { KeyState } from '../model/succession.ts';
import { statesOf } from './own-succession.ts';

export interface ToldHistory {
  readonly nodeId: string;
  /** Signed. */
  readonly inception: Uint8Array;
  readonly origin: ConsensusKeys;
  /** Signed, from the first on. */
  readonly entries: readonly Uint8Array[];
}

/** @throws {AegisError} `BAD_DATA`, `BAD_SIGNATURE`, `BAD_ENCODING`: all of exit status 65. */
export function verifyHistory(told: ToldHistory): {
  readonly opened: OpenInception;
  readonly states: readonly [KeyState, ...KeyState[]];
} {
  const opened = openInception(told.inception);
  if (opened.nodeId !== told.nodeId) {
    throw new AegisError('BAD_DATA', 'the inception is that of another node', {
      details: { nodeId: told.nodeId, found: opened.nodeId },
    });
  }
  return { opened, states: statesOf(opened, told) };
}
