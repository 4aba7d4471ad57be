/** Uploads and downloads: the only bodies that are not JSON. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AegisError, toAegisError } from '../../errors.ts';
import type { Download, Upload } from '../backend.ts';
import { HEADER, MEDIA } from '../contract/routes.ts';
import { packTar, unpackTar } from '../tar.ts';
import { readStream } from './body.ts';
import type { Failures } from './failures.ts';
import type { ServerLimits } from './limits.ts';
import { beginStream, writeChunk } from './reply.ts';

/** The body as what it claims to be. @throws {AegisError} `BAD_REQUEST` for another media type. */
export function uploadOf(
  request: IncomingMessage,
  options: { limits: ServerLimits; signal: AbortSignal },
): Upload {
  const { idleTimeoutMs, treeEntriesMax } = options.limits;
  const type = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  const bytes = readStream(request, { idleTimeoutMs, signal: options.signal });
  if (type === MEDIA.file) return { kind: 'file', bytes };
  if (type === MEDIA.directory) {
    return { kind: 'directory', entries: unpackTar(bytes, { entriesMax: treeEntriesMax }) };
  }
  throw new AegisError('BAD_REQUEST', `the body may not be ${JSON.stringify(type ?? '')}`, {
    hint: `Send a file as ${MEDIA.file}, a directory as ${MEDIA.directory}.`,
  });
}

/**
 * Sends a download. An error before the first byte is thrown and becomes an ordinary reply; a
 * later one is remembered in `failures` and cuts the connection, which the reader cannot mistake
 * for the end: files have a length, tars end in a last chunk.
 */
export async function sendDownload(
  response: ServerResponse,
  download: Download,
  deps: { limits: ServerLimits; failures: Failures },
): Promise<void> {
  const source = download.kind === 'file' ? download.bytes : packTar(download.entries);
  const chunks = source[Symbol.asyncIterator]();
  let next = await chunks.next();
  const id = deps.failures.nextId();
  beginStream(response, headersOf(download, id));
  try {
    let sent = 0;
    while (next.done !== true) {
      sent += next.value.byteLength;
      if (download.kind === 'file' && sent > download.sizeBytes) throw wrongSize(download);
      await writeChunk(response, next.value, deps.limits.idleTimeoutMs);
      next = await chunks.next();
    }
    if (download.kind === 'file' && sent !== download.sizeBytes) throw wrongSize(download);
    response.end();
  } catch (error) {
    deps.failures.add(id, toAegisError(error));
    response.destroy();
    throw error;
  } finally {
    await chunks.return?.(undefined);
  }
}

const wrongSize = (download: Download): AegisError =>
  new AegisError('BAD_DATA', `the content of ${download.path} has not the size it claims`);

function headersOf(download: Download, id: string): Record<string, string | number> {
  return {
    'content-type': MEDIA[download.kind],
    [HEADER.kind]: download.kind,
    [HEADER.cid]: download.cid,
    [HEADER.version]: download.version,
    // Header values are ASCII; a path may be anything.
    [HEADER.path]: encodeURIComponent(download.path),
    [HEADER.sizeBytes]: download.sizeBytes,
    [HEADER.request]: id,
    ...(download.kind === 'file' && { 'content-length': download.sizeBytes }),
  };
}
