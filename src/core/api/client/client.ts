/**
 * The client of the local API. Cheap to load: no schema library, no node:http. It trusts the
 * daemon's replies to follow the contract, as both come from one home, but never their size.
 */
import { AegisError } from '../../errors.ts';
import type { BodyInput, QueryInput, Reply } from '../contract/endpoints.ts';
import type { ApiEvent } from '../contract/events.ts';
import type { KbWatchRecord } from '../contract/kb-versions.ts';
import { ROUTES, type RouteName, WAIT_MS } from '../contract/routes.ts';
import { type ExchangeOptions, exchange } from './exchange.ts';
import { errorOfReply, type QueryValues, requestTarget, type Target } from './request.ts';
import type { Response } from './response.ts';
import type { ContentReply, RawReply, RawRequest } from './stream.ts';
import type { UploadSource } from './upload.ts';

export interface ClientOptions extends Target {
  /** For one exchange; for streams: until the first byte of the reply. @default 30 000 */
  readonly timeoutMs?: number;
}

export interface CallOptions<N extends RouteName = RouteName> {
  /** Values of the `:name` segments of the path. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: QueryInput<N>;
  readonly body?: BodyInput<N>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const TIMEOUT_MS = 30_000;
/** A call that waits in the daemon is given this much longer than the wait. */
const GRACE_MS = 5000;

/** How long the daemon waits in calls that wait longer than others when they are not told. */
const WAITS: Partial<Record<RouteName, { timeoutMs: number }>> = {
  'intents.submit': { timeoutMs: WAIT_MS.intents },
  'intents.cancel': { timeoutMs: WAIT_MS.intents },
};

export class Client {
  readonly #target: Target;
  readonly #timeoutMs: number;

  constructor(options: ClientOptions) {
    this.#target = options;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  }

  /**
   * Calls an endpoint that replies with JSON.
   *
   * @throws {AegisError} the daemon's own, `DAEMON_UNREACHABLE`, `TIMEOUT`.
   */
  async call<N extends RouteName>(name: N, options: CallOptions<N> = {}): Promise<Reply<N>> {
    const { method, path } = ROUTES[name];
    const query = options.query as QueryValues | undefined;
    const { body } = options;
    const reply = await this.raw({
      method,
      target: requestTarget(path, options.params, query),
      timeoutMs: this.#deadlineMs(options.timeoutMs, { ...WAITS[name], ...query, ...body }),
      ...(options.signal && { signal: options.signal }),
      ...(ROUTES[name].body === 'json' && { body: toJson(body ?? {}) }),
    });
    if (reply.status >= 300) throw errorOfReply(reply.status, reply.body);
    return parse(reply.body) as Reply<N>;
  }

  /** Sends any request and streams any reply; for what the contract does not name. */
  async send(request: RawRequest, options: { signal?: AbortSignal } = {}): Promise<RawReply> {
    const { send } = await import('./stream.ts');
    return await send(this.#target, request, { ...options, timeoutMs: this.#timeoutMs });
  }

  /** One exchange as it is; a reply with an error status is returned, not thrown. */
  async raw(
    options: Omit<ExchangeOptions, 'timeoutMs'> & { timeoutMs?: number },
  ): Promise<Response> {
    return await exchange(this.#target, {
      ...options,
      timeoutMs: options.timeoutMs ?? this.#timeoutMs,
    });
  }

  /** Stores the bytes of a file, or a tar made by `packTar`, under `query.path`. */
  async put(
    query: QueryInput<'kb.put'>,
    source: UploadSource,
    options: { signal?: AbortSignal } = {},
  ): Promise<Reply<'kb.put'>> {
    return await this.#upload('kb.put', query, source, options);
  }

  /** Stores each file of a tar as a path of its own. */
  async putEach(
    query: QueryInput<'kb.each'>,
    source: UploadSource,
    options: { signal?: AbortSignal } = {},
  ): Promise<Reply<'kb.each'>> {
    return await this.#upload('kb.each', query, source, options);
  }

  /** Opens the content of a path. Its bytes end with an error unless they are complete. */
  async content(
    query: QueryInput<'kb.get'>,
    options: { signal?: AbortSignal; timeoutMs?: number } = {},
  ): Promise<ContentReply> {
    const { download } = await import('./stream.ts');
    const target = requestTarget(ROUTES['kb.get'].path, {}, query);
    const timeoutMs = this.#deadlineMs(options.timeoutMs, { timeoutMs: WAIT_MS.kb, ...query });
    return await download(this.#target, target, { ...options, timeoutMs });
  }

  /** A snapshot, then every change, until the signal aborts or the daemon ends the stream. */
  async *events(options: { signal?: AbortSignal } = {}): AsyncGenerator<ApiEvent, void> {
    const { watch } = await import('./stream.ts');
    const target = ROUTES.events.path;
    yield* watch<ApiEvent>(this.#target, target, { ...options, timeoutMs: this.#timeoutMs });
  }

  /** What becomes final under a prefix, until the signal aborts or the daemon ends the stream. */
  async *watch(
    query: QueryInput<'kb.watch'>,
    options: { signal?: AbortSignal } = {},
  ): AsyncGenerator<KbWatchRecord, void> {
    const { watch } = await import('./stream.ts');
    const target = requestTarget(ROUTES['kb.watch'].path, {}, query);
    yield* watch<KbWatchRecord>(this.#target, target, { ...options, timeoutMs: this.#timeoutMs });
  }

  async #upload<N extends 'kb.put' | 'kb.each'>(
    name: N,
    query: QueryInput<N>,
    source: UploadSource,
    options: { signal?: AbortSignal },
  ): Promise<Reply<N>> {
    const { upload } = await import('./upload.ts');
    const target = requestTarget(ROUTES[name].path, {}, query);
    const timeoutMs = this.#deadlineMs(undefined, { timeoutMs: WAIT_MS.kb, ...query });
    return await upload(this.#target, { name, target }, source, { ...options, timeoutMs });
  }

  /** @param sent what the daemon is told, among it perhaps how long it may wait. */
  #deadlineMs(own: number | undefined, sent: { timeoutMs?: number | undefined }): number {
    const { timeoutMs } = sent;
    return Math.max(own ?? this.#timeoutMs, timeoutMs === undefined ? 0 : timeoutMs + GRACE_MS);
  }
}

const toJson = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (cause) {
    throw new AegisError('BAD_ENCODING', "the daemon's reply is not JSON", { cause });
  }
}
