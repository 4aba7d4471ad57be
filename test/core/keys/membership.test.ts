import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Keystore } from '../../../src/core/keys/keystore.ts';
import { keyPath } from '../../../src/core/keys/layout.ts';
import { checkMemberKeys } from '../../../src/core/keys/membership.ts';
import { systemRandom } from '../../../src/core/keys/random.ts';
import { createBundle } from '../../../src/core/model/bundle.ts';
import { createGenesis, openGenesis } from '../../../src/core/model/genesis.ts';
import { QUICK_KDF, withDirectory } from '../../helpers/keystores.ts';

test('the keys of consensus must be those of the genesis', async () => {
  await withDirectory(async (parent) => {
    const [dir, other] = [join(parent, 'a'), join(parent, 'b')];
    const fields = { name: 'n', zone: 'z', region: 'r', passphrase: 'p', createdAt: 1 };
    const make = (at: string) =>
      Keystore.create({ ...fields, dir: at, kdfCost: QUICK_KDF }, { random: systemRandom });
    using keystore = (await make(dir)).keystore;
    (await make(other)).keystore.close();
    const { inceptionBytes: inception, signer, consensusKeys } = keystore;
    const bundle = { inception, role: 'custodian', ...consensusKeys, addresses: [] } as const;
    const bytes = createBundle({ ...bundle, storageWeight: 1, createdAt: 2 }, signer);
    const genesis = createGenesis({ name: 'one', createdAt: 3, bundles: [bytes] });
    const [member] = openGenesis(genesis).members;
    const check = async () => checkMemberKeys(await Keystore.inspect(dir), member!);
    await expect(check()).resolves.toBeUndefined();
    for (const role of ['consensus', 'vrf'] as const) {
      await copyFile(keyPath(dir, role), keyPath(parent, role));
      await copyFile(keyPath(other, role), keyPath(dir, role));
      await expect(check()).rejects.toMatchObject({
        code: 'KEYSTORE_DAMAGED',
        message: expect.stringContaining(keyPath(dir, role)) as string,
      });
      await copyFile(keyPath(parent, role), keyPath(dir, role));
      await expect(check()).resolves.toBeUndefined();
    }
  });
});
