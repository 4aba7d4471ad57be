/** How circuits and streams are shown to people, and what has changed between two looks. */
import type { TorCircuit, TorCircuitLine, TorStream } from '../core/api/contract/tor.ts';
import { ago, safeText, table } from './format.ts';
import { shortId } from './peers.ts';

/** Of a relay without a name, as Tor's own tools write it. */
const FINGERPRINT_LENGTH = 8;

const pathText = ({ path }: Pick<TorCircuit, 'path'>): string =>
  path
    .map(({ name, fingerprint }) => name ?? `$${fingerprint.slice(0, FINGERPRINT_LENGTH)}`)
    .join(' > ');

/** `HS_CLIENT_REND HSCR_JOINED` */
const purposeText = ({ purpose, hsState }: TorCircuit): string =>
  [purpose, hsState].filter((text) => text !== null).join(' ');

/** Whom it carries: a peer and its lane, or the service that it serves or seeks. */
function carriesText({ peer, lane, onion }: Pick<TorCircuit, 'peer' | 'lane' | 'onion'>): string {
  const who = peer === null ? null : (peer.name ?? shortId(peer.nodeId));
  return [who ?? (onion === null ? null : `${onion.slice(0, 12)}...`), lane]
    .filter((text) => text !== null)
    .join(' ');
}

/** Whether it is a circuit of this node, and not one that Tor has for itself or for others. */
export const carriesSomething = ({ peer, lane, onion }: TorCircuit): boolean =>
  peer !== null || lane !== null || onion !== null;

export function circuitsTable(
  circuits: readonly TorCircuit[],
  heading: (text: string) => string,
): string {
  return table(
    circuits,
    [
      { title: 'ID', cell: ({ id }) => id, align: 'right' },
      { title: 'STATE', cell: ({ state }) => state },
      { title: 'PURPOSE', cell: purposeText },
      { title: 'AGE', cell: ({ createdAt }) => createdAt && ago(createdAt).replace(/ ago$/, '') },
      { title: 'CARRIES', cell: carriesText },
      { title: 'PATH', cell: pathText },
    ],
    { heading },
  );
}

export function streamsTable(
  streams: readonly TorStream[],
  heading: (text: string) => string,
): string {
  return table(
    streams,
    [
      { title: 'STREAM', cell: ({ id }) => id, align: 'right' },
      { title: 'CIRCUIT', cell: ({ circuit }) => circuit, align: 'right' },
      { title: 'STATE', cell: ({ state }) => state },
      { title: 'CARRIES', cell: (stream) => carriesText({ ...stream, onion: null }) },
      { title: 'TARGET', cell: ({ target }) => target },
    ],
    { heading },
  );
}

/** What is new, in another state or carries another one, then what is gone. */
export function circuitChanges(
  before: readonly TorCircuit[],
  now: readonly TorCircuit[],
): TorCircuitLine[] {
  const known = new Map(before.map((circuit) => [circuit.id, JSON.stringify(circuit)]));
  const alive = new Set(now.map(({ id }) => id));
  return [
    ...now
      .filter((circuit) => known.get(circuit.id) !== JSON.stringify(circuit))
      .map((circuit) => ({ type: 'circuit' as const, circuit })),
    ...before
      .filter(({ id }) => !alive.has(id))
      .map((circuit) => ({ type: 'circuit-gone' as const, circuit })),
  ];
}

/** One line of `tor circuits --watch`. */
export function changeLine({ type, circuit }: TorCircuitLine): string {
  const { id, state } = circuit;
  const what = type === 'circuit-gone' ? 'gone' : state;
  const parts = [id.padStart(5), what, purposeText(circuit), carriesText(circuit)];
  return [...parts, pathText(circuit)]
    .filter((text) => text !== '')
    .map(safeText)
    .join('  ');
}
