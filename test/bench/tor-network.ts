/** A private Tor network for the bench, and what the parts of the bench over Tor share. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Log } from '../../src/core/ports.ts';
import { PrivateNetwork } from '../../src/core/tor/testnet/private-network.ts';
import { withDirectory } from './cluster.ts';

export const silent: Log = { write: () => undefined, child: () => silent };

/** 1 is the whole; with less (`AEGIS_TOR_SHARE=0.1`) it is only looked whether a part works. */
const SHARE = Number(process.env['AEGIS_TOR_SHARE'] ?? 1);
export const share = (count: number): number => Math.max(1, Math.round(count * SHARE));

/** Five relays and nothing else: a line that says so goes with the figures. */
export async function withTor<T>(
  use: (where: { dir: string; torrc: string }) => Promise<T>,
): Promise<T> {
  const [version] = execFileSync('tor', ['--version'], { encoding: 'utf8' }).split('\n');
  console.error(`${version} One authority and four relays on loopback: nothing of a real distance`);
  return await withDirectory(async (dir) => {
    const network = await PrivateNetwork.start({ dir: join(dir, 'tor'), owner: process.pid });
    try {
      return await use({ dir, torrc: network.torrc });
    } finally {
      await network.stop();
    }
  });
}
