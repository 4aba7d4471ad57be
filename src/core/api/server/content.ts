/** Uploads and downloads: the only bodies that are not JSON. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AegisError, toAegisError } from '../../errors.ts';
import type { Download, TreeEntry, Upload } from '../backend.ts';
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

/** The body as the files of a tar. @throws {AegisError} `BAD_REQUEST` for another media type. */
export function treeOf(
  request: IncomingMessage,
  options: { limits: ServerLimits; signal: AbortSignal },
): AsyncIterable<TreeEntry> {
  const upload = uploadOf(request, options);
  if (upload.kind === 'directory') return upload.entries;
  throw new AegisError('BAD_REQUEST', `the body may only be ${MEDIA.directory}`);
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
  const chunks = new Lookahead(download);
  const id = deps.failures.nextId();
  try {
    for (let chunk = await chunks.take(); chunk !== undefined; chunk = await chunks.take()) {
      if (!response.headersSent) beginStream(response, headersOf(download, id));
      await writeChunk(response, chunk, deps.limits.idleTimeoutMs);
    }
    if (!response.headersSent) beginStream(response, headersOf(download, id));
    response.end();
  } catch (error) {
    // The desk cuts the connection.
    deps.failures.add(id, toAegisError(error));
    throw error;
  } finally {
    await chunks.close();
  }
}

/**
 * The bytes of a download, each chunk given out when the next has come: so the last error, too,
 * comes before the reader could take the content for complete.
 */
class Lookahead {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #path: string;
  /** Known for files. */
  readonly #sizeBytes: number | undefined;
  #pulled = 0;
  #held: Promise<Uint8Array | undefined> | undefined;

  constructor(download: Download) {
    const source = download.kind === 'file' ? download.bytes : packTar(download.entries);
    this.#chunks = source[Symbol.asyncIterator]();
    this.#path = download.path;
    this.#sizeBytes = download.kind === 'file' ? download.sizeBytes : undefined;
  }

  async take(): Promise<Uint8Array | undefined> {
    const chunk = await (this.#held ?? this.#pull());
    if (chunk === undefined) return undefined;
    const next = await this.#pull();
    this.#held = Promise.resolve(next);
    return chunk;
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #pull(): Promise<Uint8Array | undefined> {
    const next = await this.#chunks.next();
    const done = next.done === true;
    if (!done) this.#pulled += next.value.byteLength;
    const size = this.#sizeBytes ?? this.#pulled;
    if (this.#pulled > size || (done && this.#pulled !== size)) {
      throw new AegisError('BAD_DATA', `the content of ${this.#path} has not the size it claims`);
    }
    return done ? undefined : next.value;
  }
}

function headersOf(download: Download, id: string): Record<string, string | number> {
  return {
    'content-type': MEDIA[download.kind],
    [HEADER.kind]: download.kind,
    [HEADER.cid]: download.cid,
    [HEADER.version]: download.version,
    // Header values are ASCII; a path may be anything.
    [HEADER.path]: encodeURIComponent(download.path),
    [HEADER.sizeBytes]: download.sizeBytes,
    [HEADER.final]: String(download.final),
    ...(download.height !== null && { [HEADER.height]: download.height }),
    ...(download.conflicts && { [HEADER.conflicts]: download.conflicts }),
    [HEADER.request]: id,
    ...(download.kind === 'file' && { 'content-length': download.sizeBytes }),
  };
}
