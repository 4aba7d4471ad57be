/** Takes each request from the listeners through gate, routing and checks to its handler. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { AegisError, hasCode, isAegisError, toAegisError } from '../../errors.ts';
import type { Log, Metrics, Security } from '../../ports.ts';
import type { Backend, CallContext } from '../backend.ts';
import { type Endpoint, schemaName } from '../contract/endpoint.ts';
import { ENDPOINTS, type Query } from '../contract/endpoints.ts';
import { MEDIA, ROUTES, type RouteName, type Scope } from '../contract/routes.ts';
import { readAll } from './body.ts';
import { sendDownload, treeOf, uploadOf } from './content.ts';
import { streamEvents } from './events.ts';
import { Failures } from './failures.ts';
import { admit, Refusal } from './gate.ts';
import { HANDLERS, type JsonCall } from './handlers.ts';
import { busyBy, type ServerLimits } from './limits.ts';
import { parseBody, parseQuery } from './query.ts';
import { Rate } from './rate.ts';
import { streamRecords } from './records.ts';
import { cutReply, sendError, sendJson, sendText } from './reply.ts';
import { type Found, Routing } from './routing.ts';
import type { Tokens } from './tokens.ts';
import { type Visit, Visits } from './visits.ts';

export interface DeskDeps {
  readonly log: Log;
  readonly metrics?: Metrics;
  readonly security?: Security;
}

export interface DeskOptions {
  readonly backend: Backend;
  readonly limits: ServerLimits;
}

/** How a request came in. */
export interface Arrival {
  /** Allowed Host headers; `undefined`: any. */
  readonly hosts: ReadonlySet<string> | undefined;
  /** The caller sends its body only after a 100 (RFC 9110, section 10.1.1). */
  readonly expectsContinue: boolean;
}

interface Exchange extends Arrival {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The caller has been told to send its body, or was never going to wait. */
  bodyComes: boolean;
}

export class Desk {
  readonly #backend: Backend;
  readonly #limits: ServerLimits;
  readonly #log: Log;
  readonly #metrics: Metrics | undefined;
  readonly #routing: Routing;
  readonly #failures: Failures;
  readonly #visits: Visits;
  readonly #security: Security | undefined;
  readonly #rate: Rate;
  readonly #rateOf: Readonly<Record<Scope, Rate>>;
  #tokens: Tokens | undefined;

  constructor(options: DeskOptions, deps: DeskDeps) {
    this.#backend = options.backend;
    this.#limits = options.limits;
    this.#log = deps.log;
    this.#metrics = deps.metrics;
    this.#security = deps.security;
    this.#routing = new Routing(options.limits);
    this.#failures = new Failures(options.limits.failuresKept);
    this.#visits = new Visits(options.limits);
    const { requestsPerSecondMax, requestsPerSecondPerTokenMax } = options.limits;
    this.#rate = new Rate(requestsPerSecondMax);
    this.#rateOf = {
      read: new Rate(requestsPerSecondPerTokenMax),
      admin: new Rate(requestsPerSecondPerTokenMax),
    };
  }

  /** Nobody is let in before there are tokens. */
  open(tokens: Tokens): void {
    this.#tokens = tokens;
  }

  /** Ends event streams and waits at once, the rest at the deadline. */
  drain(deadlineMs: number): Promise<void> {
    return this.#visits.drain(deadlineMs);
  }

  serve(request: IncomingMessage, response: ServerResponse, arrival: Arrival): void {
    const bodyComes = !arrival.expectsContinue;
    const exchange: Exchange = { request, response, bodyComes, ...arrival };
    this.#metrics?.count('aegis_api_requests_total');
    // A reader that hangs up makes later writes fail; the close event is where that is handled.
    response.on('error', () => undefined);
    this.#serve(exchange).catch((error: unknown) => this.#fail(exchange, error));
  }

  async #serve(exchange: Exchange): Promise<void> {
    const { request, response } = exchange;
    const { requestsPerSecondMax, requestsPerSecondPerTokenMax } = this.#limits;
    if (!this.#rate.take()) {
      throw busyBy('requestsPerSecondMax', `more than ${requestsPerSecondMax} requests a second`);
    }
    if (this.#tokens === undefined) throw new AegisError('TRY_AGAIN', 'the daemon is starting');
    const scope = admit(request, { hosts: exchange.hosts, tokens: this.#tokens });
    if (scope instanceof Refusal) {
      this.#tellRefused(request, scope);
      return this.#refuse(exchange, scope);
    }
    if (!this.#rateOf[scope].take()) {
      const most = requestsPerSecondPerTokenMax;
      throw busyBy(
        'requestsPerSecondPerTokenMax',
        `more than ${most} requests a second by a token`,
      );
    }
    const found = this.#routing.find(request.method ?? '', request.url ?? '');
    if (found instanceof Refusal) return this.#refuse(exchange, found);
    const route = ROUTES[found.name];
    if (route.scope === 'admin' && scope !== 'admin') {
      throw new AegisError('DENIED', `${route.method} ${route.path} needs the admin token`);
    }
    const visit = this.#visits.enter(response, {
      events: route.reply === 'ndjson',
      waits: found.name === 'node.wait',
    });
    const endpoint = ENDPOINTS[found.name] as unknown as Endpoint;
    const query = parseQuery(endpoint.query, found.search);
    await this.#handle(found, exchange, query, { visit, scope });
  }

  #tellRefused({ socket }: IncomingMessage, { error }: Refusal): void {
    const { remoteAddress } = socket;
    this.#security?.tell({
      type: 'token-refused',
      reason: error.message,
      ...(remoteAddress !== undefined && { address: remoteAddress }),
    });
  }

  async #handle(
    found: Found,
    exchange: Exchange,
    query: Record<string, unknown>,
    { visit, scope }: { visit: Visit; scope: Scope },
  ): Promise<void> {
    const { response, request } = exchange;
    const { signal } = visit;
    const context: CallContext = { signal, scope };
    const limits = this.#limits;
    if (ROUTES[found.name].body === 'none') refuseBody(request);
    switch (found.name) {
      case 'kb.put': {
        visit.begin('body');
        const upload = uploadOf(request, { limits, signal });
        this.#letBodyCome(exchange);
        const put = this.#backend.put(query as Query<'kb.put'>, upload, context);
        return reply(response, 'kb.put', await until(signal, put));
      }
      case 'kb.get': {
        const get = this.#backend.get(query as Query<'kb.get'>, context);
        const download = await until(signal, get);
        return await sendDownload(response, download, { limits, failures: this.#failures });
      }
      case 'kb.each': {
        visit.begin('body');
        const entries = treeOf(request, { limits, signal });
        this.#letBodyCome(exchange);
        const put = this.#backend.versions.putEach(query as Query<'kb.each'>, entries, context);
        return reply(response, 'kb.each', await until(signal, put));
      }
      case 'kb.watch': {
        const records = this.#backend.versions.watch(query as Query<'kb.watch'>, context);
        return await streamRecords(response, records, limits);
      }
      case 'events':
        return await streamEvents(response, { backend: this.#backend, limits, signal });
      case 'node.metrics':
        return sendText(response, 200, MEDIA.text, await until(signal, this.#backend.metrics()));
      case 'failures.show':
        return reply(response, found.name, { id: found.id, failure: this.#failures.get(found.id) });
      default: {
        const body = await this.#jsonBody(found.name, exchange, visit);
        if (isWaiting(found.name, query, body)) visit.begin('wait');
        const handler = HANDLERS[found.name] as (call: JsonCall<RouteName>) => Promise<object>;
        const call = { backend: this.#backend, id: found.id, query, body, context };
        const result = await until(signal, handler(call as unknown as JsonCall<RouteName>));
        return reply(response, found.name, result);
      }
    }
  }

  async #jsonBody(
    name: RouteName,
    exchange: Exchange,
    visit: Visit,
  ): Promise<Record<string, unknown>> {
    if (ROUTES[name].body !== 'json') return {};
    const type = (exchange.request.headers['content-type'] ?? '').split(';')[0]?.trim();
    if (type?.toLowerCase() !== MEDIA.json) {
      throw new AegisError('BAD_REQUEST', `the body must be ${MEDIA.json}`);
    }
    visit.begin('body');
    this.#letBodyCome(exchange);
    const { bodyBytesMax, headTimeoutMs } = this.#limits;
    const options = { idleTimeoutMs: headTimeoutMs, signal: visit.signal };
    const body = await readAll(exchange.request, bodyBytesMax, options);
    visit.end();
    return parseBody((ENDPOINTS[name] as unknown as Endpoint).body, body);
  }

  #letBodyCome(exchange: Exchange): void {
    if (exchange.expectsContinue) exchange.response.writeContinue();
    exchange.bodyComes = true;
  }

  #refuse({ response, bodyComes }: Exchange, refusal: Refusal): void {
    for (const [name, value] of Object.entries(refusal.headers)) response.setHeader(name, value);
    if (!bodyComes) response.setHeader('connection', 'close');
    sendError(response, refusal.error, refusal.status);
  }

  #fail({ response, bodyComes }: Exchange, thrown: unknown): void {
    const error = toAegisError(thrown);
    const knob = error.details['knob'];
    if (typeof knob === 'string' && knob.startsWith('limits.api')) {
      this.#security?.tell({ type: 'limit-reached', knob, reason: 'a request to the API' });
    }
    this.#metrics?.count('aegis_api_errors_total');
    const stack = isAegisError(thrown) ? undefined : (thrown as Error | undefined)?.stack;
    const level = error.code === 'BUG' ? 'error' : 'debug';
    this.#log.write(level, 'a request failed', { code: error.code, message: error.message, stack });
    if (response.headersSent) {
      cutReply(response, error);
      return;
    }
    // A body that never comes leaves nothing that could follow on this connection.
    if (!bodyComes || hasCode(error, 'STALLED', 'INTERRUPTED')) {
      response.setHeader('connection', 'close');
    }
    sendError(response, error);
  }
}

function reply(response: ServerResponse, name: RouteName, result: object): void {
  sendJson(response, 200, { schema: schemaName(name), ...result });
}

/** What is promised, unless the signal comes first: a backend that ignores it holds nobody up. */
async function until<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}

/** Whether the answer comes only when something is final or copied elsewhere. */
function isWaiting(
  name: RouteName,
  query: Readonly<Record<string, unknown>>,
  body: Readonly<Record<string, unknown>>,
): boolean {
  const wait = query['wait'] ?? body['wait'];
  return (
    name === 'node.wait' || name === 'peers.audit' || wait === 'final' || wait === 'replicated'
  );
}

function refuseBody(request: IncomingMessage): void {
  const length = Number(request.headers['content-length'] ?? 0);
  if (length === 0 && request.headers['transfer-encoding'] === undefined) return;
  throw new AegisError('BAD_REQUEST', `${request.method} ${request.url} takes no body`);
}
