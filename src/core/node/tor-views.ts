/**
 * What the API says of Tor, and what an operator may have done about it (docs/tor.md, O6, O11, O17,
 * O21). It shows what the rooms know, and asks Tor for the rest; it decides nothing.
 */
import type { TorBackend } from '../api/backend.ts';
import type { Body, Query, Result } from '../api/contract/endpoints.ts';
import type { OnionServiceView, TorStatus, TorSummary } from '../api/contract/tor.ts';
import type { Settings } from '../config/settings.ts';
import { clientKeyEpochAt } from '../crypto/client-key.ts';
import { ONION_PORT, onionAddressOf } from '../crypto/onion.ts';
import { AegisError } from '../errors.ts';
import type { PeerConnection } from '../network/peer.ts';
import type { Clock } from '../ports.ts';
import { type Circuit, circuits, type Hop, signal, streams } from '../tor/control/commands.ts';
import type { TorLink } from '../tor/control/link.ts';
import { endpointText } from '../tor/endpoint.ts';
import { TOR_LIMITS } from '../tor/limits.ts';
import type { Introductions } from './introductions.ts';
import type { Peers } from './peers.ts';
import type { Routing } from './routing.ts';
import { TorCheck } from './tor-check.ts';

export interface TorViewsDeps {
  readonly routing: Routing;
  readonly settings: Settings;
  /** Where a route is written. */
  readonly configFile: string;
  readonly clock: Clock;
  readonly introductions: Pick<Introductions, 'onionKeysOf'>;
  readonly peers: Pick<Peers, 'nodeIdOf' | 'show'>;
  readonly host: {
    peers(): readonly PeerConnection[];
    addresses(): string[];
    transports(): string[];
    hangUp(nodeId: string): Promise<void>;
  };
  /** Node ids and names of all members. */
  members(): readonly { readonly nodeId: string; readonly name: string }[];
}

type Who = Result<'tor.circuits'>['circuits'][number]['peer'];

/** Monitors ask once a second, each for itself. */
const FRESH_MS = 500;
const EPOCH_MS = 7 * 24 * 3600 * 1000;
const ASKED = ['status/circuit-established', 'traffic/read', 'traffic/written', 'entry-guards'];
const GUARDS_MAX = 60;

interface Asked {
  readonly hasCircuits: boolean | null;
  readonly circuits: number;
  readonly traffic: TorStatus['traffic'];
  readonly guards: TorStatus['guards'];
}

const NOTHING: Asked = { hasCircuits: null, circuits: 0, traffic: null, guards: [] };

export class TorViews implements TorBackend {
  readonly #deps: TorViewsDeps;
  #asked: { readonly at: number; readonly answer: Promise<Asked> } | undefined;

  constructor(deps: TorViewsDeps) {
    this.#deps = deps;
  }

  summary(): TorSummary {
    const { route, tor } = this.#deps.routing;
    return { route: route.mode, state: tor.state, onion: tor.services?.current?.address ?? null };
  }

  async status(): Promise<TorStatus> {
    const { routing } = this.#deps;
    const { route, tor } = routing;
    const { why } = tor;
    return {
      route: route.mode,
      state: tor.state,
      why: why?.message ?? null,
      hint: why?.hint ?? null,
      usesExits: route.usesExits,
      daemon: this.#daemon(),
      bootstrap: this.#bootstrap(),
      ...(await this.#ask()),
      services: this.#services(),
      connections: this.#connections(),
    };
  }

  async route({ mode }: Body<'tor.route'>): Promise<Result<'tor.route'>> {
    const { routing, configFile: settings } = this.#deps;
    const { why, ...change } = await routing.change(mode);
    const { route, tor } = routing;
    return { route: route.mode, state: tor.state, settings, ...change, why: why?.message ?? null };
  }

  async check(
    { target, timeoutMs }: Body<'tor.check'>,
    { signal: until }: { readonly signal: AbortSignal },
  ): Promise<Result<'tor.check'>> {
    this.#requireTor();
    const check = new TorCheck({ timeoutMs, signal: until }, this.#deps);
    if (target === undefined) return { checks: [...(await check.all())], target: null };
    return { checks: [], target: await check.reach(target) };
  }

  async circuits({ streams: wanted }: Query<'tor.circuits'>): Promise<Result<'tor.circuits'>> {
    const link = this.#requireLink();
    const [found, open] = await Promise.all([circuits(link), wanted ? streams(link) : undefined]);
    const shown = found.map((circuit) => this.#circuit(circuit));
    const byId = new Map(shown.map((circuit) => [circuit.id, circuit]));
    const views = open?.map(({ id, status: state, circuit, target }) => ({
      ...{ id, state, target, circuit: circuit === '0' ? null : circuit },
      peer: byId.get(circuit)?.peer ?? null,
      lane: byId.get(circuit)?.lane ?? null,
    }));
    return { circuits: shown, streams: views ?? null };
  }

  /** O11 */
  async newnym({ peer: id }: Body<'tor.newnym'>): Promise<Result<'tor.newnym'>> {
    const link = this.#requireLink();
    const { routing, peers, host } = this.#deps;
    const { isolation } = routing.tor;
    if (id === undefined) {
      isolation.renew();
      await signal(link, 'NEWNYM');
      return { peer: null, disconnected: 0 };
    }
    const nodeId = peers.nodeIdOf(id);
    for (const name of this.#hostsOf(nodeId)) isolation.renew(name);
    const open = host.peers().find((one) => one.nodeId === nodeId);
    await host.hangUp(nodeId);
    return { peer: this.#whoIs(nodeId), disconnected: open?.connections ?? 0 };
  }

  async onion(): Promise<Result<'tor.onion'>> {
    this.#requireTor();
    const { routing, settings, clock } = this.#deps;
    const number = clientKeyEpochAt(clock.now());
    return {
      services: this.#services(),
      clientAuth: settings['tor.clientAuth'] === 'on',
      clientKeysMax: TOR_LIMITS.onionClients,
      epoch: { number, endsAt: timeText((number + 1) * EPOCH_MS) },
      pow: settings['tor.pow'] === 'on',
      clients: clientsOf(routing, (nodeId) => this.#nameOf(nodeId)),
    };
  }

  /** O17 */
  async renew({ cut }: Body<'tor.renew'>): Promise<Result<'tor.renew'>> {
    const link = this.#requireLink();
    const { routing } = this.#deps;
    const { services } = routing.tor;
    const address = services?.current?.address;
    if (address === undefined) throw unpublished();
    const name = address.slice(0, 56);
    const isOurs = ({ purpose, onion }: Circuit) => purpose === 'HS_SERVICE_REND' && onion === name;
    const closed = cut ? (await circuits(link)).filter(isOurs).length : 0;
    const startedAt = performance.now();
    await routing.keeper.renew({ cut });
    return {
      address,
      clientKeys: keysOf(services?.current?.clients),
      circuitsClosed: closed,
      tookMs: Math.round(performance.now() - startedAt),
    };
  }

  #daemon(): TorStatus['daemon'] {
    const { routing, settings } = this.#deps;
    if (!routing.route.usesTor) return null;
    const { tor } = routing.tor;
    if (tor === undefined) {
      const kind = settings['tor.daemon'];
      return { kind, version: null, pid: null, control: null, socks: null };
    }
    const { kind, link, control, socks } = tor;
    const places = { control: endpointText(control), socks: endpointText(socks) };
    return { kind, version: link.version || null, pid: tor.pid() ?? null, ...places };
  }

  #bootstrap(): TorStatus['bootstrap'] {
    const { bootstrap } = this.#deps.routing.tor;
    if (bootstrap === undefined) return null;
    const { percent, tag, summary, warning, reason, startedAt, leftMs } = bootstrap;
    return {
      ...{ percent, tag, summary, warning: warning ?? null, reason: reason ?? null },
      startedAt: timeText(startedAt),
      leftMs: leftMs === undefined ? null : Math.round(leftMs),
    };
  }

  #services(): OnionServiceView[] {
    const services = this.#deps.routing.tor.services?.list() ?? [];
    return services.map(({ address, state, isCurrent, until, ...service }) => ({
      ...{ address, port: ONION_PORT, state, isCurrent, uploads: service.uploads },
      until: until === undefined ? null : timeText(until),
      publishedAt: service.publishedAt === undefined ? null : timeText(service.publishedAt),
      clientKeys: keysOf(service.clients),
      why: service.why ?? null,
    }));
  }

  #connections(): TorStatus['connections'] {
    const counts = { onion: 0, exit: 0, direct: 0 };
    for (const { class: way, connections, lanes } of this.#deps.host.peers()) {
      counts[way] += connections + lanes;
    }
    return counts;
  }

  /** What Tor says of itself; nothing when it is gone in the middle of it. */
  #ask(): Promise<Asked> {
    const { clock, routing } = this.#deps;
    const link = routing.tor.tor?.link;
    if (link?.state !== 'up') return Promise.resolve(NOTHING);
    const now = clock.now();
    if (this.#asked === undefined || now - this.#asked.at > FRESH_MS) {
      this.#asked = { at: now, answer: ask(link).catch(() => NOTHING) };
    }
    return this.#asked.answer;
  }

  #circuit(circuit: Circuit): Result<'tor.circuits'>['circuits'][number] {
    const { isolation } = this.#deps.routing.tor;
    const { socksUsername, onion, createdAt } = circuit;
    const isolated = socksUsername === undefined ? undefined : isolation.whoIs(socksUsername);
    return {
      ...{ id: circuit.id, state: circuit.status },
      purpose: circuit.purpose || null,
      hsState: circuit.hsState ?? null,
      path: circuit.path.map(hopView),
      createdAt: createdAt === undefined ? null : timeText(createdAt),
      peer: isolated === undefined ? null : this.#whoHas(isolated.peer),
      lane: isolated?.purpose ?? null,
      onion: onion === undefined ? null : `${onion}.onion`,
      conflux: circuit.confluxId ?? null,
    };
  }

  /** The onion addresses of a member, as isolation names them, and where it is connected. */
  #hostsOf(nodeId: string): readonly string[] {
    const keys = this.#deps.introductions.onionKeysOf(nodeId);
    const { address } = this.#deps.peers.show(nodeId).peer;
    const other = address?.split('/')[2]?.replace(/:\d+$/, '');
    const onions = keys.map((key) => onionAddressOf(key).slice(0, 56));
    return [...new Set([...onions, ...(other === undefined ? [] : [other])])];
  }

  /** Whose host it is, by the chain or by an open connection. */
  #whoHas(host: string): Who {
    const { introductions, members } = this.#deps;
    const isOf = ({ nodeId }: { readonly nodeId: string }): boolean =>
      introductions.onionKeysOf(nodeId).some((key) => onionAddressOf(key).startsWith(host));
    const open = this.#deps.host.peers().find(({ address }) => address.includes(`/${host}`));
    const nodeId = host.length === 56 ? members().find(isOf)?.nodeId : open?.nodeId;
    return nodeId === undefined ? null : this.#whoIs(nodeId);
  }

  #whoIs = (nodeId: string): NonNullable<Who> => ({ nodeId, name: this.#nameOf(nodeId) });

  #nameOf(nodeId: string): string | null {
    return this.#deps.members().find((member) => member.nodeId === nodeId)?.name ?? null;
  }

  /** @throws {AegisError} `ROUTE_FORBIDS`. */
  #requireTor(): void {
    if (this.#deps.routing.route.usesTor) return;
    throw new AegisError('ROUTE_FORBIDS', 'the route of this node is off: it uses no Tor', {
      hint: 'aegis tor route prefer',
    });
  }

  /** @throws {AegisError} `ROUTE_FORBIDS`; what keeps Tor away. */
  #requireLink(): TorLink {
    this.#requireTor();
    const { tor, why } = this.#deps.routing.tor;
    if (tor?.link.state === 'up') return tor.link;
    throw why ?? new AegisError('TOR_UNREACHABLE', 'there is no control connection to Tor');
  }
}

async function ask(link: TorLink): Promise<Asked> {
  const [info, open] = await Promise.all([link.getInfo(...ASKED), circuits(link)]);
  const [read, written] = [Number(info['traffic/read']), Number(info['traffic/written'])];
  const isCounted = Number.isSafeInteger(read) && Number.isSafeInteger(written);
  return {
    hasCircuits: info['status/circuit-established'] === '1',
    circuits: open.filter(({ status }) => status === 'BUILT').length,
    traffic: isCounted ? { bytesRead: read, bytesWritten: written } : null,
    guards: guardsIn(info['entry-guards'] ?? ''),
  };
}

/** Lines such as `$FINGERPRINT~name up`, or with `=` in the place of `~`. */
const guardsIn = (text: string): TorStatus['guards'] =>
  text
    .split(/\r?\n/)
    .slice(0, GUARDS_MAX)
    .flatMap((line) => {
      const found = /^\$([0-9A-F]{40})(?:[~=]([A-Za-z0-9]{1,19}))? ([a-z-]+)/.exec(line);
      if (found === null) return [];
      const [, fingerprint = '', name = null, state = ''] = found;
      return [{ name, fingerprint, state }];
    });

/** One row for each member or invitation, whatever keys it has. */
function clientsOf(
  { keeper }: Routing,
  nameOf: (nodeId: string) => string | null,
): Result<'tor.onion'>['clients'] {
  const rows = new Map<string, Result<'tor.onion'>['clients'][number]>();
  for (const { kind, id, keys, until } of keeper.clients()) {
    const isMember = kind === 'member';
    const known = rows.get(id);
    rows.set(id, {
      kind,
      nodeId: isMember ? id : null,
      name: isMember ? nameOf(id) : null,
      keys: (known?.keys ?? 0) + keys.length,
      until: isMember || until === undefined ? null : timeText(until),
    });
  }
  return [...rows.values()];
}

const hopView = ({ nickname, fingerprint }: Hop) => ({ name: nickname ?? null, fingerprint });
const timeText = (ms: number): string => new Date(ms).toISOString();
const keysOf = (clients: number | 'open' | undefined): number | null =>
  typeof clients === 'number' ? clients : null;

const unpublished = (): AegisError =>
  new AegisError('TOR_NOT_READY', 'this node has no onion service yet');
