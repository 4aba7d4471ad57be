/** Writes requests: targets, headers, and what a failed connection means. Opens nothing itself. */
import { AegisError, ERRORS, type ErrorCode } from '../../errors.ts';

/** An error as it arrives: nothing in it is certain. */
export interface WireError {
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  readonly hint?: string | undefined;
  readonly exit?: number | undefined;
}

/** Where the API answers and with which token. */
export interface Target {
  /** Path of the unix socket; or `host` and `port`. */
  readonly socket?: string;
  readonly host?: string;
  readonly port?: number;
  readonly token: string;
}

export type QueryValues = Readonly<Record<string, string | number | boolean | undefined>>;

/** Fills `:name` segments and appends the query; every value is percent-encoded. */
export function requestTarget(
  path: string,
  params: Readonly<Record<string, string>> = {},
  query: QueryValues = {},
): string {
  const filled = path.replace(/:([a-z]+)/gi, (_, name: string) => {
    const value = params[name];
    if (value === undefined || value === '') {
      throw new AegisError('BAD_REQUEST', `the ${name} is empty`);
    }
    return encode(value);
  });
  const pairs = Object.entries(query)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${encode(String(value))}`);
  return pairs.length === 0 ? filled : `${filled}?${pairs.join('&')}`;
}

function encode(value: string): string {
  if (!value.isWellFormed()) throw new AegisError('BAD_REQUEST', 'a value is not valid Unicode');
  return encodeURIComponent(value);
}

/** @throws {AegisError} `BAD_REQUEST` for what would not stay inside one request line. */
export function checkRequestLine(method: string, target: string): void {
  if (!/^[A-Z]{1,16}$/.test(method)) {
    throw new AegisError('BAD_REQUEST', `not an HTTP method: ${JSON.stringify(method)}`);
  }
  if (!/^\/[!-~]*$/.test(target)) {
    throw new AegisError('BAD_REQUEST', `not a request path: ${JSON.stringify(target)}`, {
      hint: 'It begins with / and has every other character percent-encoded.',
    });
  }
}

/** The value of the Host header: the server accepts `localhost` on its unix socket. */
export function hostHeader(target: Target): string {
  if (target.socket !== undefined) return 'localhost';
  const host = target.host ?? '127.0.0.1';
  return `${host.includes(':') ? `[${host}]` : host}:${target.port}`;
}

export function authorization(target: Target): string {
  if (!/^[!-~]{1,256}$/.test(target.token)) {
    throw new AegisError('DENIED', 'the API token is not usable', {
      hint: 'The daemon writes it anew at each start; restart the daemon.',
    });
  }
  return `Bearer ${target.token}`;
}

/** What an error of the socket means to the caller. */
export function connectionError(error: NodeJS.ErrnoException, target: Target): AegisError {
  const where = target.socket ?? hostHeader(target);
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
    case 'ENOTSOCK':
      return new AegisError('DAEMON_UNREACHABLE', `no daemon answers at ${where}`, {
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
      return new AegisError('DENIED', `may not connect to ${where}`, {
        cause: error,
        hint: 'The socket belongs to the user that runs the daemon.',
      });
    case 'ECONNRESET':
    case 'EPIPE':
      return new AegisError('STALLED', `the daemon at ${where} hung up`, { cause: error });
    default:
      return new AegisError('DAEMON_UNREACHABLE', `cannot reach ${where}: ${error.message}`, {
        cause: error,
      });
  }
}

/** Turns a reply that is an error into an AegisError; anything unreadable is told by its status. */
export function errorOfReply(status: number, body: Uint8Array): AegisError {
  const error = parseError(body);
  if (error === undefined) {
    return new AegisError('BAD_ENCODING', `the daemon answered with status ${status}`, {
      hint: 'Something else may be listening at this address.',
    });
  }
  return error;
}

function parseError(body: Uint8Array): AegisError | undefined {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    const { schema, error } = parsed as { schema?: unknown; error?: WireError };
    if (schema !== 'aegis.error/1' || typeof error?.message !== 'string') return undefined;
    return errorOfBody(error);
  } catch {
    return undefined;
  }
}

export function errorOfBody(error: WireError): AegisError {
  const options = typeof error.hint === 'string' ? { hint: error.hint } : {};
  return new AegisError(knownCode(error), String(error.message), options);
}

/** A newer daemon may send a code of which this client knows only the exit status. */
function knownCode(error: WireError): ErrorCode {
  const codes = Object.keys(ERRORS) as ErrorCode[];
  const code = codes.find((each) => each === error.code);
  return code ?? codes.find((each) => ERRORS[each].exit === error.exit) ?? 'BUG';
}
