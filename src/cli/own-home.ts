/** What commands that work on the home's files share. They ask no daemon. */
import { checkFormat } from '../core/config/format.ts';
import { type HomePaths, requireHome } from '../core/config/home.ts';
import type { Inspection } from '../core/keys/home.ts';
import { VERSION } from './version.ts';

/** @throws {AegisError} `NO_HOME`, `HOME_TOO_NEW`, `BAD_CONFIG`. */
export async function requireOwnHome(paths: HomePaths): Promise<void> {
  await requireHome(paths);
  await checkFormat(paths, { aegis: VERSION });
}

/** The public parts of this home's keystore. @throws as `requireOwnHome`, `KEYSTORE_DAMAGED`. */
export async function inspectOwnKeys(paths: HomePaths): Promise<Inspection> {
  await requireOwnHome(paths);
  const { Keystore } = await import('../core/keys/keystore.ts');
  return await Keystore.inspect(paths.keys, { view: paths });
}
