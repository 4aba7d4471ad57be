/** What the commands of `keys` share. */
import type { KeysListResult } from '../core/api/contract/keys.ts';
import type { KeyEntry } from '../core/keys/home.ts';

export const KEY_ROLE_NAMES = ['identity', 'next', 'network', 'consensus', 'vrf'] as const;

/** One key as `keys list` and `keys show` tell it. */
export const describeKey = ({ role, path, file, mode }: KeyEntry): KeysListResult['keys'][0] => ({
  role,
  type: file.type,
  publicKey: file.public.key,
  createdAt: file.createdAt,
  path,
  mode: mode.toString(8).padStart(3, '0'),
  private: (mode & 0o077) === 0,
});
