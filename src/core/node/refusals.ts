/** What the custodians' refusal of an intent is to whoever asked for it (docs/history.md, Q3). */
import type { RefusalReason } from '../chain/execution.ts';
import { AegisError, type ErrorCode } from '../errors.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly text: string;
  readonly hint?: string;
}

const ANEW = 'Nothing has changed; look at it again, and repeat the command.';

const MEANINGS: Partial<Record<RefusalReason, Meaning>> = {
  conflict: {
    code: 'EXISTS',
    text: 'another version became final first',
    hint: 'Read it again, and decide again. See: aegis kb log',
  },
  'not-allowed': { code: 'NOT_ALLOWED', text: 'the author has no right to do this' },
  'over-quota': { code: 'OVER_QUOTA', text: 'the author is over its quota' },
  'bad-anchor': {
    code: 'CHECK_FAILED',
    text: 'another anchor of the label became final first',
    hint: 'See the last one: aegis intent anchors',
  },
  'bad-erasure': {
    code: 'CHECK_FAILED',
    text: 'a path is erased only when all of its heads are deletions',
    hint: 'See: aegis kb log',
  },
  'not-yet': {
    code: 'CHECK_FAILED',
    text: 'the protocol version of the cluster does not have this yet',
    hint: 'See: aegis cluster show',
  },
};

export interface Refused {
  readonly id: string;
  readonly height: number;
  readonly reason?: RefusalReason | undefined;
}

/** @param what was refused, e.g. `the version`. */
export function refusalError(what: string, { id, height, reason }: Refused): AegisError {
  const details = { reason, height, intent: id };
  const meaning = reason === undefined ? undefined : MEANINGS[reason];
  if (meaning === undefined) {
    return new AegisError('TRY_AGAIN', `the custodians refused ${what}: ${reason}`, {
      hint: ANEW,
      details,
    });
  }
  const { code, text, hint } = meaning;
  return new AegisError(code, `${what} was refused: ${text}`, {
    details,
    ...(hint === undefined ? {} : { hint }),
  });
}
