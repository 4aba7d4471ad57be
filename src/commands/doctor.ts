/** `aegis doctor`: looks at everything a node depends on, and repairs what is safe to repair. */
import { Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base.ts';
import type { Colours } from '../cli/colour.ts';
import { type Check, examine, type Patient } from '../cli/doctor/check.ts';
import { safeText } from '../cli/text.ts';
import { VERSION } from '../cli/version.ts';
import type { DoctorResult } from '../core/api/contract/config.ts';
import { EXIT } from '../core/errors.ts';
import type { Inspection } from '../core/keys/home.ts';

const TIMEOUT_MS = 5000;

export default class Doctor extends BaseCommand<typeof Doctor, DoctorResult> {
  static override readonly summary = 'Check this home and its node, and say what to do.';
  static override readonly description =
    'Looks at Node.js, the disk, the clock, the home and who can read it, the settings, the keys ' +
    '(no passphrase is needed), the databases, Tor where the route wants it, the daemon and its ' +
    'peers. Exits with 1 when something is wrong; warnings alone exit with 0. With --fix it ' +
    'closes the home to others and removes what a killed daemon has left behind; it never ' +
    'deletes data.';
  static override readonly examples = [
    { description: 'Check everything', command: '<%= config.bin %> doctor' },
    {
      description: 'Also repair what is safe to repair',
      command: '<%= config.bin %> doctor --fix',
    },
    {
      description: 'What is wrong, for a script',
      command: `<%= config.bin %> doctor --json | jq '.checks[] | select(.status != "ok")'`,
    },
  ];
  static override readonly flags = {
    fix: Flags.boolean({ description: 'Repair permissions and what a killed daemon left.' }),
  };

  protected override async work(): Promise<DoctorResult> {
    const patient: Patient = {
      paths: this.home(),
      env: process.env,
      version: VERSION,
      fix: this.flags.fix,
      timeoutMs: this.timeoutMs(TIMEOUT_MS),
    };
    const checks = [...(await machine(patient)), ...(await home(patient))];
    const healthy = checks.every(({ status }) => status !== 'fail');
    if (!healthy) process.exitCode = EXIT.no;
    return { schema: 'aegis.doctor/1', home: patient.paths.label, healthy, checks };
  }

  protected override view({ checks }: DoctorResult): string {
    return checks.flatMap((check) => linesOf(check, this.paint)).join('\n');
  }
}

async function machine(patient: Patient): Promise<Check[]> {
  const look = await import('../cli/doctor/machine.ts');
  return [
    await examine('node-version', () => look.checkNodeVersion()),
    await examine('disk-space', () => look.checkDiskSpace(patient)),
    await examine('open-files', () => look.checkOpenFiles()),
  ];
}

/** Without a home there is nothing below it to look at. */
async function home(patient: Patient): Promise<Check[]> {
  const look = await import('../cli/doctor/home.ts');
  const { checkClock } = await import('../cli/doctor/machine.ts');
  const found = await examine('home', () => look.checkHome(patient));
  if (found.status === 'fail') return [found, await examine('clock', () => checkClock(undefined))];
  const permissions = await examine('permissions', () => look.checkPermissions(patient));
  let inspection: Inspection | undefined;
  const keys = await examine('keys', async () => {
    const { Keystore } = await import('../core/keys/keystore.ts');
    inspection = await Keystore.inspect(patient.paths.keys, { view: patient.paths });
    return look.checkKeys(inspection, Date.now());
  });
  const known = inspection;
  const cluster = known && (await examine('cluster', () => look.checkCluster(patient, known)));
  return [
    found,
    permissions,
    await examine('settings', () => look.checkSettings(patient)),
    keys,
    await examine('clock', () => checkClock(known?.inception.createdAt)),
    ...(cluster === undefined ? [] : [cluster]),
    await examine('databases', () => look.checkDatabases(patient)),
    ...(await daemon(patient)),
  ];
}

async function daemon(patient: Patient): Promise<Check[]> {
  const look = await import('../cli/doctor/daemon.ts');
  const { HomeLock } = await import('../core/storage/home-lock.ts');
  const lock = await HomeLock.inspect(patient.paths.lock);
  const answer = await look.askDaemon(patient);
  const checks = [
    await examine('daemon', () => look.checkDaemon(patient, lock, answer)),
    await examine('socket', () => look.checkSocket(patient, lock)),
    await examine('ports', () => look.checkPorts(patient, lock)),
  ];
  const isRunning = 'status' in answer;
  const { checkTor } = await import('../cli/doctor/tor.ts');
  checks.push(await examine('tor', () => checkTor(patient, isRunning)));
  if (!isRunning) return checks;
  return [
    ...checks,
    await examine('peers', () => look.checkPeers(patient)),
    await examine('consensus', () => look.checkConsensus(patient)),
  ];
}

function linesOf({ id, status, message, hint, fixed }: Check, paint: Colours): string[] {
  const marks = { ok: paint.green('ok  '), warn: paint.yellow('warn'), fail: paint.red('FAIL') };
  const mark = fixed ? paint.green('fixed') : `${marks[status]} `;
  const line = `${mark} ${id.padEnd(12)}  ${safeText(message)}`;
  return hint === null ? [line] : [line, `${' '.repeat(20)}${safeText(hint)}`];
}
