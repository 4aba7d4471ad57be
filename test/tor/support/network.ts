/** The private Tor network that all tests of the project `tor` share; see test/tor/testnet.ts. */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, inject } from 'vitest';
import { hasCode } from '../../../src/core/errors.ts';
import { PrivateNetwork } from '../../../src/core/tor/testnet/private-network.ts';

const shared = inject('torNetwork');
const hasNetwork = shared !== null;
if (shared === null && process.env['AEGIS_CI_REQUIRE'] === '1') {
  throw new Error('tests over Tor need the program tor, which is not there');
}

/** `describe`, left out on a machine without tor. */
export const describeOverTor = describe.skipIf(!hasNetwork);

/** Resolves when the network is ready. Call it in `beforeAll` or in a test. */
export async function torNetwork(): Promise<{ readonly dir: string; readonly torrc: string }> {
  if (shared === null) throw new Error('this machine has no tor: use describeOverTor');
  // What the network starts from may not be written yet; when it fails, its directory goes.
  while (existsSync(shared.dir)) {
    if (isReady(shared.dir)) return shared;
    await sleep(100);
  }
  throw new Error('the private Tor network did not start; why, stands at the top of the output');
}

function isReady(dir: string): boolean {
  try {
    return PrivateNetwork.open(dir).isRunning();
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return false;
    throw error;
  }
}
