/** What aegis asks Tor for. (Being filled.) */
import type { TorLink } from './link.ts';

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
  /** Public X25519 keys in base32, 52 characters each. */
  readonly clients?: readonly string[];
  readonly maxStreams?: number;
  readonly pow?: PowOptions;
}
export interface Hop {
  /** 40 hexadecimal digits. */
  readonly fingerprint: string;
  readonly nickname?: string;
}
export interface Circuit {
  readonly id: string;
  readonly status: string;
  readonly path: readonly Hop[];
  readonly purpose: string;
  readonly flags: readonly string[];
  readonly hsState?: string;
  /** 56 characters, without `.onion`. */
  readonly onion?: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt?: number;
  readonly socksUsername?: string;
  readonly confluxId?: string;
  readonly reason?: string;
}
export interface Stream {
  readonly id: string;
  readonly status: string;
  readonly circuit: string;
  readonly target: string;
}

/** Resolves to the address without `.onion`. */
export function addOnion(_link: Commander, _request: OnionRequest): Promise<string> {
  throw new Error('not yet');
}
/** `address` with or without `.onion`, in all of these. */
export function delOnion(_link: Commander, _address: string): Promise<void> {
  throw new Error('not yet');
}
export function addClientKey(
  _link: Commander,
  _address: string,
  _secret: Uint8Array,
): Promise<void> {
  throw new Error('not yet');
}
export function removeClientKey(_link: Commander, _address: string): Promise<void> {
  throw new Error('not yet');
}
/** Addresses only: no key leaves Tor. */
export function listClientKeys(_link: Commander): Promise<string[]> {
  throw new Error('not yet');
}
export function signal(
  _link: Commander,
  _name: 'NEWNYM' | 'ACTIVE' | 'RELOAD' | 'SHUTDOWN',
): Promise<void> {
  throw new Error('not yet');
}
export function closeCircuit(_link: Commander, _id: string): Promise<void> {
  throw new Error('not yet');
}
export function circuits(_link: Commander): Promise<Circuit[]> {
  throw new Error('not yet');
}
export function streams(_link: Commander): Promise<Stream[]> {
  throw new Error('not yet');
}
