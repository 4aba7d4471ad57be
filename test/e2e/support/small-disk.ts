/** A node whose stores are on a disk of its own, small enough to be filled. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { MIB } from '../../../src/core/units.ts';
import { BIN, type Cluster } from './cluster.ts';
import { copyData } from './store.ts';

export interface SmallDisk {
  /** Leaves nothing free. */
  fill(): void;
  /** Frees what was filled. */
  free(): void;
}

/** Only the daemon sees the disk, and the disk ends with it: the home is then as it was before. */
export async function startOnSmallDisk(
  cluster: Cluster,
  node: number,
  size: string,
): Promise<SmallDisk> {
  const { data } = cluster.home(node);
  copyData(data, `${data}.saved`);
  const script = [
    `mount -t tmpfs -o size=${size},mode=0700 tmpfs "${data}"`,
    `cp -p "${data}.saved"/* "${data}"`,
    'exec "$@"',
  ].join(' && ');
  const namespaces = process.getuid?.() === 0 ? '-m' : '-rm';
  const passphrase = ['--passphrase-file', cluster.passphraseFile];
  const start = ['--home', cluster.node(node).home, 'node', 'start', '--json', ...passphrase];
  const command = [namespaces, 'sh', '-c', script, 'sh', process.execPath, BIN, ...start];
  const child = spawn('unshare', command, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(createInterface({ input: child.stdout }), 'line');
  const disk = `/proc/${child.pid}/root${data}`;
  const filler = join(disk, 'filler');
  return {
    fill: () => {
      const { bavail, bsize } = statfsSync(disk);
      const piece = Buffer.alloc(MIB, 1);
      const fd = openSync(filler, 'a');
      for (let left = bavail * bsize; left > 0; left -= piece.length) {
        writeSync(fd, piece, 0, Math.min(left, piece.length));
      }
      closeSync(fd);
    },
    free: () => rmSync(filler),
  };
}
