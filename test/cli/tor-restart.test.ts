/** A restart does not show what the node that runs has hidden (docs/tor.md, O6). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkStaysHidden } from '../../src/cli/tor-restart.ts';
import { resolveHome } from '../../src/core/config/home.ts';
import { AegisError } from '../../src/core/errors.ts';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'aegis-restart-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const running =
  (route: string, kind = 'system') =>
  async () =>
    ({ call: async () => ({ route, daemon: route === 'off' ? null : { kind } }) }) as never;

test('a route that the node was started with is not lost by a restart', async () => {
  const paths = resolveHome({ home: dir, env: {} });
  const refusal = { code: 'BAD_CONFIG', details: { key: 'tor.route' } };
  await expect(checkStaysHidden(running('require'), paths, {})).rejects.toMatchObject(refusal);
  await expect(checkStaysHidden(running('prefer'), paths, {})).rejects.toMatchObject(refusal);
  await checkStaysHidden(running('require'), paths, { AEGIS_TOR_ROUTE: 'require' });
  writeFileSync(paths.config, JSON.stringify({ tor: { route: 'prefer' } }));
  await expect(checkStaysHidden(running('require'), paths, {})).rejects.toMatchObject({
    ...refusal,
    message: expect.stringContaining('require, and the settings say prefer'),
    hint: expect.stringContaining('aegis tor route require, or aegis tor route prefer'),
  });
  await checkStaysHidden(running('off'), paths, {});
});

test('nor is a Tor of its own, unless the settings name another one', async () => {
  const paths = resolveHome({ home: dir, env: {} });
  const env = { AEGIS_TOR_ROUTE: 'require' };
  await checkStaysHidden(running('require', 'system'), paths, env);
  await expect(checkStaysHidden(running('require', 'spawn'), paths, env)).rejects.toMatchObject({
    code: 'BAD_CONFIG',
    details: { key: 'tor.daemon' },
  });
  for (const daemon of ['spawn', 'system']) {
    writeFileSync(paths.config, JSON.stringify({ tor: { daemon } }));
    await checkStaysHidden(running('require', 'spawn'), paths, env);
  }
});

test('where no node runs, the settings hold', async () => {
  const paths = resolveHome({ home: dir, env: {} });
  const nobody = async () => {
    throw new AegisError('DAEMON_UNREACHABLE', 'nobody');
  };
  await checkStaysHidden(nobody, paths, {});
});
