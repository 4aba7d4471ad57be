/** Homes of nodes that know each other, for tests that start them in their own process. */
import { join } from 'node:path';
import { writeFormat } from '../../../../src/core/config/format.ts';
import { ensureHome, type HomePaths, resolveHome } from '../../../../src/core/config/home.ts';
import { writeFileAtomic } from '../../../../src/core/files.ts';
import { Keystore } from '../../../../src/core/keys/keystore.ts';
import { systemRandom } from '../../../../src/core/keys/random.ts';
import { createBundle } from '../../../../src/core/model/bundle.ts';
import { createGenesis } from '../../../../src/core/model/genesis.ts';
import { QUICK_KDF } from '../../../helpers/keystores.ts';

export const PASSPHRASE = 'several nodes in one process';

export async function makeHome(
  dir: string,
  name: string,
): Promise<{ paths: HomePaths; bundle: Uint8Array }> {
  const paths = resolveHome({ home: join(dir, name), env: {} });
  await ensureHome(paths);
  const fields = { dir: paths.keys, name, zone: name, region: 'test', passphrase: PASSPHRASE };
  const made = await Keystore.create(
    { ...fields, createdAt: Date.now(), kdfCost: QUICK_KDF },
    { random: systemRandom },
  );
  using keystore = made.keystore;
  await writeFormat(paths, { aegis: '0.0.0' });
  const { inceptionBytes: inception, signer, consensusKeys } = keystore;
  const keys = { inception, role: 'custodian', ...consensusKeys } as const;
  const facts = { ...keys, addresses: [], storageWeight: 100, createdAt: Date.now() };
  return { paths, bundle: createBundle(facts, signer) };
}

export async function makeCluster(dir: string, ...names: string[]): Promise<HomePaths[]> {
  const homes = await Promise.all(names.map((name) => makeHome(dir, name)));
  const bundles = homes.map((home) => home.bundle);
  const genesis = createGenesis({ name: 'test', createdAt: Date.now(), bundles });
  for (const { paths } of homes) await writeFileAtomic(paths.genesis, genesis);
  return homes.map((home) => home.paths);
}
