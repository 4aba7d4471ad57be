/** The control port of the fake Tor: one connection. It knows what aegis asks, and no more. */
import { createHmac, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { onionAddressOf } from '../../src/core/crypto/onion.ts';
import { onionPublicKeyOf } from '../../src/core/crypto/onion-secret.ts';
import type { FakeTor } from './fake-tor.ts';

const HASH = 'Tor safe cookie authentication server-to-controller hash';
const PROOF = 'Tor safe cookie authentication controller-to-server hash';
const EVENTS = 'CIRC STREAM HS_DESC STATUS_CLIENT STATUS_GENERAL NETWORK_LIVENESS SIGNAL CIRC_BW';
const OPEN_VERBS = new Set(['PROTOCOLINFO', 'AUTHCHALLENGE', 'AUTHENTICATE', 'QUIT']);

export class FakeControl {
  readonly #tor: FakeTor;
  readonly #socket: Socket;
  #text = '';
  #isIn = false;
  #expected: string | undefined;
  /** Services end with the connection that made them. */
  readonly onions = new Map<string, string>();
  events: ReadonlySet<string> = new Set();

  constructor(tor: FakeTor, socket: Socket) {
    this.#tor = tor;
    this.#socket = socket;
    socket.setEncoding('latin1').on('error', () => {});
    if (tor.fault === 'no-tor') socket.end('HTTP/1.0 501 Tor is not an HTTP Proxy\r\n\r\n');
    socket.on('data', (text: string) => {
      this.#text += text;
      for (let at = this.#text.indexOf('\r\n'); at >= 0; at = this.#text.indexOf('\r\n')) {
        const line = this.#text.slice(0, at);
        this.#text = this.#text.slice(at + 2);
        this.#onCommand(line);
      }
    });
  }

  emit(text: string): void {
    if (this.#isIn && this.events.has(text.split(' ')[0]!)) this.#write([`650 ${text}`]);
  }

  cut(): void {
    this.#socket.destroy();
  }

  #onCommand(line: string): void {
    const [verb = '', ...words] = line.split(' ');
    const tor = this.#tor;
    // Keys and proofs are not kept.
    tor.commands.push(
      OPEN_VERBS.has(verb) ? verb : line.replace(/(?<=:)[A-Za-z0-9+/=]{40,}/, '...'),
    );
    if (tor.fault === 'mute' || (tor.fault === 'hang' && this.#isIn)) return;
    if (tor.fault === 'restart' && this.#isIn) {
      tor.fault = 'none';
      this.cut();
      return;
    }
    if (!this.#isIn && !OPEN_VERBS.has(verb)) {
      this.#write(['514 Authentication required.']);
      return;
    }
    this.#reply(this.#answer(verb, words, line));
  }

  #reply(lines: readonly string[]): void {
    const [{ fault }, isIn] = [this.#tor, this.#isIn];
    const event = '650 STATUS_CLIENT NOTICE CIRCUIT_ESTABLISHED';
    const asynchronous = ['650-HS_DESC RECEIVED x', '650 second line', event];
    if (fault === 'endless-line' && isIn) return this.#flood('250-x='.padEnd(4096, 'y'));
    if (fault === 'endless-reply' && isIn) return this.#flood('250-version=x\r\n'.repeat(4096));
    if (fault === 'event-inside' && isIn) {
      // Between `+` and its point all lines are data.
      const at = lines[0]![3] === '+' ? 0 : 1;
      this.#write([...lines.slice(0, at), ...asynchronous, ...lines.slice(at), event]);
    } else if (fault === 'half-reply' && isIn) {
      this.#socket.write(lines.join('\r\n').slice(0, -1), 'latin1');
    } else {
      this.#write(lines);
    }
  }

  /** For as long as the other side takes it. */
  #flood(piece: string): void {
    const go = (): void => {
      while (!this.#socket.destroyed && this.#socket.write(piece, 'latin1'));
      if (!this.#socket.destroyed) this.#socket.once('drain', go);
    };
    go();
  }

  #write(lines: readonly string[]): void {
    this.#socket.write(`${lines.join('\r\n')}\r\n`, 'latin1');
  }

  #answer(verb: string, words: readonly string[], line: string): string[] {
    const tor = this.#tor;
    switch (verb) {
      case 'PROTOCOLINFO':
        return this.#protocolInfo();
      case 'AUTHCHALLENGE':
        return this.#challenge(words[1]!);
      case 'AUTHENTICATE':
        return this.#authenticate(words[0] ?? '');
      case 'GETINFO':
        return this.#info(words);
      case 'GETCONF':
        return words.map((key) => {
          const value = tor.conf.get(key.toLowerCase());
          return `250 ${key}${value === undefined ? '' : `=${value}`}`;
        });
      case 'SETCONF':
        return this.#setConf(line);
      case 'SETEVENTS':
        return this.#setEvents(words);
      case 'ADD_ONION':
        return this.#addOnion(words);
      case 'DEL_ONION':
        return this.onions.delete(words[0]!) ? ['250 OK'] : ['552 Unknown Onion Service id'];
      case 'ONION_CLIENT_AUTH_ADD':
        tor.clientKeys.add(words[0]!);
        return ['250 OK'];
      case 'ONION_CLIENT_AUTH_REMOVE':
        return tor.clientKeys.delete(words[0]!) ? ['250 OK'] : ['251 No credentials'];
      case 'ONION_CLIENT_AUTH_VIEW': {
        const rows = [...tor.clientKeys].map((id) => `250-CLIENT ${id} x25519:c2VjcmV0`);
        return ['250-ONION_CLIENT_AUTH_VIEW', ...rows, '250 OK'];
      }
      case 'CLOSECIRCUIT': {
        const at = tor.circuits.findIndex((circuit) => circuit.startsWith(`${words[0]} `));
        if (at < 0) return [`552 Unknown circuit "${words[0]}"`];
        tor.circuits.splice(at, 1);
        return ['250 OK'];
      }
      case 'TAKEOWNERSHIP':
      case 'SIGNAL':
        return ['250 OK'];
      default:
        return [`510 Unrecognized command "${verb}"`];
    }
  }

  #protocolInfo(): string[] {
    const { password, fault, cookieFile } = this.#tor;
    const methods =
      password === undefined ? `COOKIE,SAFECOOKIE COOKIEFILE="${cookieFile}"` : 'HASHEDPASSWORD';
    const auth = fault === 'open' ? 'NULL' : methods;
    const version = fault === 'old' ? '0.4.5.16' : '0.4.9.11';
    return [
      '250-PROTOCOLINFO 1',
      `250-AUTH METHODS=${auth}`,
      `250-VERSION Tor="${version}"`,
      '250 OK',
    ];
  }

  #challenge(nonce: string): string[] {
    const theirs = randomBytes(32);
    const text = Buffer.concat([this.#tor.cookie, Buffer.from(nonce, 'hex'), theirs]);
    const mac = (key: string): string => createHmac('sha256', key).update(text).digest('hex');
    this.#expected = mac(PROOF);
    const hash = mac(HASH).toUpperCase();
    const hex = theirs.toString('hex').toUpperCase();
    return [`250 AUTHCHALLENGE SERVERHASH=${hash} SERVERNONCE=${hex}`];
  }

  #authenticate(proof: string): string[] {
    const { password, fault } = this.#tor;
    const wanted = password === undefined ? this.#expected : Buffer.from(password).toString('hex');
    if (fault !== 'open' && (fault === 'refuses' || proof !== wanted)) {
      return ['515 Authentication failed: Authentication cookie did not match expected value.'];
    }
    this.#isIn = true;
    return ['250 OK'];
  }

  #info(keys: readonly string[]): string[] {
    const tor = this.#tor;
    const answers: Record<string, string> = {
      version: '0.4.9.11',
      'events/names': EVENTS,
      'status/bootstrap-phase': tor.phase,
      'status/circuit-established': tor.phase.includes('PROGRESS=100') ? '1' : '0',
      'network-liveness': 'up',
      dormant: '0',
      'net/listeners/socks': tor.listeners ?? `"${tor.socksText}"`,
      'onions/current': [...this.onions.keys()].join('\n'),
    };
    const lines: string[] = [];
    for (const key of keys) {
      const answer = answers[key];
      if (key === 'circuit-status') lines.push('250+circuit-status=', ...tor.circuits, '.');
      else if (key === 'stream-status') lines.push('250+stream-status=', ...tor.streams, '.');
      else if (answer === undefined) return [`552 Unrecognized key "${key}"`];
      else lines.push(`250-${key}=${answer}`);
    }
    return [...lines, '250 OK'];
  }

  #setConf(line: string): string[] {
    for (const found of line.matchAll(/ ([A-Za-z_]+)=("(?:[^"\\]|\\.)*")/g)) {
      // One that takes everything and keeps nothing.
      if (this.#tor.fault !== 'forgetful') this.#tor.conf.set(found[1]!.toLowerCase(), found[2]!);
    }
    return ['250 OK'];
  }

  #setEvents(types: readonly string[]): string[] {
    const unknown = types.find((type) => !EVENTS.split(' ').includes(type));
    if (unknown !== undefined) return [`552 Unrecognized event "${unknown}"`];
    this.events = new Set(types);
    return ['250 OK'];
  }

  #addOnion(words: readonly string[]): string[] {
    const secret = Buffer.from(words[0]!.split(':')[1] ?? '', 'base64');
    if (secret.length !== 64) return ['512 Failed to decode ED25519-V3 key'];
    const id = onionAddressOf(onionPublicKeyOf(secret)).replace('.onion', '');
    if (this.#tor.hasOnion(id)) return ['550 Onion address collision'];
    this.onions.set(id, words.slice(1).join(' '));
    setImmediate(() => {
      this.emit(`HS_DESC UPLOAD ${id} UNKNOWN $${'A'.repeat(40)}~relay0 desc HSDIR_INDEX=x`);
      this.emit(`HS_DESC UPLOADED ${id} UNKNOWN $${'A'.repeat(40)}~relay0`);
    });
    return [`250-ServiceID=${id}`, '250 OK'];
  }
}
