/** The Tor that runs on this machine already: its control and SOCKS ports. Starts nothing. */
import { constants } from 'node:fs';
import { access, open } from 'node:fs/promises';
import { AegisError, hasCode } from '../../errors.ts';
import { type ControlAuth, ControlClient } from '../control/client.ts';
import { shown, unquoted } from '../control/text.ts';
import { endpointText, parseEndpoint, type TorEndpoint } from '../endpoint.ts';
import { TOR_LIMITS } from '../limits.ts';

export interface SystemTorOptions {
  /** Undefined: the usual places are tried. */
  readonly control?: TorEndpoint;
  /** Undefined: Tor is asked. */
  readonly socks?: TorEndpoint;
  /** Holds the control password, for a Tor without a cookie. */
  readonly passwordFile?: string;
}

export interface SystemTor {
  readonly control: TorEndpoint;
  readonly socks: TorEndpoint;
  readonly auth: ControlAuth;
  readonly version: string;
}

/** Tor's own, Debian's, that of Tor Browser. */
const USUAL: readonly TorEndpoint[] = [
  { host: '127.0.0.1', port: 9051 },
  { path: '/run/tor/control' },
  { host: '127.0.0.1', port: 9151 },
];
const TIMEOUT_MS = 5000;

/**
 * @throws {AegisError} `TOR_UNREACHABLE` when none answers; `TOR_DENIED`, `TOR_TOO_OLD` when one
 * does that will not do, and no other.
 */
export async function systemTor(
  options: SystemTorOptions,
  signal?: AbortSignal,
): Promise<SystemTor> {
  const { passwordFile } = options;
  const auth = passwordFile === undefined ? {} : { password: () => passwordIn(passwordFile) };
  const places = options.control === undefined ? USUAL : [options.control];
  let why: AegisError | undefined;
  for (const control of places) {
    try {
      return await ask(control, auth, options.socks, signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (!hasCode(error, 'TOR_UNREACHABLE', 'TOR_DENIED', 'TOR_TOO_OLD')) throw error;
      if (options.control !== undefined) throw error;
      // One that answers and refuses is what the operator meant, sooner than one that is not there.
      if (error.code !== 'TOR_UNREACHABLE') why ??= error;
    }
  }
  const names = USUAL.map(endpointText).join(', ');
  throw why ?? new AegisError('TOR_UNREACHABLE', `no Tor answers at ${names}`);
}

async function ask(
  control: TorEndpoint,
  auth: ControlAuth,
  socks: TorEndpoint | undefined,
  signal: AbortSignal | undefined,
): Promise<SystemTor> {
  const limits = { timeoutMs: TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) };
  const client = await ControlClient.connect(control, auth, limits);
  try {
    const { version } = client;
    return { control, auth, version, socks: socks ?? (await socksOf(client, control)) };
  } finally {
    client.close();
  }
}

/** Tor lists what listens in fact, whatever the torrc says. */
async function socksOf(client: ControlClient, control: TorEndpoint): Promise<TorEndpoint> {
  const { lines } = await client.command('GETINFO net/listeners/socks');
  const text = lines[0]?.text ?? '';
  const listed = [...text.matchAll(/"(?:[^"\\]|\\.)*"/g)].map(([item]) => unquoted(item) ?? '');
  if (listed.length === 0) {
    const message = `the Tor at ${endpointText(control)} has no SOCKS port`;
    throw new AegisError('TOR_UNREACHABLE', message, {
      hint: `Set SocksPort 9050 in its torrc, or name another one with tor.socks.`,
    });
  }
  for (const listener of listed) {
    const endpoint = reachable(listener, control);
    if (endpoint === undefined || ('path' in endpoint && !(await mayOpen(endpoint.path)))) continue;
    return endpoint;
  }
  const message = `this user may open none of the SOCKS ports of Tor: ${shown(listed.join(', '))}`;
  throw new AegisError('TOR_UNREACHABLE', message);
}

/**
 * A listener for every address is dialled on loopback. Where the operator has not named another
 * machine himself, nobody leads us to one: all that goes to Tor would go there in the clear.
 */
function reachable(listener: string, control: TorEndpoint): TorEndpoint | undefined {
  const text = listener.replace(/^0\.0\.0\.0:/, '127.0.0.1:').replace(/^\[::\]:/, '[::1]:');
  let endpoint: TorEndpoint;
  try {
    endpoint = parseEndpoint(text);
  } catch {
    return undefined;
  }
  if ('path' in endpoint || /^127\.|^::1$/.test(endpoint.host)) return endpoint;
  return 'host' in control && control.host === endpoint.host ? endpoint : undefined;
}

const mayOpen = (path: string): Promise<boolean> =>
  access(path, constants.W_OK).then(
    () => true,
    () => false,
  );

/** Read anew for every connection, so that it need not stay in memory. */
async function passwordIn(file: string): Promise<string> {
  try {
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const buffer = Buffer.alloc(TOR_LIMITS.passwordBytes + 1);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
      if (bytesRead > TOR_LIMITS.passwordBytes)
        throw new Error(`more than ${TOR_LIMITS.passwordBytes} bytes`);
      const text = buffer.toString('utf8', 0, bytesRead);
      buffer.fill(0);
      return text.replace(/\r?\n$/, '');
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = `tor.passwordFile, ${file}, cannot be read: ${code ?? message}`;
    throw new AegisError('TOR_DENIED', why, { cause, hint: 'It is read by the user of aegis.' });
  }
}
