/**
 * The circuits and streams of Tor, and whether one of them waits for a proof of work. What Tor does
 * not say of a circuit is undefined; passwords of SOCKS are not read.
 */

import type { TorLink } from './link.ts';
import { pairsOf, shown } from './text.ts';

export interface Hop {
  /** 40 hexadecimal digits. */
  readonly fingerprint: string;
  readonly nickname?: string;
}

export interface Circuit {
  readonly id: string;
  /** `LAUNCHED`, `BUILT`, `GUARD_WAIT`, `EXTENDED`, `FAILED` or `CLOSED`. */
  readonly status: string;
  readonly path: readonly Hop[];
  /** Such as `GENERAL`, `HS_CLIENT_REND`, `HS_SERVICE_INTRO`, `CONFLUX_LINKED`. */
  readonly purpose: string;
  readonly flags: readonly string[];
  readonly hsState?: string;
  /** The service that it is for, 56 characters, without `.onion`. */
  readonly onion?: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt?: number;
  readonly socksUsername?: string;
  readonly confluxId?: string;
  /** The effort of the proof of work that was sent with the introduction. */
  readonly powEffort?: number;
  readonly reason?: string;
}

export interface Stream {
  readonly id: string;
  readonly status: string;
  /** `0` while it has none. */
  readonly circuit: string;
  /** `host:port`. */
  readonly target: string;
}

export async function circuits(link: Pick<TorLink, 'getInfo'>): Promise<Circuit[]> {
  const info = await link.getInfo('circuit-status');
  return linesOf(info['circuit-status']!).map(parseCircuit).filter(isThere);
}

export async function streams(link: Pick<TorLink, 'getInfo'>): Promise<Stream[]> {
  const info = await link.getInfo('stream-status');
  return linesOf(info['stream-status']!).flatMap((line) => {
    const [id, status, circuit, target] = line.split(' ').map(shown);
    if (id === undefined || status === undefined || circuit === undefined) return [];
    return [{ id, status, circuit, target: target ?? '' }];
  });
}

/** A line of `circuit-status`, or the text of an event CIRC. */
export function parseCircuit(line: string): Circuit | undefined {
  const [id, status, third = ''] = line.split(' ');
  if (id === undefined || status === undefined || !/^[A-Za-z0-9]{1,16}$/.test(id)) return undefined;
  const pairs = pairsOf(line);
  const pow = Number(/^v1,([0-9]{1,10})$/.exec(pairs.get('HS_POW') ?? '')?.[1] ?? Number.NaN);
  const createdAt = Date.parse(`${pairs.get('TIME_CREATED') ?? ''}Z`);
  const onion = /^[a-z2-7]{56}$/.exec(pairs.get('REND_QUERY') ?? '')?.[0];
  const text = (name: string): string | undefined => {
    const value = pairs.get(name);
    return value === undefined ? undefined : shown(value);
  };
  return {
    ...{ id, status: shown(status), path: hopsOf(third), purpose: text('PURPOSE') ?? '' },
    flags: (text('BUILD_FLAGS') ?? '').split(',').filter((flag) => flag !== ''),
    ...given('hsState', text('HS_STATE')),
    ...given('onion', onion),
    ...given('createdAt', Number.isNaN(createdAt) ? undefined : createdAt),
    ...given('socksUsername', text('SOCKS_USERNAME')),
    ...given('confluxId', text('CONFLUX_ID')),
    ...given('powEffort', Number.isNaN(pow) ? undefined : pow),
    ...given('reason', text('REASON')),
  };
}

/**
 * What Tor shows of a proof of work for a service. While it works on one, the circuit to the
 * introduction point is built, the rendezvous is ready, and nothing is sent; afterwards the circuit
 * of the rendezvous tells the effort, and waits in the queue of the service.
 */
export function proofOfWork(all: readonly Circuit[], onion: string): 'solving' | 'sent' | 'no' {
  const own = all.filter((circuit) => circuit.onion === onion);
  if (own.some(({ powEffort, purpose }) => powEffort !== undefined && isClient(purpose))) {
    return 'sent';
  }
  const waits = own.some(
    ({ purpose, status, hsState }) =>
      purpose === 'HS_CLIENT_INTRO' && status === 'BUILT' && hsState === 'HSCI_CONNECTING',
  );
  const isReady = own.some(
    ({ purpose, hsState }) =>
      purpose === 'HS_CLIENT_REND' && (hsState ?? '').startsWith('HSCR_ESTABLISHED_'),
  );
  return waits && isReady ? 'solving' : 'no';
}

const isClient = (purpose: string): boolean => purpose.startsWith('HS_CLIENT_');

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

const isThere = <T>(value: T | undefined): value is T => value !== undefined;

/** A field that may be absent, as one that is left out. */
const given = <K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> =>
  value === undefined ? {} : ({ [key]: value } as Record<K, V>);

function hopsOf(text: string): Hop[] {
  if (!text.startsWith('$')) return [];
  return text.split(',').flatMap((hop) => {
    const found = /^\$([0-9A-F]{40})(?:[~=]([A-Za-z0-9]{1,19}))?$/.exec(hop);
    if (found === null) return [];
    return [{ fingerprint: found[1]!, ...given('nickname', found[2]) }];
  });
}
