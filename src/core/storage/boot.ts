/** Names the run of the machine's kernel: what was written to a file in it is in its cache. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Undefined where the system does not tell; then every start counts as one after a power cut. */
export function bootId(): string | undefined {
  try {
    // execFile, not a shell; both are fixed names of the system.
    return process.platform === 'darwin'
      ? execFileSync('/usr/sbin/sysctl', ['-n', 'kern.bootsessionuuid'], {
          encoding: 'utf8',
        }).trim()
      : readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return undefined;
  }
}
