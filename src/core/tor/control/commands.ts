/**
 * What aegis asks Tor for, and how it reads the answers. No key is ever part of an error or a log:
 * commands with one are `secret`, and passwords of circuits are not read.
 */
import { assert } from '../../assert.ts';
import { AegisError } from '../../errors.ts';
import type { TorLink } from './link.ts';
import { replyStatusOf } from './refusal.ts';

export { type Circuit, circuits, type Hop, type Stream, streams } from './circuits.ts';

/** What the commands need of a link; tests give their own. */
export type Commander = Pick<TorLink, 'command' | 'getInfo'>;

export interface PowOptions {
  /** Proofs that are served in a second, and at once. */
  readonly queueRate?: number;
  readonly queueBurst?: number;
}

export interface OnionRequest {
  /** `ED25519-V3:` and the base64 of the expanded secret. */
  readonly key: string;
  /** `4001,127.0.0.1:5000` or `4001,unix:/path`. */
  readonly ports: readonly string[];
  readonly flags?: readonly string[];
  /** Public X25519 keys in base32, 52 characters each. None: open to all. */
  readonly clients?: readonly string[];
  readonly maxStreams?: number;
  readonly pow?: PowOptions;
}

const NOT_THERE = 552;

/** Resolves to the address without `.onion`. A refusal has its status in `details.status`. */
export async function addOnion(link: Commander, request: OnionRequest): Promise<string> {
  const { key, ports, clients = [], maxStreams, pow } = request;
  assert(/^ED25519-V3:[A-Za-z0-9+/=]{80,100}$/.test(key), 'a key in the form of ADD_ONION');
  const flags = new Set([...(request.flags ?? []), 'DiscardPK']);
  if (clients.length > 0) flags.add('V3Auth');
  const words = [`Flags=${[...flags].join(',')}`];
  if (maxStreams !== undefined) words.push(`MaxStreams=${maxStreams}`);
  if (pow !== undefined) {
    words.push('PoWDefensesEnabled=1');
    if (pow.queueRate !== undefined) words.push(`PoWQueueRate=${pow.queueRate}`);
    if (pow.queueBurst !== undefined) words.push(`PoWQueueBurst=${pow.queueBurst}`);
  }
  for (const port of ports) {
    // A path with a space would be cut there, and what follows taken for another argument.
    assert(/^[\x21-\x7e]+$/.test(port), 'a target that can be written without quotes');
    words.push(`Port=${port}`);
  }
  for (const client of clients) {
    assert(/^[a-z2-7]{52}$/i.test(client), 'a client key in base32');
    words.push(`ClientAuthV3=${client}`);
  }
  const { lines } = await link.command(`ADD_ONION ${key} ${words.join(' ')}`, { secret: true });
  const id = lines.map(({ text }) => /^ServiceID=([a-z2-7]{56})$/.exec(text)?.[1]).find(Boolean);
  if (id !== undefined) return id;
  throw new AegisError('TOR_FAILED', 'Tor did not say which onion service it made');
}

/** Resolves to whether there was one. `address` is with or without `.onion`, here and below. */
export async function delOnion(link: Commander, address: string): Promise<boolean> {
  return unlessGone(link.command(`DEL_ONION ${serviceIdOf(address)}`));
}

/** Tor keeps the key in memory, for as long as it runs; it replaces that of before. */
export async function addClientKey(
  link: Commander,
  address: string,
  secret: Uint8Array,
): Promise<void> {
  assert(secret.length === 32, 'an X25519 secret has 32 bytes');
  const key = Buffer.from(secret).toString('base64');
  const line = `ONION_CLIENT_AUTH_ADD ${serviceIdOf(address)} x25519:${key}`;
  await link.command(line, { secret: true });
}

/** Resolves to whether there was one. */
export async function removeClientKey(link: Commander, address: string): Promise<boolean> {
  const line = `ONION_CLIENT_AUTH_REMOVE ${serviceIdOf(address)}`;
  const reply = await link.command(line, { secret: true });
  // 251: there was none.
  return reply.lines[0]!.code === 250;
}

/** For which services Tor has a key, without `.onion`. The keys stay in Tor. */
export async function listClientKeys(link: Commander): Promise<string[]> {
  const { lines } = await link.command('ONION_CLIENT_AUTH_VIEW', { secret: true });
  return lines
    .map(({ text }) => /^CLIENT ([a-z2-7]{56})(?: |$)/.exec(text)?.[1])
    .filter((id) => id !== undefined);
}

/**
 * Has Tor fetch the descriptor of a service anew, whatever it has. Resolves when it has begun;
 * the next dial after a moment uses what came.
 */
export async function fetchDescriptor(link: Commander, address: string): Promise<void> {
  await link.command(`HSFETCH ${serviceIdOf(address)}`);
}

export async function signal(
  link: Commander,
  name: 'NEWNYM' | 'ACTIVE' | 'RELOAD' | 'SHUTDOWN' | 'HALT',
): Promise<void> {
  await link.command(`SIGNAL ${name}`);
}

/** Resolves to whether there was one. */
export async function closeCircuit(link: Commander, id: string): Promise<boolean> {
  assert(/^[A-Za-z0-9]{1,16}$/.test(id), 'the id of a circuit');
  return unlessGone(link.command(`CLOSECIRCUIT ${id}`));
}

function serviceIdOf(address: string): string {
  const id = /^([a-z2-7]{56})(?:\.onion)?$/.exec(address)?.[1];
  assert(id !== undefined, 'an onion address that has been checked');
  return id;
}

async function unlessGone(done: Promise<unknown>): Promise<boolean> {
  try {
    await done;
    return true;
  } catch (error) {
    if (replyStatusOf(error) === NOT_THERE) return false;
    throw error;
  }
}
