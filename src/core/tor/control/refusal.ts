/** What a reply that is no success means (control-spec 4). */
import { AegisError, isAegisError } from '../../errors.ts';
import type { ControlReply } from './replies.ts';
import { shown } from './text.ts';

/** Undefined for a success. The status is in `details.status`. */
export function refusal(
  verb: string,
  { lines }: ControlReply,
  isSecret: boolean,
): AegisError | undefined {
  // The last line is that of the end; the first one of a refusal says the same.
  const { code: status, text } = lines.at(-1)!;
  if (status >= 200 && status < 300) return undefined;
  const details = { status, verb };
  if (status === 514 || status === 515) {
    return new AegisError('TOR_DENIED', `Tor takes no ${verb} from here (${status})`, { details });
  }
  // Tor repeats what it did not understand, and that may be a key.
  const why = isSecret ? '' : `: ${shown(text)}`;
  const code = status === 510 ? 'TOR_TOO_OLD' : 'TOR_FAILED';
  const message = `Tor refused ${verb} (${status})${why}`;
  const hint = code === 'TOR_FAILED' ? 'The log of Tor may say more.' : undefined;
  return new AegisError(code, message, { details, ...(hint === undefined ? {} : { hint }) });
}

/** The status of a refusal, e.g. 550; undefined for any other error. */
export function replyStatusOf(error: unknown): number | undefined {
  const status = isAegisError(error) ? error.details['status'] : undefined;
  return typeof status === 'number' ? status : undefined;
}
