/**
 * Proves to Tor that we may control it, and has Tor prove that it can read its own cookie file
 * (SAFECOOKIE, control-spec 3.24; O9). The method COOKIE is not used: it would hand the contents of
 * any file of 32 bytes to whoever listens at the port.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { constants, open } from 'node:fs/promises';
import { AegisError, hasCode } from '../../errors.ts';
import type { ControlPipe } from './pipe.ts';
import { replyStatusOf } from './refusal.ts';
import type { ControlReply } from './replies.ts';
import { pairsOf, shown, unquoted } from './text.ts';

/** The oldest series that takes client keys and proof of work with a service, and gets fixes. */
const VERSION_MIN = [0, 4, 8] as const;
const COOKIE_BYTES = 32;
const NONCE_BYTES = 32;
const TO_CONTROLLER = 'Tor safe cookie authentication server-to-controller hash';
const TO_SERVER = 'Tor safe cookie authentication controller-to-server hash';

export interface ControlAuth {
  /** Named by the operator: a Tor that does not offer SAFECOOKIE for it is not let in. */
  readonly cookieFile?: string;
  readonly password?: () => Promise<string> | string;
}

interface Offer {
  readonly methods: readonly string[];
  readonly cookieFile: string | undefined;
  readonly version: string;
}

export interface Admission {
  /** Of Tor. */
  readonly version: string;
  /** `none`: Tor lets everybody in, and nobody has proved to be that Tor. */
  readonly method: 'cookie' | 'password' | 'none';
}

export async function authenticate(
  pipe: ControlPipe,
  auth: ControlAuth,
  signal: AbortSignal,
): Promise<Admission> {
  const offer = offerOf(await pipe.command('PROTOCOLINFO 1', { signal }));
  const { methods, version } = offer;
  const cookieFile = auth.cookieFile ?? offer.cookieFile;
  let why: AegisError | undefined;
  if (methods.includes('SAFECOOKIE') && cookieFile !== undefined) {
    const cookie = await readCookie(cookieFile).catch((error: Error) => {
      why = unreadableError(cookieFile, error);
    });
    if (cookie !== undefined) {
      await withCookie(pipe, cookie, cookieFile, signal);
      return { version: checkVersion(version), method: 'cookie' };
    }
  }
  if (methods.includes('HASHEDPASSWORD') && auth.password !== undefined) {
    await withPassword(pipe, await auth.password(), signal);
    return { version: checkVersion(version), method: 'password' };
  }
  // Whoever named a secret does not want to be let in without.
  const isNamed = auth.cookieFile !== undefined || auth.password !== undefined;
  if (methods.includes('NULL') && !isNamed) {
    await pipe.command('AUTHENTICATE', { signal });
    return { version: checkVersion(version), method: 'none' };
  }
  throw why ?? noMethodError(methods, isNamed);
}

function offerOf({ lines }: ControlReply): Offer {
  const text = (name: string) => lines.find((line) => line.text.startsWith(`${name} `))?.text ?? '';
  const methods = /(?:^| )METHODS=([A-Z0-9,]+)/.exec(text('AUTH'))?.[1]?.split(',') ?? [];
  const cookieFile = pairsOf(text('AUTH')).get('COOKIEFILE');
  const version = unquoted(/Tor=(.*)$/.exec(text('VERSION'))?.[1] ?? '') ?? '';
  return { methods, cookieFile, version: /^[0-9A-Za-z.-]{1,40}/.exec(version)?.[0] ?? '' };
}

/** After a challenge Tor takes nothing but the answer to it on this connection. */
async function withCookie(
  pipe: ControlPipe,
  cookie: Buffer,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    const ours = randomBytes(NONCE_BYTES);
    const challenge = `AUTHCHALLENGE SAFECOOKIE ${ours.toString('hex')}`;
    const { lines } = await pipe.command(challenge, { signal, secret: true });
    const pairs = pairsOf(lines[0]!.text);
    const [hash, theirs] = [hexOf(pairs.get('SERVERHASH')), hexOf(pairs.get('SERVERNONCE'))];
    const proof = (key: string): Buffer =>
      createHmac('sha256', key).update(cookie).update(ours).update(theirs).digest();
    // O9: whoever cannot read the file hears nothing that was made of it.
    if (!timingSafeEqual(hash, proof(TO_CONTROLLER))) throw wrongCookieError(file);
    const answer = proof(TO_SERVER).toString('hex');
    await pipe.command(`AUTHENTICATE ${answer}`, { signal, secret: true });
  } catch (error) {
    // 515: Tor has read another cookie since, or has none.
    throw replyStatusOf(error) === 515 ? wrongCookieError(file, error) : error;
  } finally {
    cookie.fill(0);
  }
}

/** The name may come from whoever listens at the port: a fifo or a device is not waited for. */
async function readCookie(file: string): Promise<Buffer> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = await handle.stat();
    if (!stat.isFile() || stat.size !== COOKIE_BYTES)
      throw new Error('it is no cookie of 32 bytes');
    const cookie = Buffer.alloc(COOKIE_BYTES);
    await handle.read(cookie, 0, COOKIE_BYTES, 0);
    return cookie;
  } finally {
    await handle.close();
  }
}

function hexOf(text = ''): Buffer {
  const bytes = Buffer.from(text, 'hex');
  if (bytes.length === NONCE_BYTES && text.length === 2 * NONCE_BYTES) return bytes;
  throw new AegisError('TOR_UNREACHABLE', 'the control port of Tor gives no proof (AUTHCHALLENGE)');
}

async function withPassword(
  pipe: ControlPipe,
  password: string,
  signal: AbortSignal,
): Promise<void> {
  const hex = Buffer.from(password, 'utf8').toString('hex');
  try {
    await pipe.command(`AUTHENTICATE ${hex}`, { signal, secret: true });
  } catch (error) {
    if (!hasCode(error, 'TOR_DENIED')) throw error;
    throw new AegisError('TOR_DENIED', 'Tor does not take the control password', {
      hint: 'See tor.passwordFile: it holds the password, not its hash (tor --hash-password).',
      details: error.details,
    });
  }
}

export function checkVersion(version: string): string {
  const numbers = version.split('.').map((part) => Number.parseInt(part, 10));
  const at = VERSION_MIN.findIndex((least, index) => numbers[index] !== least);
  const isOld = at >= 0 && !((numbers[at] ?? 0) > VERSION_MIN[at]!);
  if (!isOld) return version;
  const least = VERSION_MIN.join('.');
  throw new AegisError(
    'TOR_TOO_OLD',
    `this Tor is ${version === '' ? 'of no known version' : version}; aegis needs ${least}`,
  );
}

function unreadableError(file: string, cause: Error): AegisError {
  const { code } = cause as NodeJS.ErrnoException;
  const why = code === undefined ? cause.message : code === 'EACCES' ? 'no permission' : code;
  const hint =
    code === 'EACCES'
      ? 'Put the user of aegis into the group of Tor and set CookieAuthFileGroupReadable 1 there.'
      : 'See CookieAuthFile in the torrc, or give the control password with tor.passwordFile.';
  const message = `the cookie file of Tor, ${shown(file)}, cannot be read: ${why}`;
  return new AegisError('TOR_DENIED', message, { hint, cause });
}

function wrongCookieError(file: string, cause?: unknown): AegisError {
  const hint = 'Another Tor listens there, or the file is of one that ran before; see tor.control.';
  const message = `the cookie in ${shown(file)} is not that of this Tor`;
  return new AegisError('TOR_DENIED', message, { hint, cause });
}

function noMethodError(methods: readonly string[], isNamed: boolean): AegisError {
  if (methods.includes('HASHEDPASSWORD') && !methods.includes('SAFECOOKIE')) {
    return new AegisError('TOR_DENIED', 'Tor wants its control password', {
      hint: 'Name the file that holds it with tor.passwordFile.',
    });
  }
  const offered = methods.length === 0 ? 'nothing' : shown(methods.join(', '));
  const message = isNamed
    ? `Tor offers ${offered} to authenticate, and not what was set`
    : `Tor offers ${offered} to authenticate, which aegis does not use`;
  const hint = 'Set CookieAuthentication 1 in the torrc, or a HashedControlPassword.';
  return new AegisError('TOR_DENIED', message, { hint });
}
