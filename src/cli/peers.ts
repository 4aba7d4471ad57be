/** How peers are shown to people. */
import type { Reply } from '../core/api/contract/endpoints.ts';
import type { Peer } from '../core/api/contract/peers.ts';
import { ago, bytes, facts, safeText, span, table } from './format.ts';

/** Characters of a node id that are enough to recognise it. */
const SHORT_ID = 14;

export const shortId = (nodeId: string | null): string | null => nodeId?.slice(0, SHORT_ID) ?? null;

export const roundTrip = (rttMs: number | null): string | null =>
  rttMs === null ? null : `${rttMs < 10 ? rttMs.toFixed(1) : Math.round(rttMs)} ms`;

/** A frozen member and a banned one are kept away, whatever the dials say. */
function standing({ state, banned, frozen }: Peer): string {
  if (banned) return 'banned';
  return frozen ? `${state}, frozen` : state;
}

export function banText({
  nodeId,
  name,
  banned,
  changed,
  disconnected,
}: Pick<Reply<'peers.ban'>, 'nodeId' | 'name' | 'banned' | 'changed' | 'disconnected'>): string {
  const who = safeText(name ?? nodeId);
  const was = `${who} was ${banned ? 'banned before' : 'not banned'}`;
  const is = `${banned ? 'banned' : 'unbanned'}: ${who}`;
  return `${changed ? is : was}${disconnected ? '\ndisconnected' : ''}`;
}

export function peersTable(peers: readonly Peer[], heading: (text: string) => string): string {
  return table(
    peers,
    [
      { title: 'NAME', cell: (peer) => peer.name },
      { title: 'NODE', cell: (peer) => shortId(peer.nodeId) },
      { title: 'ZONE', cell: (peer) => peer.zone },
      { title: 'STATE', cell: standing },
      { title: 'ROUTE', cell: ({ route }) => route },
      { title: 'RTT', cell: (peer) => roundTrip(peer.rttMs), align: 'right' },
      { title: 'IN', cell: (peer) => bytes(peer.bytesIn), align: 'right' },
      { title: 'OUT', cell: (peer) => bytes(peer.bytesOut), align: 'right' },
      { title: 'SINCE', cell: (peer) => peer.connectedAt && ago(peer.connectedAt) },
      { title: 'ADDRESS', cell: (peer) => peer.address },
      { title: 'LAST ERROR', cell: (peer) => (peer.state === 'connected' ? null : peer.lastError) },
    ],
    { heading },
  );
}

/** `onion, 3 lanes for content`; an address that is not connected goes by none. */
function routeText({ route, lanes }: Peer): string | undefined {
  if (route === null) return undefined;
  return lanes === 0 ? route : `${route}, ${lanes} ${lanes === 1 ? 'lane' : 'lanes'} for content`;
}

const maybe = (text: string | null): string | undefined =>
  text === null ? undefined : safeText(text);

export function peerFacts(peer: Peer): string {
  const next = peer.nextDialAt === null ? undefined : Date.parse(peer.nextDialAt) - Date.now();
  return facts([
    ['name', maybe(peer.name)],
    ['node id', maybe(peer.nodeId)],
    ['peer id', maybe(peer.peerId)],
    ['zone', maybe(peer.zone)],
    ['state', standing(peer)],
    ['key epoch', peer.keyEpoch === null ? undefined : String(peer.keyEpoch)],
    ['address', maybe(peer.address)],
    ['direction', maybe(peer.direction)],
    ['route', routeText(peer)],
    [
      'since',
      peer.connectedAt === null ? undefined : `${peer.connectedAt} (${ago(peer.connectedAt)})`,
    ],
    ['round trip', maybe(roundTrip(peer.rttMs))],
    ['agent', maybe(peer.agent)],
    ['traffic', `${bytes(peer.bytesIn)} in, ${bytes(peer.bytesOut)} out`],
    ['attempts', peer.attempts === 0 ? undefined : `${peer.attempts} failed`],
    ['last error', maybe(peer.lastError)],
    ['next dial', next === undefined ? undefined : `in ${span(next)}`],
  ]);
}
