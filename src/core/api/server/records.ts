/** Serves records to one reader as they come, one JSON a line, with heartbeats in between. */
import type { ServerResponse } from 'node:http';
import { hasCode } from '../../errors.ts';
import type { KbWatchRecord } from '../contract/kb-versions.ts';
import { MEDIA } from '../contract/routes.ts';
import type { ServerLimits } from './limits.ts';
import { beginStream, writeChunk } from './reply.ts';

/** Ends when the reader takes nothing, and when there are no more. */
export async function streamRecords(
  response: ServerResponse,
  records: AsyncIterable<KbWatchRecord>,
  limits: Pick<ServerLimits, 'eventStallMs' | 'heartbeatMs'>,
): Promise<void> {
  const coming = records[Symbol.asyncIterator]();
  const write = (record: KbWatchRecord): Promise<void> =>
    writeChunk(response, `${JSON.stringify(record)}\n`, limits.eventStallMs);
  try {
    let next = coming.next();
    // What cannot even begin is an ordinary reply.
    let first: IteratorResult<KbWatchRecord> | undefined = await next;
    beginStream(response, { 'content-type': MEDIA.ndjson });
    for (;;) {
      const came = first ?? (await within(limits.heartbeatMs, next));
      first = undefined;
      if (came?.done === true) break;
      await write(came?.value ?? { type: 'heartbeat', time: new Date().toISOString() });
      if (came !== undefined) next = coming.next();
    }
    if (!response.destroyed) end(response, 'stopping');
  } catch (error) {
    if (!response.headersSent) throw error;
    if (hasCode(error, 'STALLED')) end(response, 'slow-reader');
    response.destroy();
  } finally {
    await coming.return?.();
  }
}

const end = (response: ServerResponse, reason: 'slow-reader' | 'stopping'): void => {
  response.end(`${JSON.stringify({ type: 'end', reason } satisfies KbWatchRecord)}\n`);
};

/** Undefined when it has not come in time; it may come later. */
async function within<T>(timeoutMs: number, promise: Promise<T>): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => late.resolve(undefined), timeoutMs);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
