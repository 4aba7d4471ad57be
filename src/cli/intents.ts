/** Intents on the command line: from flags or from NDJSON, and what their end means to a script. */
import { createReadStream } from 'node:fs';
import { splitLines } from '../core/api/client/lines.ts';
import type { BodyInput } from '../core/api/contract/endpoints.ts';
import type { IntentFate } from '../core/api/contract/intents.ts';
import { AegisError, EXIT, isAegisError } from '../core/errors.ts';
import { KIB } from '../core/units.ts';

export type WantedIntent = BodyInput<'intents.submit'>['intents'][number];
type WantedChange = WantedIntent['changes'][number];

/** As the contract has them; it is not imported, because it loads the schema library. */
const BATCH_MAX = 512;
/** A request has a limit of 1 MiB; the rest is room for its frame. */
const BATCH_BYTES_MAX = 900 * KIB;
const LINE_BYTES_MAX = 256 * KIB;
/** Signed intents in one request; each has 64 KiB at most, in base64 a third more. */
const SIGNED_BATCH_MAX = 8;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
/** Intents that one command takes. */
const INTENTS_MAX = 100_000;

/**
 * Batches of what a file says, one intent a line: `{"changes":[...]}`, or one change by itself.
 *
 * @throws {AegisError} `BAD_DATA` naming the intent, `UNREADABLE`, `TOO_LARGE`.
 */
export async function* batchesOf(file: string): AsyncGenerator<WantedIntent[], void> {
  let batch: WantedIntent[] = [];
  let size = 0;
  let count = 0;
  for await (const text of linesOf(file)) {
    if (text.trim() === '') continue;
    count += 1;
    if (count > INTENTS_MAX) {
      throw new AegisError('TOO_LARGE', `more than ${INTENTS_MAX} intents`, {
        hint: 'Submit them in parts; what has been submitted already stays.',
      });
    }
    const length = Buffer.byteLength(text);
    if (batch.length === BATCH_MAX || size + length > BATCH_BYTES_MAX) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push(parseIntent(text, count));
    size += length;
  }
  if (batch.length > 0) yield batch;
}

/** Batches of signed intents, one a line in base64. @throws {AegisError} as `batchesOf`. */
export async function* signedBatchesOf(file: string): AsyncGenerator<string[], void> {
  let batch: string[] = [];
  let count = 0;
  for await (const text of linesOf(file)) {
    const line = text.trim();
    if (line === '') continue;
    count += 1;
    if (!BASE64.test(line)) {
      throw new AegisError('BAD_DATA', `intent ${count} is not in base64`, {
        hint: 'Each line is one signed intent in base64, without spaces.',
      });
    }
    batch.push(line);
    if (batch.length < SIGNED_BATCH_MAX) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function parseIntent(text: string, count: number): WantedIntent {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AegisError('BAD_DATA', `intent ${count} is not JSON`, { cause });
  }
  if (typeof value === 'object' && value !== null) {
    if (Array.isArray((value as Partial<WantedIntent>).changes)) return value as WantedIntent;
    // The daemon checks the rest and names what is wrong.
    if ('path' in value && 'version' in value) return { changes: [value as WantedChange] };
  }
  throw new AegisError('BAD_DATA', `intent ${count} is neither an intent nor a change`, {
    hint: 'A change is {"path":"notes.md","version":"bafy..."}; an intent {"changes":[...]}.',
  });
}

async function* linesOf(file: string): AsyncGenerator<string, void> {
  const source = file === '-' ? process.stdin : createReadStream(file);
  try {
    yield* splitLines(ended(source as AsyncIterable<Uint8Array>), LINE_BYTES_MAX);
  } catch (error) {
    if (isAegisError(error)) throw error;
    const why = (error as Error).message;
    throw new AegisError('UNREADABLE', `cannot read ${file}: ${why}`, { cause: error });
  }
}

/** A last line without its end counts as well. */
async function* ended(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  yield* source;
  yield Buffer.from('\n');
}

/** What the fate of intents means for the exit status; `undefined`: all went well. */
export function troubleOf(
  fates: readonly IntentFate[],
  options: { wanted: 'accepted' | 'final'; compared: boolean },
): { exit: number; text: string; hint: string } | undefined {
  const refused = fates.filter(({ result }) => result === 'refused');
  const [first] = refused;
  if (first !== undefined) {
    const reason = first.reason ?? 'no reason given';
    const which = fates.length === 1 ? 'the intent was' : `${refused.length} intents were`;
    return {
      exit: exitOf(first.reason, options.compared),
      text: `${which} refused: ${reason}`,
      hint: 'Nothing was changed by it. See what is there: aegis kb log PATH',
    };
  }
  const pending = fates.filter(({ status }) => status === 'pending').length;
  if (pending === 0 || options.wanted === 'accepted') return undefined;
  const which = fates.length === 1 ? 'the intent is' : `${pending} of ${fates.length} intents are`;
  return {
    exit: EXIT.tryAgain,
    text: `${which} queued and not final yet`,
    hint: 'Repeating the command is harmless. Why: aegis consensus status --why',
  };
}

/** Q3: the same status as where one intent alone is asked for. */
function exitOf(reason: string | null, compared: boolean): number {
  if (reason === 'not-allowed') return EXIT.denied;
  if (reason === 'over-quota') return EXIT.tryAgain;
  return compared && reason === 'conflict' ? EXIT.exists : EXIT.no;
}
