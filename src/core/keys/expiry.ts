/** When keys should be replaced (docs/keys.md, S7). One past its expiry works; people are told. */
import type { KeyState } from '../model/succession.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Days before an expiry at which people are warned; after the last, and later, every day. */
const WARNED_DAYS = [30, 7, 1] as const;

const EXPIRING_ROLES = ['identity', 'network', 'consensus', 'onion'] as const;
export type ExpiringRole = (typeof EXPIRING_ROLES)[number];

export interface Expiry {
  readonly role: ExpiringRole;
  readonly expiresAt: number;
  /** Begun days; 0 and less: it is over. */
  readonly daysLeft: number;
}

/** Keys that expire within 30 days, or have. */
export function expiriesOf({ expiresAt }: KeyState, now: number): Expiry[] {
  return EXPIRING_ROLES.flatMap((role) => {
    const at = expiresAt[role];
    const daysLeft = Math.ceil((at - now) / DAY_MS);
    return daysLeft > WARNED_DAYS[0] ? [] : [{ role, expiresAt: at, daysLeft }];
  });
}

/** Two warnings of one mark are the same one. */
export function markOf({ role, expiresAt, daysLeft }: Expiry): string {
  const step = WARNED_DAYS.findLast((days) => daysLeft <= days) ?? WARNED_DAYS[0];
  return `${role} ${expiresAt} ${daysLeft > 0 ? step : daysLeft}`;
}

/** One plain sentence without a full stop. */
export function expiryText({ role, daysLeft }: Expiry): string {
  const days = (count: number): string => (count === 1 ? '1 day' : `${count} days`);
  const when = daysLeft > 0 ? `expires in ${days(daysLeft)}` : `has expired ${ago(-daysLeft)}`;
  return `the ${role} key ${when}: aegis keys rotate --${role}`;
}

const ago = (days: number): string =>
  days === 0 ? 'today' : days === 1 ? '1 day ago' : `${days} days ago`;
