/** How the route, Tor and onion services are shown to people. */
import type { Reply } from '../core/api/contract/endpoints.ts';
import type {
  ConnectionClass,
  OnionServiceView,
  RouteMode,
  TorCheck,
  TorState,
  TorStatus,
  TorSummary,
} from '../core/api/contract/tor.ts';
import { counted } from './chain.ts';
import type { Colours } from './colour.ts';
import { ago, bytes, facts, safeText, span, table } from './format.ts';

/** What a route means, for who has not read docs/tor.md. */
const MEANS: Readonly<Record<RouteMode, string>> = {
  off: 'directly; peers and the network see where this node is',
  prefer: 'through Tor where a peer can be reached so, else directly',
  require: 'through Tor or not at all',
};

export const routeText = (route: RouteMode): string => `${route}: ${MEANS[route]}`;

/** Steps down show this node's address to somebody who did not see it before (O6). */
const OPENNESS: readonly RouteMode[] = ['require', 'prefer', 'off'];
export const showsMore = (before: RouteMode, after: RouteMode): boolean =>
  OPENNESS.indexOf(after) > OPENNESS.indexOf(before);

/** `require, ready` for `node status`; only `off` where no Tor is used. */
export function summaryText({ route, state }: TorSummary, paint: Colours): string {
  return route === 'off' ? 'off' : `${route}, ${stateText(state, paint)}`;
}

function stateText(state: TorState, paint: Colours): string {
  if (state === 'ready') return paint.green('ready');
  return state === 'down' ? paint.red(state) : paint.yellow(state);
}

export function torText(status: TorStatus, paint: Colours): string {
  const { route, state, daemon, why, hint } = status;
  const [current, ...before] = status.services;
  return facts([
    ['route', routeText(route)],
    ['state', route === 'off' ? undefined : stateText(state, paint)],
    ['why', why === null ? undefined : paint.yellow(safeText(why))],
    // What it would say of this very command is said below.
    ['hint', hint === null || hint.includes('aegis tor status') ? undefined : safeText(hint)],
    ['tor', daemon === null ? undefined : daemonText(daemon)],
    ['control', maybe(daemon?.control)],
    ['socks', maybe(daemon?.socks)],
    ['bootstrap', bootstrapText(status)],
    ['circuits', circuitsText(status)],
    ['guards', guardsText(status.guards)],
    ['traffic', trafficText(status)],
    ['onion', current === undefined ? undefined : serviceText(current, paint)],
    ...before.map((one) => ['before', serviceText(one, paint)] as const),
    ['exits', route === 'off' ? undefined : status.usesExits ? 'used' : 'not used'],
    ['peers', connectionsText(status)],
  ]);
}

const maybe = (text: string | null | undefined): string | undefined =>
  text === null || text === undefined ? undefined : safeText(text);

function daemonText({ kind, version, pid }: NonNullable<TorStatus['daemon']>): string {
  const which = kind === 'spawn' ? 'our own' : 'of the system';
  const parts = [version === null ? 'version unknown' : safeText(version), which];
  return [...parts, ...(pid === null ? [] : [`process ${pid}`])].join(', ');
}

/** `45 %: Asking for relay descriptors, since 12s, 8.0s left; No route to host (NOROUTE)`. */
export function bootstrapText({ bootstrap }: TorStatus, nowMs?: number): string | undefined {
  if (bootstrap === null) return undefined;
  const { percent, summary, warning, reason, leftMs, startedAt } = bootstrap;
  if (percent === 100) return 'done';
  const since = `began ${ago(startedAt, nowMs)}`;
  const left = leftMs === null ? '' : `, about ${span(leftMs)} left`;
  const because = reason === null ? '' : ` (${safeText(reason)})`;
  const cause = warning === null ? '' : `; ${safeText(warning)}${because}`;
  return `${percent} %: ${safeText(summary)}, ${since}${left}${cause}`;
}

function circuitsText({ hasCircuits, circuits }: TorStatus): string | undefined {
  if (hasCircuits === null) return undefined;
  return hasCircuits ? `${circuits} built` : 'none can be built yet';
}

/** Tor has a list of guards, and uses the first of it that it can. */
function guardsText(guards: TorStatus['guards']): string | undefined {
  const used = guards.filter(({ state }) => state !== 'never-connected');
  if (used.length === 0) return undefined;
  const names = used.map(({ name, fingerprint, state }) => {
    const who = safeText(name ?? `$${fingerprint.slice(0, 8)}`);
    return state === 'up' ? who : `${who} (${safeText(state)})`;
  });
  return names.join(', ');
}

function trafficText({ traffic }: TorStatus): string | undefined {
  if (traffic === null) return undefined;
  return `${bytes(traffic.bytesRead)} in, ${bytes(traffic.bytesWritten)} out`;
}

const CLASSES: readonly ConnectionClass[] = ['onion', 'exit', 'direct'];

function connectionsText({ connections }: TorStatus): string {
  const some = CLASSES.filter((each) => connections[each] > 0);
  return some.map((each) => `${connections[each]} ${each}`).join(', ') || 'none connected';
}

/** `abc.onion:4001, published 3m20s ago, 6 uploads, 12 client keys`. */
export function serviceText(service: OnionServiceView, paint: Colours): string {
  const { address, port, state, publishedAt, uploads, until, why } = service;
  const good = state === 'published';
  const when = publishedAt === null ? '' : ` ${ago(publishedAt)}`;
  const parts = [
    `${safeText(address)}:${port}`,
    (good ? paint.green : paint.yellow)(`${state}${good ? when : ''}`),
    ...(good ? [counted(uploads, 'upload')] : []),
    keysText(service),
    ...(until === null ? [] : [`until ${until}`]),
    ...(why === null ? [] : [paint.yellow(safeText(why))]),
  ];
  return parts.join(', ');
}

const keysText = ({ clientKeys }: OnionServiceView): string =>
  clientKeys === null ? 'open to who knows the address' : counted(clientKeys, 'client key');

/** `yes  transports  there is no TCP transport`, and what to do below, once. */
export function checksText(checks: readonly TorCheck[], paint: Colours): string[] {
  return checks.flatMap((check, i) => {
    const said = checks.slice(0, i).some(({ hint }) => hint === check.hint);
    return checkLines(said ? { ...check, hint: null } : check, paint);
  });
}

function checkLines({ id, verdict, message, hint }: TorCheck, paint: Colours): string[] {
  const marks = {
    yes: paint.green('yes    '),
    no: paint.red('NO     '),
    unknown: paint.yellow('unknown'),
  };
  const line = `${marks[verdict]}  ${safeText(id).padEnd(12)}  ${safeText(message)}`;
  return hint === null ? [line] : [line, `${' '.repeat(23)}${safeText(hint)}`];
}

export function clientsTable(
  { clients }: Reply<'tor.onion'>,
  heading: (text: string) => string,
): string {
  return table(
    clients,
    [
      { title: 'NAME', cell: ({ name }) => name },
      { title: 'NODE', cell: ({ nodeId }) => nodeId },
      { title: 'AS', cell: ({ kind }) => kind },
      { title: 'KEYS', cell: ({ keys }) => keys, align: 'right' },
      { title: 'UNTIL', cell: ({ until }) => until },
    ],
    { heading },
  );
}
