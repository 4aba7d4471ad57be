/**
 * Loaded into a daemon (`--import`), it writes down every destination that Node is asked for: a
 * line of JSON in the file `AEGIS_DETECTOR_FILE` for each connection, datagram, look-up of a name
 * and listener. It sees what this process does through Node, not what a library of its own would do
 * beside it, nor other processes: where the kernel can count, it does (`jail.ts`).
 */
import dgram from 'node:dgram';
import dns from 'node:dns';
import { appendFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

export interface Seen {
  readonly what: 'connect' | 'datagram' | 'lookup' | 'listen';
  /** A host with its port, a name, or the path of a socket. */
  readonly to: string;
}

type Any = (...args: unknown[]) => unknown;
type Holder = Record<string, unknown>;
type Asked = { path: string; host: string; port: number | string; fd: number };

const file = process.env['AEGIS_DETECTOR_FILE'];

const note = (what: Seen['what'], to: string): void =>
  appendFileSync(file!, `${JSON.stringify({ what, to } satisfies Seen)}\n`);

/** Puts `before` in front of a function. */
function watch(holder: Holder, name: string, before: (args: unknown[]) => void): void {
  const original = holder[name];
  if (typeof original !== 'function') return;
  holder[name] = Object.assign(function (this: unknown, ...args: unknown[]) {
    before(args);
    return (original as Any).apply(this, args);
  }, original);
}

/** As `net` reads the arguments of `connect` and `listen`. */
function target(args: unknown[]): string | undefined {
  const [first, second] = Array.isArray(args[0]) ? (args[0] as unknown[]) : args;
  if (typeof first === 'string' && Number.isNaN(Number(first))) return first;
  if (typeof first === 'number' || typeof first === 'string') {
    return `${typeof second === 'string' ? second : 'localhost'}:${first}`;
  }
  const { path, host = 'localhost', port, fd } = (first ?? {}) as Partial<Asked>;
  if (path !== undefined) return path;
  if (fd !== undefined || port === undefined) return undefined;
  return `${host}:${port}`;
}

function noteLookup([name]: unknown[]): void {
  // A number is no name: Node asks nobody for it.
  if (typeof name === 'string' && net.isIP(name) === 0) note('lookup', name);
}

function install(): void {
  const socket = net.Socket.prototype as unknown as Holder;
  watch(socket, 'connect', (args) => note('connect', target(args) ?? 'unknown'));
  const server = net.Server.prototype as unknown as Holder;
  watch(server, 'listen', (args) => {
    const at = target(args);
    // A worker, or a handle that is there already, opens nothing.
    if (at !== undefined) note('listen', at);
  });
  const datagrams = dgram.Socket.prototype as unknown as Holder;
  watch(datagrams, 'send', (args) => {
    const numbers = args.filter((arg) => typeof arg === 'number');
    const host = args.slice(1).find((arg) => typeof arg === 'string');
    note('datagram', `${host ?? 'connected'}:${numbers.at(-1) ?? '-'}`);
  });
  watch(datagrams, 'addMembership', ([group]) => note('datagram', String(group)));
  watch(datagrams, 'connect', ([port, host]) =>
    note('datagram', `${String(host)}:${String(port)}`),
  );
  const names = Object.keys(dns).filter((name) => /^(lookup|resolve|reverse)/.test(name));
  const resolvers = [dns.Resolver.prototype, dns.promises.Resolver.prototype];
  for (const holder of [dns, dns.promises, ...resolvers] as unknown as Holder[]) {
    for (const name of names) watch(holder, name, noteLookup);
  }
  syncBuiltinESMExports();
}

if (file !== undefined) install();
