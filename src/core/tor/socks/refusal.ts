/**
 * What the answer of Tor's SOCKS port means: RFC 1928, section 6, and the extended errors of Tor
 * (proposal 304, `ExtendedErrors`). Without that flag an onion service fails with 01 or 04 only.
 */
import { AegisError, type ErrorCode } from '../../errors.ts';

interface Meaning {
  readonly code: ErrorCode;
  /** What follows the name of what was dialled. */
  readonly says: string;
  readonly hint?: string;
}

const FLAGS_HINT = 'The SOCKS port has no ExtendedErrors, so Tor does not say why: aegis tor check';

const ONION: Readonly<Record<number, Meaning>> = {
  0x01: {
    code: 'ONION_UNREACHABLE',
    says: 'did not take the connection; Tor does not say why',
    hint: 'Its node may be starting, or has just ended; it is tried again.',
  },
  0x02: {
    code: 'EXIT_REFUSED',
    says: 'is refused by the SOCKS port of Tor, which takes no onion addresses',
    hint: 'Its line in the torrc has NoOnionTraffic; take another port with tor.socks.',
  },
  0x03: { code: 'ONION_UNREACHABLE', says: 'cannot be reached: no network' },
  0x04: {
    code: 'ONION_UNREACHABLE',
    says: 'cannot be reached: no usable descriptor, or no way to it',
    hint: FLAGS_HINT,
  },
  0x05: {
    code: 'ONION_UNREACHABLE',
    says: 'is up, and has no such port',
    hint: 'A node of aegis is at port 4001 of its onion address.',
  },
  0x06: { code: 'ONION_UNREACHABLE', says: 'did not answer in the time that Tor gives it' },
  0xf0: { code: 'ONION_NOT_FOUND', says: 'is not published: no directory has a descriptor of it' },
  0xf1: {
    code: 'ONION_UNREACHABLE',
    says: 'has a descriptor that is damaged, or too new for this Tor',
    hint: 'Compare the versions of Tor on both sides; it may also have been replaced meanwhile.',
  },
  0xf2: {
    code: 'ONION_UNREACHABLE',
    says: 'takes no introduction: its introduction points are gone',
    hint: 'Its Tor may have just restarted; it publishes new ones within minutes.',
  },
  0xf3: {
    code: 'ONION_UNREACHABLE',
    says: 'was told where to meet, and did not come (rendezvous failed)',
    hint: 'It may be overloaded, or on a bad network; it is tried again.',
  },
  0xf4: {
    code: 'ONION_AUTH',
    says: 'wants a client key, and Tor has none for it',
    hint: 'This node knows no key that is let in there: aegis cluster rejoin FILE',
  },
  0xf5: {
    code: 'ONION_AUTH',
    says: 'does not take the client key that Tor has for it',
    hint: 'Keys change every 7 days: see the clocks of both; or this node was let out there.',
  },
  0xf6: { code: 'BAD_ONION_ADDRESS', says: 'is no onion address' },
  0xf7: {
    code: 'ONION_UNREACHABLE',
    says: 'did not answer the introduction in time',
    hint: 'It may be overloaded and want a proof of work; it is tried again.',
  },
};

const EXIT: Readonly<Record<number, Meaning>> = {
  0x01: { code: 'DIAL_FAILED', says: 'cannot be reached through Tor, which does not say why' },
  0x02: {
    code: 'EXIT_REFUSED',
    says: 'is refused: by the policy of exits, or by OnionTrafficOnly or SafeSocks of that Tor',
  },
  0x03: { code: 'DIAL_FAILED', says: 'cannot be reached: the exit has no network to it' },
  0x04: {
    code: 'DIAL_FAILED',
    says: 'cannot be reached: the exit knows no such name, or no way to it',
  },
  0x05: { code: 'DIAL_FAILED', says: 'refused the connection of the exit: nothing listens there' },
  0x06: { code: 'TIMEOUT', says: 'did not answer the exit in the time that Tor gives it' },
};

const OTHER: Readonly<Record<number, Meaning>> = {
  0x07: {
    code: 'TOR_FAILED',
    says: 'cannot be asked for there: the proxy does not know CONNECT',
    hint: 'What listens at tor.socks is not the SOCKS port of Tor.',
  },
  0x08: {
    code: 'TOR_FAILED',
    says: 'cannot be asked for there: the proxy does not know such addresses',
    hint: 'What listens at tor.socks is not the SOCKS port of Tor.',
  },
};

export const isOnion = (host: string): boolean => /\.onion\.*$/i.test(host);

/** @param reply the second byte of the answer, not 0. It is in `details.socks`. */
export function socksError(reply: number, host: string, port: number): AegisError {
  const table = isOnion(host) ? ONION : EXIT;
  const meaning = table[reply] ?? OTHER[reply] ?? unknownMeaning(reply, host);
  const { code, says, hint } = meaning;
  const details = { socks: reply, host, port };
  return new AegisError(code, `${nameOf(host, port)} ${says}`, {
    details,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** The request went out and no answer came. */
export function socksLate(host: string, port: number, timeoutMs: number): AegisError {
  const message = `${nameOf(host, port)} did not answer through Tor within ${timeoutMs} ms`;
  const details = { host, port };
  return isOnion(host)
    ? new AegisError('ONION_UNREACHABLE', message, { details, hint: ONION[0xf7]!.hint! })
    : new AegisError('TIMEOUT', message, { details });
}

function unknownMeaning(reply: number, host: string): Meaning {
  const code = isOnion(host) ? 'ONION_UNREACHABLE' : 'DIAL_FAILED';
  const hex = reply.toString(16).padStart(2, '0');
  return { code, says: `cannot be reached: Tor answers ${hex}, which aegis does not know` };
}

const nameOf = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
