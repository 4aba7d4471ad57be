/**
 * The private Tor network of a devnet whose nodes are onion services: it lives in the directory of
 * the devnet, runs while the devnet does, and hides nothing from anybody. Each node has a Tor of
 * its own, which its daemon starts; what that one must be told to find the network stands in the
 * torrc of the network.
 */
import { join } from 'node:path';
import type { HomePaths } from '../config/home.ts';
import { type SettingChanges, writeSettings } from '../config/settings.ts';
import { hasCode } from '../errors.ts';
import { findTor } from '../tor/daemon/find-tor.ts';
import { PrivateNetwork } from '../tor/testnet/private-network.ts';

/** Behind a Tor network of its own, or not behind Tor. */
export type DevnetRoute = 'off' | 'require';

/** What a home of such a devnet is told. The torrc of a network of its own comes with that one. */
export const torSettings = (torrc: string | undefined): SettingChanges => ({
  tor: { route: 'require', daemon: 'spawn', ...(torrc === undefined ? {} : { torrc }) },
});

/** @throws {AegisError} when there is no Tor on this machine: nothing is downloaded (O8). */
export async function checkTor(): Promise<void> {
  await findTor();
}

/** Starts the network unless it runs, and tells the homes. Takes 10 to 15 s. */
export async function startNetwork(
  dir: string,
  homes: readonly HomePaths[],
  signal?: AbortSignal,
): Promise<void> {
  if (isNetworkUp(dir)) return;
  await stopNetwork(dir);
  // It outlives the command that starts it, as the nodes do.
  const { path: binary } = await findTor();
  const options = { dir: networkDir(dir), owner: undefined, binary };
  const { torrc } = await PrivateNetwork.start(options, signal);
  for (const paths of homes) await writeSettings(paths, { tor: { torrc } });
}

/** Ends it and removes what it kept; a new one has other keys and ports. */
export async function stopNetwork(dir: string): Promise<void> {
  await opened(dir)?.stop();
}

export const isNetworkUp = (dir: string): boolean => opened(dir)?.isRunning() ?? false;

const networkDir = (dir: string): string => join(dir, 'tor');

function opened(dir: string): PrivateNetwork | undefined {
  try {
    return PrivateNetwork.open(networkDir(dir));
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}
