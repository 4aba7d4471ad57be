/** thin: prepareRotation. */
import type { CertifiedRole, KeyState, SignedSuccession } from '../model/succession.ts';
import type { Random } from '../ports.ts';
import type { Verified } from '../units.ts';

export interface RotationOptions {
  readonly dir: string;
  readonly passphrase: string;
  /** @default the file in the home */
  readonly next: { readonly path?: string; readonly passphrase: string };
  readonly newNext?: { readonly path?: string; readonly passphrase: string };
  readonly roles: readonly CertifiedRole[];
  readonly graceMs?: number;
  readonly reason?: 'routine' | 'compromised';
  readonly sealed?: number;
  readonly now: number;
}

export interface Prepared {
  readonly entry: Verified<SignedSuccession>;
  readonly before: KeyState;
  readonly after: KeyState;
}

export async function prepareRotation(
  _options: RotationOptions,
  _deps: { readonly random: Random },
): Promise<Prepared> {
  throw new Error('not yet');
}
