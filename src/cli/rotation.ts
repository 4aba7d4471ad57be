/**
 * What `keys rotate` and `keys revoke` share: prepare in the home, have the daemon adopt it, and
 * wait until it is final. The secrets are opened here and never sent to the daemon.
 */
import { type Command, Flags } from '@oclif/core';
import type { Reply } from '../core/api/contract/endpoints.ts';
import type { KeysRotateResult } from '../core/api/contract/keys.ts';
import type { HomePaths } from '../core/config/home.ts';
import { AegisError, hasCode } from '../core/errors.ts';
import type { Inspection, PendingRotation } from '../core/keys/home.ts';
import type { KeyFile } from '../core/keys/key-file.ts';
import type { RotationOptions, RotationPlan, RotationWish } from '../core/keys/rotation.ts';
import type { CertifiedRole, KeyState, Succession } from '../core/model/succession.ts';
import { BaseCommand, confirmFlags, passphraseFlags } from './base.ts';
import { facts, safeText } from './format.ts';
import { rolesText } from './keys.ts';
import { requireOwnHome } from './own-home.ts';
import { timesOf } from './times.ts';

export type Rotation = Omit<KeysRotateResult, 'schema'>;

/** Custodians of a cluster under load decide within seconds; one that is cut off never does. */
const TIMEOUT_MS = 60_000;

export const roleFlags = {
  identity: Flags.boolean({ description: 'The identity key; its successor takes its place.' }),
  network: Flags.boolean({ description: 'The network key, behind the peer id.' }),
  consensus: Flags.boolean({ description: 'The keys of consensus: votes and the VRF.' }),
  onion: Flags.boolean({ description: 'The onion key, behind the onion address.' }),
};

export const rotationFlags = {
  ...passphraseFlags,
  ...confirmFlags,
  next: Flags.string({
    helpValue: '<file>',
    description: "The identity's successor, when its file is not in this home.",
  }),
  'next-passphrase-file': Flags.string({
    helpValue: '<file>',
    description: 'Passphrase of the successor. Default: the same as that of the keys, or a prompt.',
  }),
  'new-next': Flags.string({
    helpValue: '<file>',
    description: 'Write the new successor here and not into this home, when the identity changes.',
  }),
  'new-next-passphrase-file': Flags.string({
    helpValue: '<file>',
    description: 'Passphrase for the new successor. Default: that of the one before.',
  }),
  'dry-run': Flags.boolean({ description: 'Show what would change, and change nothing.' }),
};

/** A rotation as its command asks for it. */
export interface Asked extends Omit<RotationWish, 'now' | 'sealed'> {
  readonly session: boolean;
}

interface OwnFlags {
  readonly next?: string;
  readonly 'next-passphrase-file'?: string;
  readonly 'new-next'?: string;
  readonly 'new-next-passphrase-file'?: string;
  readonly 'dry-run': boolean;
}

interface Passphrases {
  readonly home: string;
  readonly next: string;
  readonly newNext: string;
}

export abstract class RotationCommand<
  T extends typeof Command,
  R extends Rotation & { readonly schema: string },
> extends BaseCommand<T, R> {
  get #own(): OwnFlags {
    return this.flags as unknown as OwnFlags;
  }

  /** Does all that was asked, or finds it done by an earlier attempt. */
  protected async rotation(asked: Asked): Promise<Rotation> {
    await requireOwnHome(this.home());
    // In this order: what the daemon settles in between, the home knows then.
    const status = await this.#daemonStatus();
    const home = await this.#homeNow(asked);
    checkKnown(home, status);
    const { pending } = home;
    const isBare = asked.roles.length === 0 && !asked.session;
    if (pending !== undefined) {
      checkContinues(pending, asked);
      await this.#checkFinal(pending, status);
    } else if (isBare && home.current.last !== undefined) return await this.#last(home, status);
    else if (isBare) {
      throw new AegisError('USAGE', 'say which keys are to change', {
        hint: 'All of them: --all. Or some: --identity, --network, --consensus, --onion, --session',
      });
    }
    if (this.#own['dry-run']) return await this.#dryRun(home, asked);
    let done: Rotation | undefined;
    if (pending !== undefined || asked.roles.length > 0) {
      done = await this.#rotateCertified(home, asked, status !== undefined);
    }
    if (!asked.session) return done!;
    const session = await this.#rotateSession(status !== undefined, done === undefined);
    return { ...(done ?? sessionOnly(home)), session };
  }

  /** Gives up what is prepared, as long as nobody else knows of it. */
  protected async discard(): Promise<Rotation> {
    const status = await this.#daemonStatus();
    if (status?.pending?.state === 'submitted') {
      throw new AegisError('ROTATION_PENDING', 'the rotation is handed in and cannot be given up');
    }
    await this.confirm('give up the rotation that is prepared, with its keys?');
    const { discardRotation } = await import('../core/keys/rotation.ts');
    const pending = await discardRotation(this.home().keys);
    return { ...carriedOn(pending), state: 'discarded', newNext: null };
  }

  protected override view(result: R): string {
    return rotationText(result);
  }

  async #rotateCertified(home: Inspection, asked: Asked, hasDaemon: boolean): Promise<Rotation> {
    const { pending } = home;
    const prepared = pending === undefined ? await this.#prepare(home, asked) : carriedOn(pending);
    if (!hasDaemon) {
      this.note('No daemon runs for this home: it takes effect at the next start.');
      this.note('Next: aegis node start');
      return prepared;
    }
    try {
      return { ...prepared, ...(await this.#adopt()) };
    } catch (error) {
      if (!hasCode(error, 'NOT_FOUND')) throw error;
      // The daemon had taken it up by itself, and has settled it in this moment.
      const { current } = await this.#homeNow(asked);
      if (current.digest !== pending?.entry.digest) throw error;
      return await this.#last({ ...home, current }, await this.#daemonStatus());
    }
  }

  async #homeNow(asked: Asked): Promise<Inspection> {
    const { readForRotation } = await import('../core/keys/rotation.ts');
    return await readForRotation(this.home().keys, asked);
  }

  /** What was carried on has become final in the meantime. */
  async #last(home: Inspection, status: Reply<'keys.status'> | undefined): Promise<Rotation> {
    const { nodeId, current } = home;
    const last = { entry: { succession: current.last!, digest: current.digest }, after: current };
    const done: Rotation = { ...carriedOn({ ...last, keys: [] }), state: 'final' };
    this.note('Nothing is pending. The last rotation:');
    if (status === undefined) return done;
    const client = await this.client();
    const { entries } = await client.call('keys.history', { params: { id: nodeId } });
    const height = entries[current.number - 1]?.height ?? null;
    // What it said before may be of a moment earlier than what is in the home by now.
    const { retiredNetworkKey } = await client.call('keys.status');
    const isRetired = done.replaced.includes('network');
    const retiredNetworkUntil = isRetired ? (retiredNetworkKey?.until ?? null) : null;
    return { ...done, height, from: height === null ? null : height + 1, retiredNetworkUntil };
  }

  async #prepare(home: Inspection, asked: Asked): Promise<Rotation> {
    const { planRotation, prepareRotation, findSuccessor } = await import(
      '../core/keys/rotation.ts'
    );
    const { systemRandom } = await import('../core/keys/random.ts');
    const { next: nextPath, 'new-next': newNextPath } = this.#own;
    const plan = planRotation(home, { ...asked, now: Date.now() });
    const successor = await findSuccessor(home, nextPath);
    await this.confirm(questionOf(home, plan));
    const passphrases = await this.#passphrases(successor, plan);
    const sealed = plan.replaced.includes('identity') ? await this.#sealed(home) : 0;
    const options: RotationOptions = {
      ...asked,
      dir: this.home().keys,
      passphrase: passphrases.home,
      next: { path: nextPath, passphrase: passphrases.next },
      newNext: { path: newNextPath, passphrase: passphrases.newNext },
      sealed,
      now: Date.now(),
    };
    const { entry, newNextPath: newNext } = await prepareRotation(options, {
      random: systemRandom,
    });
    if (newNext !== undefined) this.#noteSuccessor(newNext, newNextPath === undefined);
    return {
      ...ofPlan(plan, home.nodeId),
      state: 'prepared',
      digest: entry.digest,
      newNext: newNext ?? null,
    };
  }

  async #dryRun(home: Inspection, asked: Asked): Promise<Rotation> {
    const { pending } = home;
    if (pending !== undefined) return { ...carriedOn(pending), state: 'planned' };
    if (asked.roles.length === 0) return { ...sessionOnly(home), state: 'planned' };
    const { planRotation, findSuccessor } = await import('../core/keys/rotation.ts');
    const plan = planRotation(home, { ...asked, now: Date.now() });
    const { path } = await findSuccessor(home, this.#own.next);
    this.note(`Nothing is changed. It would be signed by the successor in ${safeText(path)}.`);
    if (asked.session) this.note('The session key would change, too.');
    return ofPlan(plan, home.nodeId);
  }

  /** The successor often has the passphrase of the home until somebody changes it. */
  async #passphrases(
    successor: { readonly path: string; readonly file: KeyFile },
    plan: RotationPlan,
  ): Promise<Passphrases> {
    const own = this.#own;
    const home = await this.passphrase(`the keystore in ${this.home().keys}`);
    const nextFile = own['next-passphrase-file'];
    const next =
      nextFile === undefined && (await opens(successor.file, home))
        ? home
        : await this.passphrase(`the identity's successor in ${successor.path}`, {
            ...(nextFile === undefined ? {} : { file: nextFile }),
            fresh: true,
          });
    const newNextFile = own['new-next-passphrase-file'];
    const isAsked = plan.replaced.includes('identity') && newNextFile !== undefined;
    const newNext = isAsked
      ? await this.passphrase('the new successor', { file: newNextFile })
      : next;
    return { home, next, newNext };
  }

  /** A3: versions signed so far. The daemon signs no more until the rotation is final. */
  async #sealed(home: Inspection): Promise<number> {
    const { clustersToTell } = await import('./clusters.ts');
    const counts: number[] = [];
    // J5: a version names no cluster, so that the longest history counts for all.
    for (const paths of await clustersToTell(this.home())) {
      counts.push(await this.#sealedIn(paths, home));
    }
    return Math.max(...counts);
  }

  async #sealedIn(paths: HomePaths, home: Inspection): Promise<number> {
    const { connect } = await import('./connect.ts');
    try {
      return (await connect(paths, this.timeoutMs()).call('keys.seal')).versions;
    } catch (error) {
      if (!hasCode(error, 'DAEMON_UNREACHABLE')) throw error;
    }
    const { countOwnVersions } = await import('./own-versions.ts');
    return countOwnVersions(paths, home);
  }

  /** J3: what is final here waits for the other clusters of the home, and nobody can hurry them. */
  async #checkFinal(
    { entry }: PendingRotation,
    status: Reply<'keys.status'> | undefined,
  ): Promise<void> {
    if (status?.digest !== entry.digest) return;
    const { clustersToTell } = await import('./clusters.ts');
    const { length } = await clustersToTell(this.home());
    if (length < 2) return;
    const message = 'the rotation is final in this cluster, and not in every one of this home';
    throw new AegisError('NOT_FINAL', message, {
      hint: 'Each daemon hands it in by itself. See which is behind: aegis cluster list',
    });
  }

  async #adopt(): Promise<Partial<Rotation>> {
    const timeoutMs = this.timeoutMs(TIMEOUT_MS);
    const client = await this.client();
    const signal = this.interruption();
    try {
      const { height, from, retiredNetworkUntil, digest } = await client.call('keys.adopt', {
        query: { timeoutMs },
        signal,
      });
      return { state: 'final', height, from, retiredNetworkUntil, digest };
    } catch (error) {
      if (!hasCode(error, 'NOT_FINAL', 'TIMEOUT')) throw error;
      throw new AegisError('NOT_FINAL', 'the rotation is handed in and not final yet', {
        hint: 'It goes on by itself; do not begin it again. Wait for it: aegis keys rotate',
        cause: error,
      });
    }
  }

  async #rotateSession(hasDaemon: boolean, isAlone: boolean): Promise<Rotation['session']> {
    if (!hasDaemon) {
      if (isAlone) {
        throw new AegisError('DAEMON_UNREACHABLE', 'session keys live in a running node', {
          hint: 'It makes one when it starts: aegis node start',
        });
      }
      return null;
    }
    const client = await this.client();
    const { number, publicKey, expiresAt } = await client.call('keys.session');
    return { number, publicKey, expiresAt };
  }

  /** Undefined when no daemon runs. */
  async #daemonStatus(): Promise<Reply<'keys.status'> | undefined> {
    try {
      return await (await this.client()).call('keys.status');
    } catch (error) {
      if (hasCode(error, 'DAEMON_UNREACHABLE')) return undefined;
      throw error;
    }
  }

  #noteSuccessor(path: string, isInHome: boolean): void {
    this.note('The successor of before is the identity key from then on; it is in this home.');
    if (!isInHome) return;
    this.note('Keep the new successor elsewhere, once the rotation is final:');
    this.note('  aegis keys export --next --remove --out /media/usb/next.key.json');
    this.detail(`It is ${safeText(path)}.`);
  }
}

/** The chain may know more of this node than a home that was copied or restored. */
function checkKnown(home: Inspection, status: Reply<'keys.status'> | undefined): void {
  if (status === undefined || status.number <= home.current.number) return;
  // Final, and not settled yet.
  if (home.pending?.entry.digest === status.digest) return;
  const { number } = status;
  throw new AegisError(
    'KEYS_RETIRED',
    `this home knows ${home.current.number} entries of its succession, the chain ${number}`,
    { hint: 'Restart the node, so that its home follows: aegis node restart' },
  );
}

function checkContinues({ entry, after }: PendingRotation, asked: Asked): void {
  const { replaced, reason } = entry.succession;
  const isAsMuch = asked.reason === undefined || asked.reason === reason;
  if (isAsMuch && asked.roles.every((role) => replaced.includes(role))) return;
  const names = rolesText(replaced);
  throw new AegisError(
    'ROTATION_PENDING',
    `rotation ${after.number} of this node (${names}) is not final yet`,
  );
}

async function opens(file: KeyFile, passphrase: string): Promise<boolean> {
  const { Unlocker } = await import('../core/keys/unlocker.ts');
  const { unsealKey } = await import('../core/keys/key-file.ts');
  using unlocker = new Unlocker(passphrase);
  try {
    (await unsealKey(file, unlocker)).secret.fill(0);
    return true;
  } catch (error) {
    if (hasCode(error, 'WRONG_PASSPHRASE')) return false;
    throw error;
  }
}
const questionOf = ({ inception }: Inspection, { replaced, reason }: RotationPlan): string => {
  const name = safeText(inception.name);
  if (replaced.length === 0) return `extend the expiries of the keys of ${name}?`;
  const verb = reason === 'compromised' ? 'revoke and replace' : 'replace';
  return `${verb} ${rolesText(replaced)} of ${name}?`;
};

const NOTHING_YET = { height: null, from: null, retiredNetworkUntil: null, session: null };

function ofPlan(plan: RotationPlan, nodeId: string): Rotation {
  const { before, number, keyEpoch, replaced, expiresAt, graceMs, reason } = plan;
  const roles = ['identity', 'network', 'consensus', 'onion'] as const;
  const extended = roles.filter(
    (role) => !replaced.includes(role) && expiresAt[role] > before.expiresAt[role],
  );
  return {
    nodeId,
    state: 'planned',
    continued: false,
    number,
    digest: null,
    keyEpoch,
    replaced: [...replaced],
    extended,
    reason,
    expiresAt: timesOf(expiresAt),
    graceMs,
    newNext: null,
    ...NOTHING_YET,
  };
}

/** The parts of a pending rotation, or of one that has become final. */
interface Begun {
  readonly entry: { readonly succession: Succession; readonly digest: string };
  readonly after: KeyState;
  readonly keys: PendingRotation['keys'];
}

function carriedOn({ entry, after, keys }: Begun): Rotation {
  const { replaced, reason, graceMs, nodeId, number, keyEpoch } = entry.succession;
  return {
    nodeId,
    state: 'prepared',
    continued: true,
    number,
    digest: entry.digest,
    keyEpoch,
    replaced: [...replaced],
    extended: [],
    reason,
    expiresAt: timesOf(after.expiresAt),
    graceMs,
    newNext: keys.find(({ role }) => role === 'next')?.path ?? null,
    ...NOTHING_YET,
  };
}

function sessionOnly({ nodeId, current }: Inspection): Rotation {
  const { keyEpoch, expiresAt } = current;
  const nothing = { number: null, digest: null, replaced: [], extended: [], graceMs: 0 };
  const state = { state: 'final', continued: false, reason: 'routine', newNext: null } as const;
  const times = timesOf(expiresAt);
  return { nodeId, ...state, ...nothing, keyEpoch, expiresAt: times, ...NOTHING_YET };
}

function rotationText(result: Rotation): string {
  const { number, replaced, extended, height, from, session, newNext, expiresAt } = result;
  const changed: readonly CertifiedRole[] = [...replaced, ...extended];
  return facts([
    ['state', `${STATES[result.state]}${result.continued ? ', begun earlier' : ''}`],
    [
      'entry',
      number === null
        ? undefined
        : `${number}${height === null ? '' : `, final at height ${height}`}`,
    ],
    ['replaced', replaced.length > 0 ? rolesText(replaced) : undefined],
    ['extended', extended.length > 0 ? rolesText(extended) : undefined],
    ['reason', result.reason === 'compromised' ? 'compromised' : undefined],
    ['in force', from === null ? undefined : `from height ${from}`],
    ['key epoch', replaced.includes('identity') ? String(result.keyEpoch) : undefined],
    ...changed.map((role) => [`${role} until`, expiresAt[role]] as const),
    ['old network key', graceText(result)],
    ['old onion key', onionGraceText(result)],
    ['new successor', newNext === null ? undefined : safeText(newNext)],
    ['session', session === null ? undefined : `${session.publicKey}, until ${session.expiresAt}`],
  ]);
}

const STATES = {
  planned: 'dry run: nothing is changed',
  prepared: 'prepared, in force after the next start',
  final: 'final',
  discarded: 'given up',
} as const;

function graceText({ replaced, graceMs, retiredNetworkUntil }: Rotation): string | undefined {
  if (!replaced.includes('network')) return undefined;
  if (graceMs === 0) return 'accepted no more';
  if (retiredNetworkUntil !== null) return `accepted until ${retiredNetworkUntil}`;
  return `accepted for ${hoursText(graceMs)}`;
}

/** O18 */
function onionGraceText({ replaced, graceMs }: Rotation): string | undefined {
  if (!replaced.includes('onion')) return undefined;
  return graceMs === 0 ? 'its service ends at once' : `its service stays for ${hoursText(graceMs)}`;
}

const hoursText = (timeMs: number): string => `${Math.round(timeMs / 36_000) / 100} h`;
