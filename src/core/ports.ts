/**
 * The outer world, as the protocols see it. Adapters on floor 3 implement these interfaces; the
 * composition roots `node/` and `sim/` marry them to the machines.
 */
import type { Instant } from './units.ts';

export interface Clock {
  now(): Instant;
  /** Calls back once at or after `at`. Returns a function that cancels. */
  wakeAt(at: Instant, wake: () => void): () => void;
}

/** The only source of randomness. */
export interface Random {
  bytes(length: number): Uint8Array;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Structured log. Fields never hold secrets: no keys, passphrases, tokens or document contents. */
export interface Log {
  write(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
  child(room: string): Log;
}

/** Names end in their unit, e.g. `_total`, `_bytes`, `_seconds`. */
export interface Metrics {
  count(name: string, by?: number): void;
  gauge(name: string, value: number): void;
  observe(name: string, value: number): void;
}

/** Content hashing. `code` is the multicodec of the hash, `digest` the raw digest (32 bytes). */
export interface Hasher {
  readonly code: number;
  readonly name: 'blake3' | 'sha2-256';
  digest(bytes: Uint8Array): Uint8Array;
}

/** Signs with a key that never leaves its keystore. */
export interface Signer {
  /** Raw Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Ed25519 signature, 64 bytes, over exactly `message`. */
  sign(message: Uint8Array): Uint8Array;
}

/** Signs votes with one consensus key. */
export interface VoteSigner {
  /** BLS12-381 public key, 48 bytes. */
  readonly publicKey: Uint8Array;
  /** Undefined: refused, or the signer is out of reach; the vote is not cast (G2). */
  sign(message: Uint8Array): Uint8Array | undefined;
}

/** Proves random values with one VRF key. */
export interface SeedProver {
  readonly publicKey: Uint8Array;
  /** Undefined: refused, or the signer is out of reach. */
  prove(alpha: Uint8Array): Uint8Array | undefined;
}

/** The secrets of a node, found by their public keys; around a rotation there are two of a role. */
export interface KeyRing {
  /** A remote signer throws `SIGNER_REFUSED` or `SIGNER_UNREACHABLE` from `sign`. */
  identity(publicKey: Uint8Array): Signer | undefined;
  votes(publicKey: Uint8Array): VoteSigner | undefined;
  seeds(publicKey: Uint8Array): SeedProver | undefined;
  /** Hexadecimal. */
  heldConsensusKeys(): readonly string[];
  /** Resolves when a signer is reached, or has not been for a few seconds. */
  reached?(): Promise<void>;
  /** What is final of the own succession, for a signer that follows no chain itself. */
  settled?(succession: readonly Uint8Array[]): void;
}

/** What a dial returns: an authenticated peer that has passed hello. */
export interface DialedPeer {
  readonly nodeId: string;
  readonly address: string;
}

/** The replicated state as execution sees it: synchronous and read-only. */
export interface StateReader {
  /** @param key hex of 32 bytes. */
  get(key: string): Uint8Array | undefined;
  /**
   * Leaves whose keys begin with `tag` (hex), in the order of their keys.
   * @returns undefined when there are more than `max`.
   */
  under(
    tag: string,
    max: number,
  ): readonly { readonly key: string; readonly value: Uint8Array }[] | undefined;
}

export interface Row {
  readonly key: string;
  readonly value: Uint8Array;
}

export interface RowsQuery {
  readonly table: string;
  /** Inclusive. */
  readonly from: string;
  /** Exclusive; undefined: to the end. */
  readonly to?: string | undefined;
  readonly limit: number;
  /** From the end of the range. */
  readonly isReverse?: boolean | undefined;
}

/**
 * W41: tables as the machines have written them, durable or about to be; read at once. Keys in the
 * order of their bytes.
 */
export interface Rows {
  get(table: string, key: string): Uint8Array | undefined;
  range(query: RowsQuery): readonly Row[];
}

/** Opens connections. The route policy decides which transports exist behind it. */
export interface Dialer {
  /**
   * @param options.timeoutMs by default that of the way to the address (docs/tor.md, O24).
   * @throws {AegisError} `DIAL_FAILED`, `HELLO_REFUSED`, `TIMEOUT`.
   */
  dial(address: string, options?: { timeoutMs?: number }): Promise<DialedPeer>;
}

/** What the security log tells. */
export type SecurityEventType =
  | 'hello-refused'
  | 'token-refused'
  | 'limit-reached'
  | 'flood-began'
  | 'flood-ended'
  | 'peer-muted'
  | 'peer-cut'
  | 'banned'
  | 'unbanned'
  | 'duplicity'
  | 'double-sign'
  | 'liar'
  | 'conflict'
  | 'divergence'
  | 'audit-failed'
  | 'keys-changed'
  | 'runs-twice';

export interface SecurityEvent {
  readonly type: SecurityEventType;
  readonly nodeId?: string;
  /** As it came; the log keeps a keyed hash of it. */
  readonly address?: string;
  /** The setting behind a refusal, e.g. `limits.inboundPerSecond`. */
  readonly knob?: string;
  readonly reason?: string;
  /** How many times, e.g. refusals of a flood. */
  readonly count?: number;
  readonly durationMs?: number;
}

/** Who was turned away, and what was seen of keys; apart from the log. Never throws. */
export interface Security {
  tell(event: SecurityEvent): void;
  /** A name for an address that says nothing to whoever does not have this home. */
  nameOf(address: string): string;
}
