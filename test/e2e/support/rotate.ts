/** Changes keys of a running node as `aegis keys rotate` does: seal, prepare, adopt. */
import { readFileSync } from 'node:fs';
import type { Result } from '../../../src/core/api/contract/endpoints.ts';
import { systemRandom } from '../../../src/core/keys/random.ts';
import { prepareRotation } from '../../../src/core/keys/rotation.ts';
import type { CertifiedRole } from '../../../src/core/model/succession.ts';
import { QUICK_KDF } from '../../helpers/keystores.ts';
import { clientOf } from './api.ts';
import type { Cluster } from './cluster.ts';

export interface RotateOptions {
  readonly graceMs?: number;
  readonly reason?: 'routine' | 'compromised';
  readonly timeoutMs?: number;
}

/** Resolves when it is final and the home is brought to it. */
export async function rotate(
  cluster: Cluster,
  node: number,
  roles: readonly CertifiedRole[],
  { graceMs, reason, timeoutMs = 60_000 }: RotateOptions = {},
): Promise<Result<'keys.adopt'>> {
  const client = clientOf(cluster, node, timeoutMs + 5000);
  const passphrase = readFileSync(cluster.passphraseFile, 'utf8');
  const sealed = roles.includes('identity')
    ? { sealed: (await client.call('keys.seal')).versions }
    : {};
  await prepareRotation(
    {
      ...{ dir: cluster.home(node).keys, passphrase, next: { passphrase }, roles, ...sealed },
      ...(graceMs === undefined ? {} : { graceMs }),
      ...(reason === undefined ? {} : { reason }),
      ...{ now: Date.now(), kdfCost: QUICK_KDF },
    },
    { random: systemRandom },
  );
  return await client.call('keys.adopt', { query: { timeoutMs } });
}
