/**
 * A fake of Tor: its control port and its SOCKS port on unix sockets in a folder, with faults. In a
 * test, or by itself: `node test/helpers/fake-tor.ts --fault stuck` prints its endpoints as JSON
 * and ends with its standard input. It builds no circuits and hides nothing.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { endpointText, type TorEndpoint } from '../../src/core/tor/endpoint.ts';
import { FakeControl } from './fake-tor-control.ts';
import { type SocksRequest, serveSocks } from './fake-tor-socks.ts';

/**
 * What goes wrong. `socks-XX` answers every request with that code.
 * - mute: says nothing from the first; hang: nothing once it is in; half-reply: a reply without its
 *   end; restart: cuts the connection at the next command, once
 * - event-inside: events between the lines of each reply; endless-*: never stops
 * - wrong-cookie: another one than in the file; refuses: takes no proof; open: wants none
 * - old, no-tor, forgetful: SETCONF without effect; stuck, offline: the bootstrap
 * - pow: an onion service that wants a proof of work: no answer, and the circuits show it
 */
const CONTROL_FAULTS = [
  ...['none', 'mute', 'hang', 'half-reply', 'restart', 'event-inside', 'endless-line'],
  ...['endless-reply', 'wrong-cookie', 'refuses', 'open', 'old', 'no-tor', 'forgetful'],
  ...['stuck', 'offline', 'pow'],
];

const DONE = 'NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY="Done"';
const STUCK =
  'WARN BOOTSTRAP PROGRESS=14 TAG=handshake SUMMARY="Handshaking with a relay" ' +
  'WARNING="Connection refused" REASON=CONNECTREFUSED COUNT=5 RECOMMENDATION=warn';
const OFFLINE = 'NOTICE BOOTSTRAP PROGRESS=0 TAG=starting SUMMARY="Starting"';

interface FakeTorOptions {
  readonly fault?: string;
  /** With one the cookie is not offered. */
  readonly password?: string;
  readonly dir?: string;
}

export class FakeTor {
  readonly control: TorEndpoint;
  readonly socks: TorEndpoint;
  readonly cookieFile: string;
  readonly password: string | undefined;
  /** Changes what happens from then on. */
  fault: string;
  cookie = randomBytes(32);
  phase = DONE;
  /** What it says of its SOCKS ports, in place of where they are in fact. */
  listeners: string | undefined;
  /** Lines of circuit-status and stream-status. */
  circuits: string[] = [];
  streams: string[] = [];
  /** What was heard, in order, without secrets. */
  readonly commands: string[] = [];
  readonly requests: SocksRequest[] = [];
  /** `host:port` to where SOCKS leads. */
  readonly targets = new Map<string, TorEndpoint>();
  readonly conf = new Map<string, string>();
  readonly clientKeys = new Set<string>();
  readonly #dir: string;
  readonly #isOwnDir: boolean;
  readonly #controls = new Set<FakeControl>();
  readonly #sockets = new Set<Socket>();
  #servers: Server[] = [];

  private constructor({ fault = 'none', password, dir }: FakeTorOptions) {
    if (!CONTROL_FAULTS.includes(fault) && !fault.startsWith('socks-')) {
      throw new Error(
        `there is no fault ${fault}; there are ${CONTROL_FAULTS.join(', ')}, socks-*`,
      );
    }
    this.#dir = dir ?? mkdtempSync(join(tmpdir(), 'aegis-fake-tor-'));
    this.#isOwnDir = dir === undefined;
    this.fault = fault;
    this.password = password;
    this.control = { path: join(this.#dir, 'control') };
    this.socks = { path: join(this.#dir, 'socks') };
    this.cookieFile = join(this.#dir, 'cookie');
    if (fault === 'stuck') this.phase = STUCK;
    if (fault === 'offline') this.phase = OFFLINE;
  }

  static async start(options: FakeTorOptions = {}): Promise<FakeTor> {
    const tor = new FakeTor(options);
    await tor.#listen();
    return tor;
  }

  get socksText(): string {
    return endpointText(this.socks);
  }

  /** The services of all connections: address without `.onion`, and how it was asked for. */
  get onions(): ReadonlyMap<string, string> {
    return new Map([...this.#controls].flatMap((control) => [...control.onions]));
  }

  hasOnion(id: string): boolean {
    return this.onions.has(id);
  }

  /** An event to everybody who has asked for it, e.g. `STATUS_CLIENT NOTICE ...`. */
  emit(text: string): void {
    for (const control of this.#controls) control.emit(text);
  }

  /** Ends all connections to the control port, and goes on listening. */
  cut(): void {
    for (const control of this.#controls) control.cut();
  }

  /** As Tor does: another cookie, no service, no client key, no event asked for. */
  async restart(): Promise<void> {
    await this.#close();
    this.clientKeys.clear();
    this.conf.clear();
    this.cookie = randomBytes(32);
    await this.#listen();
  }

  /** The service on the other side wants a proof: what the circuits show while Tor works on it. */
  showProofOfWork(onion: string): void {
    const relay = `$${'A'.repeat(40)}~relay0`;
    this.circuits = [
      `7 BUILT ${relay} PURPOSE=HS_CLIENT_INTRO HS_STATE=HSCI_CONNECTING REND_QUERY=${onion}`,
      `8 BUILT ${relay} PURPOSE=HS_CLIENT_REND HS_STATE=HSCR_ESTABLISHED_IDLE REND_QUERY=${onion}`,
    ];
  }

  async stop(): Promise<void> {
    await this.#close();
    if (this.#isOwnDir) rmSync(this.#dir, { recursive: true, force: true });
  }

  async #listen(): Promise<void> {
    const written = this.fault === 'wrong-cookie' ? randomBytes(32) : this.cookie;
    writeFileSync(this.cookieFile, written, { mode: 0o600 });
    const control = createServer((socket) => {
      const one = new FakeControl(this, socket);
      this.#controls.add(one);
      this.#sockets.add(socket);
      socket.on('close', () => {
        this.#controls.delete(one);
        this.#sockets.delete(socket);
      });
    });
    const socks = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      // Clients go away in the middle as they like.
      serveSocks(this, socket).catch(() => socket.destroy());
    });
    control.listen(this.control);
    socks.listen(this.socks);
    this.#servers = [control, socks];
    await Promise.all(this.#servers.map((server) => once(server, 'listening')));
  }

  async #close(): Promise<void> {
    const closed = this.#servers.map((server) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      return promise;
    });
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { fault: { type: 'string' }, dir: { type: 'string' }, password: { type: 'string' } },
  });
  const tor = await FakeTor.start(values);
  const { control, socks, cookieFile } = tor;
  process.stdout.write(`${JSON.stringify({ control, socks, cookieFile })}\n`);
  const end = () => void tor.stop().then(() => process.exit(0));
  process.stdin.on('end', end).resume();
  process.on('SIGTERM', end).on('SIGINT', end);
}
