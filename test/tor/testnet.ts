/**
 * One private Tor network for all tests of the project `tor`. It starts while other projects run;
 * test/tor/support/network.ts waits for it. Without tor it says what is skipped, once.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import type { TestProject } from 'vitest/node';
import { PrivateNetwork } from '../../src/core/tor/testnet/private-network.ts';
import { isThere } from '../helpers/needs.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Null: this machine has no tor. */
    torNetwork: { readonly dir: string; readonly torrc: string } | null;
  }
}

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | void> {
  const missing = ['tor', 'tor-gencert'].filter((program) => !isThere(program));
  if (missing.length > 0) {
    process.stderr.write(`skipped: all tests over Tor, because ${missing[0]} is not there\n`);
    project.provide('torNetwork', null);
    return undefined;
  }
  await PrivateNetwork.sweep(tmpdir());
  const dir = mkdtempSync(join(tmpdir(), 'aegis-tor-'));
  project.provide('torNetwork', { dir, torrc: PrivateNetwork.torrcOf(dir) });
  const stop = new AbortController();
  const starting = PrivateNetwork.start({ dir, owner: process.pid }, stop.signal).catch(
    (error: unknown) => {
      if (!stop.signal.aborted) process.stderr.write(`${inspect(error)}\n`);
    },
  );
  return async () => {
    stop.abort();
    await (await starting)?.stop();
  };
}
