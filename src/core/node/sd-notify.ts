/**
 * Tells systemd how the daemon is (sd_notify(3)): `READY=1`, `STOPPING=1`, `STATUS=...`.
 * Node has no Unix datagram sockets, so the message goes through systemd-notify(1); without
 * NOTIFY_SOCKET nothing happens. Assignments work with every version of it; options like
 * `--stopping` came late.
 */
import { spawn } from 'node:child_process';

export function notifySystemd(env: NodeJS.ProcessEnv, ...assignments: string[]): void {
  if (env['NOTIFY_SOCKET'] === undefined) return;
  const child = spawn('systemd-notify', [`--pid=${process.pid}`, ...assignments], {
    stdio: 'ignore',
    env: { NOTIFY_SOCKET: env['NOTIFY_SOCKET'], PATH: env['PATH'] ?? '/usr/bin:/bin' },
  });
  child.on('error', () => {});
  child.unref();
}
