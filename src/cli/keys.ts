/** What the commands of `keys` share. */
import type { KeysListResult } from '../core/api/contract/keys.ts';
import { expiriesOf, expiryText } from '../core/keys/expiry.ts';
import type { Inspection, KeyEntry } from '../core/keys/home.ts';
import type { CertifiedRole } from '../core/model/succession.ts';

export const KEY_ROLE_NAMES = ['identity', 'next', 'network', 'consensus', 'vrf', 'onion'] as const;

const DAY_MS = 24 * 3600 * 1000;

/** `identity, network`, for people. */
export const rolesText = (roles: readonly CertifiedRole[]): string =>
  roles.length === 0 ? 'no key' : roles.join(', ');

/** One key as `keys list` and `keys show` tell it. */
export function describeKey(
  { role, path, file, mode }: KeyEntry,
  { current }: Inspection,
  fingerprint: (id: string) => string,
  now: number,
): KeysListResult['keys'][0] {
  const certified = role === 'vrf' ? 'consensus' : role;
  const at = certified === 'next' ? undefined : current.expiresAt[certified];
  return {
    role,
    type: file.type,
    publicKey: file.public.key,
    createdAt: file.createdAt,
    path,
    mode: mode.toString(8).padStart(3, '0'),
    private: (mode & 0o077) === 0,
    fingerprint: fingerprint(file.public.key),
    expiresAt: at === undefined ? null : new Date(at).toISOString(),
    daysLeft: at === undefined ? null : Math.ceil((at - now) / DAY_MS),
  };
}

/** `12 days left`, for people. */
export function daysText(daysLeft: number | null): string {
  if (daysLeft === null) return '';
  if (daysLeft <= 0) return 'over';
  return daysLeft === 1 ? '1 day left' : `${daysLeft} days left`;
}

/** What an operator should know of the keys of a home, in plain sentences. */
export function warningsOf(home: Inspection, now: number): string[] {
  const warnings = expiriesOf(home.current, now).map(expiryText);
  const { lost, pending, restored } = home;
  const missing = lost.filter((role) => !home.keys.some((entry) => entry.role === role));
  if (missing.length > 0) {
    warnings.push(`the keys in force of these roles are not in this home: ${missing.join(', ')}`);
  }
  if (restored !== undefined) {
    warnings.push('restored from a backup, it does not vote: aegis keys rotate --consensus');
  }
  if (pending !== undefined) {
    const names = rolesText(pending.entry.succession.replaced);
    warnings.push(`rotation ${pending.after.number} (${names}) is not final: aegis keys rotate`);
  }
  return warnings;
}
