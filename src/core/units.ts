/**
 * Branded numbers. A unit is part of the type, so that milliseconds are never added to bytes.
 * These types vanish at run time.
 */
declare const unit: unique symbol;
type Branded<T, U extends string> = T & { readonly [unit]: U };

/** Milliseconds since the Unix epoch, by the clock of this node. Never negative. */
export type Instant = Branded<number, 'Instant'>;
/** A span of time in milliseconds. */
export type Duration = Branded<number, 'Duration'>;

/** A value whose signature or hash has been checked. Machines accept nothing else from outside. */
export type Verified<T> = Branded<T, 'Verified'>;

export const instant = (ms: number): Instant => ms as Instant;
export const duration = (ms: number): Duration => ms as Duration;
/** Call only where the check has just been made. */
export const verified = <T>(value: T): Verified<T> => value as Verified<T>;

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
