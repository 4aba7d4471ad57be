/**
 * Looks whether anything of this process can go past Tor (docs/tor.md, O21): at what exists, not at
 * what is meant. Nothing is changed by it; a target is dialled through Tor as the route says.
 */
import type { Result } from '../api/contract/endpoints.ts';
import type { TorCheck as Check } from '../api/contract/tor.ts';
import type { Settings } from '../config/settings.ts';
import { ONION_PORT, parseOnionAddress } from '../crypto/onion.ts';
import { AegisError, hasCode, isAegisError, toAegisError } from '../errors.ts';
import { proofOfWork } from '../tor/control/circuits.ts';
import { addClientKey, circuits } from '../tor/control/commands.ts';
import type { TorLink } from '../tor/control/link.ts';
import { endpointText } from '../tor/endpoint.ts';
import { fetchThrough } from '../tor/http.ts';
import { socksConnect } from '../tor/socks/connect.ts';
import { KeyTrials } from '../tor/transport/client-keys.ts';
import { isLoopbackAddress, type KernelSocket, kernelSockets } from './kernel-sockets.ts';
import type { Routing } from './routing.ts';
import { timeout } from './timeout.ts';

export interface TorCheckOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface TorCheckDeps {
  readonly routing: Routing;
  readonly settings: Settings;
  readonly host: { addresses(): string[]; transports(): string[] };
  /** @default those of this process */
  readonly sockets?: () => Promise<KernelSocket[] | undefined>;
}

type Reached = NonNullable<Result<'tor.check'>['target']>;
type Verdict = Check['verdict'];

/** Never asked of anybody: a SOCKS port that is for onions only refuses it by itself. */
const NO_HOST = 'aegis-check.invalid';
/** Tor refuses it by its checksum, and says why only where it was told to (ExtendedErrors). */
const NO_ONION = `${'a'.repeat(55)}d.onion`;
const PROBE_MS = 10_000;
const BODY_BYTES_MAX = 1024 * 1024;
/** A check that finds much of one kind names the first of it. */
const NAMED_MAX = 3;

export class TorCheck {
  readonly #options: TorCheckOptions;
  readonly #deps: TorCheckDeps;
  readonly #until: AbortSignal;

  constructor(options: TorCheckOptions, deps: TorCheckDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#until = AbortSignal.any([options.signal, timeout(options.timeoutMs)]);
  }

  async all(): Promise<readonly Check[]> {
    const sockets = await (this.#deps.sockets ?? kernelSockets)();
    return [
      this.#transports(),
      this.#sockets(sockets),
      this.#listeners(sockets),
      this.#announced(),
      await this.#asked('control', () => this.#control()),
      await this.#asked('socks-flags', () => this.#socksFlags()),
      await this.#asked('socks-errors', () => this.#socksErrors()),
      await this.#asked('isolation', () => this.#isolation()),
      await this.#asked('own-onion', () => this.#ownOnion()),
    ];
  }

  /** @throws {AegisError} what the dial says, or `BAD_REQUEST`. */
  async reach(target: string): Promise<Reached> {
    const isUrl = /^https?:\/\//i.test(target);
    const { host, port } = isUrl ? urlPlace(target) : placeOf(target);
    const way = /\.onion$/i.test(host) ? 'onion' : 'exit';
    if (way === 'exit' && !this.#deps.routing.route.usesExits) throw noExits(host);
    const startedAt = performance.now();
    const status = isUrl ? await this.#fetch(target) : await this.#touch(host, port);
    const tookMs = Math.round(performance.now() - startedAt);
    return { target, class: way, tookMs, status };
  }

  /** O1 */
  #transports(): Check {
    const { routing, host } = this.#deps;
    const names = host.transports();
    const list = names.length === 0 ? 'none' : names.join(', ');
    const isRight = routing.route.usesTcp || names.every((name) => !/tcp|quic|web|udp/i.test(name));
    if (isRight) return yes('transports', `the transports in this process: ${list}`);
    return no('transports', `a transport that goes past Tor exists: ${list}`, RESTART);
  }

  /** O1, O3 */
  #sockets(sockets: readonly KernelSocket[] | undefined): Check {
    const id = 'sockets';
    if (sockets === undefined) return unknown(id, 'this system does not tell the sockets');
    if (this.#deps.routing.route.usesTcp) {
      return yes(id, `${sockets.length} sockets; direct connections belong to this route`);
    }
    const ways = this.#allowed(sockets);
    const wrong = sockets.filter((socket) => !isLocal(socket, ways));
    if (wrong.length > 0) return no(id, `sockets that go past Tor: ${listOf(wrong)}`, RESTART);
    const dark = sockets.filter(({ kind }) => kind === 'unknown').length;
    if (dark > 0) return unknown(id, `${dark} of ${sockets.length} sockets are in no table`);
    return yes(id, `${sockets.length} sockets: unix ones, and on loopback to Tor and from callers`);
  }

  /** O2 */
  #listeners(sockets: readonly KernelSocket[] | undefined): Check {
    const id = 'listeners';
    if (sockets === undefined) return unknown(id, 'this system does not tell the listeners');
    const listening = sockets.filter(({ isListening, kind }) => isListening && kind === 'tcp');
    const open = listening.filter(({ local = '' }) => !isLoopbackAddress(local));
    if (this.#deps.routing.route.usesTcp) {
      return yes(id, `${listening.length} TCP listeners; direct ones belong to this route`);
    }
    if (open.length > 0)
      return no(id, `a listener that others can reach: ${listOf(open)}`, RESTART);
    if (listening.length === 0) return yes(id, 'no TCP listener');
    return yes(id, `${listening.length} TCP listeners, all on loopback`);
  }

  /** O2 */
  #announced(): Check {
    const { routing, host } = this.#deps;
    const all = routing.addresses(host.addresses());
    const told = routing.route.usesTcp ? [] : [...host.addresses(), ...all];
    const wrong = told.filter((address) => !address.startsWith('/onion3/'));
    if (wrong.length > 0) return no('announced', `announced: ${wrong[0]}`, RESTART);
    return yes('announced', `this node says that it is at ${all.join(', ') || 'no address'}`);
  }

  /** O9 */
  async #control(): Promise<Check> {
    const { link, control } = this.#tor();
    const info = await link.getInfo('version', 'status/circuit-established');
    const place = endpointText(control);
    return yes('control', `Tor ${info['version'] ?? '?'} answers at ${place}`);
  }

  /** O5, O10 */
  async #socksFlags(): Promise<Check> {
    const id = 'socks-flags';
    const { routing } = this.#deps;
    if (routing.route.usesExits) return yes(id, 'exits are used, as the settings say');
    const { kind } = this.#tor();
    const refusal = await this.#probe(NO_HOST, 1);
    if (refusal?.details?.['socks'] === NOT_ALLOWED) {
      return yes(id, 'the SOCKS port is for onion services only');
    }
    const message = 'the SOCKS port takes what is no onion service, though this node asks for none';
    if (kind === 'spawn') return no(id, message, 'Is there a SocksPort in tor.torrc?');
    return unknown(id, message, 'Add OnionTrafficOnly to its SocksPort line in torrc.');
  }

  /** O10 */
  async #socksErrors(): Promise<Check> {
    const id = 'socks-errors';
    const refusal = await this.#probe(NO_ONION, 1);
    const code = refusal?.details?.['socks'];
    if (typeof code === 'number' && code >= EXTENDED) {
      return yes(id, 'the SOCKS port says why a dial fails');
    }
    const hint = 'Add ExtendedErrors to its SocksPort line in torrc.';
    return unknown(id, 'the SOCKS port does not say why a dial fails', hint);
  }

  /** O11: what Tor has on its circuits, not what it was asked for. */
  async #isolation(): Promise<Check> {
    const id = 'isolation';
    const { link } = this.#tor();
    const [text = ''] = Object.values(await link.getInfo('circuit-status'));
    const { isolation } = this.#deps.routing.tor;
    const names = [...text.matchAll(/SOCKS_USERNAME="([^"]*)"/g)].map(([, name = '']) => name);
    const own = new Set(names.filter((name) => isolation.whoIs(name) !== undefined));
    if (own.size === 0) return unknown(id, 'there is no circuit of this node to look at');
    return yes(id, `${own.size} circuits carry one peer and purpose each`);
  }

  async #ownOnion(): Promise<Check> {
    const id = 'own-onion';
    const current = this.#deps.routing.tor.services?.current;
    if (current === undefined) return no(id, 'there is no onion service');
    if (current.state !== 'published') {
      const hint =
        current.why ?? 'Tor has no network yet, or it takes some seconds: aegis tor status';
      return no(id, `the onion service is ${current.state}`, hint);
    }
    const startedAt = performance.now();
    await this.#touch(current.address, ONION_PORT);
    const tookMs = Math.round(performance.now() - startedAt);
    return yes(id, `${current.address} answers through Tor, in ${tookMs} ms`);
  }

  /** One question to Tor: what keeps it from being answered is no leak. */
  async #asked(id: string, ask: () => Promise<Check>): Promise<Check> {
    try {
      this.#until.throwIfAborted();
      return await ask();
    } catch (error) {
      const { message, hint } = toAegisError(error);
      const isOwn = id === 'own-onion' || id === 'control';
      const isWrong = isOwn && isAegisError(error) && !this.#until.aborted;
      return isWrong ? no(id, message, hint) : unknown(id, message, hint);
    }
  }

  /** @returns how Tor refuses; undefined when it does not. */
  async #probe(host: string, port: number): Promise<AegisError | undefined> {
    const proxy = this.#deps.routing.tor.proxy();
    try {
      const isolation = this.#deps.routing.tor.isolation.of('check', host.replace(/\.onion$/i, ''));
      const options = { signal: this.#until, timeoutMs: PROBE_MS };
      const socket = await socksConnect({ proxy, host, port, isolation }, options);
      socket.destroy();
      return undefined;
    } catch (error) {
      this.#until.throwIfAborted();
      return toAegisError(error);
    }
  }

  /** Connects and ends it. @returns null: there is no status of HTTP. */
  async #touch(host: string, port: number): Promise<null> {
    const { tor, clients } = this.#deps.routing;
    const proxy = tor.proxy();
    const isolation = tor.isolation.of('check', host.replace(/\.onion$/i, ''));
    // Before the time of the whole check is over: what the dial says tells more.
    const timeoutMs = Math.ceil(0.9 * this.#options.timeoutMs);
    const dial = async () => {
      const socket = await socksConnect(
        { proxy, host, port, isolation },
        { signal: this.#until, timeoutMs },
      );
      socket.destroy();
    };
    if (!/\.onion$/i.test(host)) await dial();
    else {
      const { link } = this.#tor();
      const install = (address: string, secret: Uint8Array) => addClientKey(link, address, secret);
      const secrets = clients.candidates(parseOnionAddress(host));
      const trial = { address: host, secrets, signal: this.#until, dial };
      await new KeyTrials({ install }).dial(trial).catch(async (error: unknown) => {
        throw await busyOr(error, link, host);
      });
    }
    return null;
  }

  async #fetch(url: string): Promise<number> {
    const { tor, route } = this.#deps.routing;
    const { hostname } = new URL(url);
    const answer = await fetchThrough(url, {
      proxy: tor.proxy(),
      isolation: tor.isolation.of('check', hostname),
      maxBytes: BODY_BYTES_MAX,
      signal: this.#until,
      admits: (at) => {
        if (!route.usesExits && !/\.onion$/i.test(at.hostname)) throw noExits(at.hostname);
      },
    });
    return answer.status;
  }

  /** Where this process may be connected to, and which ports of it others call. */
  #allowed(sockets: readonly KernelSocket[]): Ways {
    const { tor } = this.#deps.routing.tor;
    const ends = tor === undefined ? [] : [tor.control, tor.socks].map(endpointText);
    const { 'tor.control': control, 'tor.socks': socks } = this.#deps.settings;
    const all = [...ends, control, socks].filter((one) => one !== undefined);
    const remotes = new Set(all.map((one) => one.replace(/^localhost:/, '127.0.0.1:')));
    const listening = sockets.filter(({ isListening }) => isListening);
    return { remotes, ports: new Set(listening.map(({ local }) => portOf(local))) };
  }

  #tor() {
    const { tor, why } = this.#deps.routing.tor;
    if (tor?.link.state === 'up') return tor;
    throw why ?? new AegisError('TOR_UNREACHABLE', 'there is no control connection to Tor');
  }
}

/** O20: a service that wants work answers late or not at all; only the circuits say why. */
async function busyOr(failure: unknown, link: TorLink, host: string): Promise<unknown> {
  if (!hasCode(failure, 'ONION_UNREACHABLE')) return failure;
  const all = await circuits(link).catch(() => []);
  const work = proofOfWork(all, host.replace(/\.onion$/i, '').toLowerCase());
  if (work === 'no') return failure;
  const what = work === 'solving' ? 'Tor works on it' : 'it waits in the queue of the service';
  return new AegisError('TOR_BUSY', `${host} wants a proof of work first: ${what}`);
}

/** SOCKS: not allowed by the rule set. */
const NOT_ALLOWED = 2;
/** From here on Tor's own codes. */
const EXTENDED = 0xf0;
const RESTART = 'Stop this node now, and tell the makers of aegis: aegis node stop';

interface Ways {
  readonly remotes: ReadonlySet<string>;
  readonly ports: ReadonlySet<string>;
}

/** Unix sockets, loopback listeners and their callers, and what leads to Tor. */
function isLocal({ kind, local = '', remote, isListening }: KernelSocket, ways: Ways): boolean {
  if (kind === 'unix' || kind === 'unknown') return true;
  if (kind === 'udp') return false;
  if (remote !== undefined && ways.remotes.has(remote)) return true;
  if (!isLoopbackAddress(local)) return false;
  if (isListening || remote === undefined) return true;
  return isLoopbackAddress(remote) && ways.ports.has(portOf(local));
}

const portOf = (address = ''): string => /\d+$/.exec(address)?.[0] ?? '';

const listOf = (sockets: readonly KernelSocket[]): string => {
  const names = sockets.map(({ kind, local, remote }) =>
    [kind, local, ...(remote === undefined ? [] : ['to', remote])].join(' '),
  );
  const more = names.length > NAMED_MAX ? ` and ${names.length - NAMED_MAX} more` : '';
  return `${names.slice(0, NAMED_MAX).join('; ')}${more}`;
};

function placeOf(target: string): { readonly host: string; readonly port: number } {
  const found = /^(?:\[([0-9a-fA-F:]+)\]|([^:/\s]{1,253}))(?::(\d{1,5}))?$/.exec(target);
  // With a dot at its end it would be a name that an exit is asked for.
  const host = (found?.[1] ?? found?.[2])?.replace(/\.$/, '');
  const port = Number(found?.[3] ?? (/\.onion$/i.test(host ?? '') ? ONION_PORT : 0));
  if (host !== undefined && port >= 1 && port <= 65_535) return { host, port };
  throw new AegisError('BAD_REQUEST', `${target.slice(0, 100)} is no place to dial`, {
    hint: 'Write an onion address, HOST:PORT, or a URL.',
  });
}

function urlPlace(url: string): { readonly host: string; readonly port: number } {
  if (!URL.canParse(url)) throw new AegisError('BAD_REQUEST', `${url.slice(0, 100)} is no URL`);
  return { host: new URL(url).hostname.replace(/\.$/, ''), port: 0 };
}

const noExits = (host: string): AegisError =>
  new AegisError('ROUTE_FORBIDS', `${host} is no onion service, and this route uses no exits`, {
    hint: 'Exits are a choice: aegis config set tor.exits on',
  });

const check = (id: string, verdict: Verdict, message: string, hint?: string): Check => ({
  ...{ id, verdict, message, hint: hint ?? null },
});
const yes = (id: string, message: string): Check => check(id, 'yes', message);
const no = (id: string, message: string, hint?: string): Check => check(id, 'no', message, hint);
const unknown = (id: string, message: string, hint?: string): Check =>
  check(id, 'unknown', message, hint);
