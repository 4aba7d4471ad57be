/**
 * The values of which the contract is made. A query value arrives as text; the server turns it
 * into the type that is declared here before it validates (see `server/query.ts`).
 */
import * as v from 'valibot';

/** Longest text that any query or path parameter may have, in UTF-16 units. */
export const TEXT_LENGTH_MAX = 2048;
const TIMEOUT_MS_MAX = 24 * 60 * 60 * 1000;

export const text = v.pipe(v.string(), v.maxLength(TEXT_LENGTH_MAX));
export const word = v.pipe(text, v.nonEmpty());
/** An RFC 3339 time in UTC. */
export const time = v.pipe(v.string(), v.isoTimestamp(), v.description('RFC 3339, UTC'));
export const count = v.pipe(v.number(), v.integer(), v.minValue(0));
export const bytes = v.pipe(v.number(), v.integer(), v.minValue(0), v.description('bytes'));
export const ms = v.pipe(v.number(), v.minValue(0), v.description('milliseconds'));
export const timeoutMs = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(1),
  v.maxValue(TIMEOUT_MS_MAX),
  v.description('milliseconds'),
);
export const nodeId = v.pipe(v.string(), v.startsWith('aegis1'), v.description('node id'));
export const cid = v.pipe(v.string(), v.nonEmpty(), v.description('CID, version 1, base32'));
export const address = v.pipe(v.string(), v.startsWith('/'), v.description('multiaddr'));
/** A SHA-256, also the id of an intent. */
export const digest = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{64}$/),
  v.description('SHA-256, lower-case hexadecimal'),
);
export const hashName = v.picklist(['blake3', 'sha2-256']);
export const fileKind = v.picklist(['file', 'directory']);
