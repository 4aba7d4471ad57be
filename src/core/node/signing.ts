/**
 * `aegis keys serve`: one running signer, from lock to lock. The lock is that of a daemon: two that
 * sign with one keystore, one of them without a guard, are what a signer is there to prevent.
 */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { KeysServeResult } from '../api/contract/keys.ts';
import { listenOnSocket } from '../api/server/bind.ts';
import { ensureHome, type HomePaths } from '../config/home.ts';
import { toAegisError } from '../errors.ts';
import { syncDirectory } from '../files.ts';
import { Keystore } from '../keys/keystore.ts';
import { restoredPath } from '../keys/layout.ts';
import { hex } from '../keys/material.ts';
import { SignerDesk } from '../keys/signer-desk.ts';
import { SignerFollow } from '../keys/signer-follow.ts';
import { Guards } from '../keys/signer-guards.ts';
import { describeKeystore, NODE_ROLES } from '../keys/signer-open.ts';
import { SignerServer } from '../keys/signer-server.ts';
import { HomeLock } from '../storage/home-lock.ts';
import { createLog, type NodeLog } from '../telemetry/log.ts';
import { Turns } from '../turns.ts';
import { notifySystemd } from './sd-notify.ts';

export interface SigningOptions {
  readonly paths: HomePaths;
  readonly passphrase: string;
  /** @default `signer.sock` beside the API's socket */
  readonly socket?: string | undefined;
  /** An operator says that nothing was signed that the guards do not know. */
  readonly acceptLostGuard: boolean;
  /** G3: an operator says that the rotation which a node has shown is final. */
  readonly eraseRetired: boolean;
  readonly env: NodeJS.ProcessEnv;
}

export interface RunningSigner {
  readonly ready: KeysServeResult;
  /** Opens a rotation that was prepared in the home, and tells the nodes. */
  adopt(): Promise<void>;
  /** Answers what was asked, and ends. */
  stop(): Promise<void>;
}

/** How often it looks whether retired keys are to be erased (G3). */
const ERASE_INTERVAL_MS = 3600 * 1000;

/**
 * Resolves when it answers.
 * @throws {AegisError} `ALREADY_RUNNING`, `WRONG_PASSPHRASE`, `KEYSTORE_DAMAGED`, `BAD_CONFIG`.
 */
export async function startSigner(options: SigningOptions): Promise<RunningSigner> {
  const { paths } = options;
  await ensureHome(paths);
  const lock = await HomeLock.acquire(paths.lock);
  const log = await createLog({ path: join(paths.logs, 'signer.log') }, { now: Date.now });
  const undo: (() => Promise<void> | void)[] = [() => lock.release(), () => log.close()];
  const takeApart = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  };
  try {
    return await assemble(options, log, undo, takeApart);
  } catch (error) {
    const { code, message: reason } = toAegisError(error);
    log.write('error', 'the signer could not start', { code, reason });
    await takeApart();
    throw error;
  }
}

async function assemble(
  options: SigningOptions,
  log: NodeLog,
  undo: (() => Promise<void> | void)[],
  takeApart: () => Promise<void>,
): Promise<RunningSigner> {
  const { paths, passphrase, env } = options;
  const keystore = await Keystore.open({ dir: paths.keys, passphrase, behindSigner: NODE_ROLES });
  undo.push(() => keystore.close());
  await keystore.adoptPending();
  const guards = await openGuards(options, keystore, log);
  undo.push(() => guards.close());
  const following = await SignerFollow.open({ dir: paths.keys, keystore, log, now: Date.now });
  await following.eraseRetired({ isOrdered: options.eraseRetired });
  const describe = () => describeKeystore(keystore, following.number);
  /** Changes of the home, one at a time. `false`: nothing has changed. */
  const turns = new Turns();
  const inTurn = (change: () => Promise<unknown>): Promise<void> =>
    turns.run(async () => {
      if ((await change()) !== false) server.announce(describe());
    });
  const follow = (entries: readonly Uint8Array[]) => inTurn(() => following.follow(entries));
  const server: SignerServer = new SignerServer({
    desk: new SignerDesk({ ring: keystore, guards, log, describe, follow }),
    log,
  });
  const socket = options.socket ?? join(paths.run, 'signer.sock');
  await mkdir(dirname(socket), { recursive: true, mode: 0o700 });
  await listenOnSocket(server.net, socket);
  undo.push(() => server.close());
  const erase = () => inTurn(() => following.eraseRetired({ isOrdered: false }));
  const timer = setInterval(() => void attempt(erase, log), ERASE_INTERVAL_MS);
  undo.push(() => clearInterval(timer));
  const { nodeId, inception, current } = keystore;
  const { identityKey, consensusKey, vrfKey } = current.keys;
  const keys = { identity: hex(identityKey), consensus: hex(consensusKey), vrf: hex(vrfKey) };
  log.write('info', 'the signer is ready', { nodeId, socket, consensusKey: keys.consensus });
  notifySystemd(env, 'READY=1', `STATUS=signs for ${nodeId}`);
  return {
    ready: {
      ...{ schema: 'aegis.keys.serve/1', nodeId, name: inception.name, socket },
      ...{ pid: process.pid, keys },
    },
    adopt: async () => {
      await attempt(async () => {
        await inTurn(() => keystore.adoptPending());
        log.write('info', 'the keys were read again', { consensus: keystore.heldConsensusKeys() });
      }, log);
    },
    stop: async () => {
      notifySystemd(env, 'STOPPING=1');
      log.write('info', 'the signer stops');
      await takeApart();
    },
  };
}

async function attempt(change: () => Promise<void>, log: NodeLog): Promise<void> {
  try {
    await change();
  } catch (error) {
    const { code, message: reason } = toAegisError(error);
    log.write('error', 'the keys could not be brought up to date', { code, reason });
  }
}

async function openGuards(
  { paths, acceptLostGuard }: SigningOptions,
  keystore: Keystore,
  log: NodeLog,
): Promise<Guards> {
  const { restored } = keystore;
  const guards = new Guards({
    dir: join(paths.data, 'guards'),
    mark: join(paths.keys, 'guarded.json'),
    acceptLost: acceptLostGuard,
    ...(restored === undefined ? {} : { restored }),
  });
  if (acceptLostGuard) {
    log.write('warn', 'an operator accepts that guards were lost', { restored: restored ?? [] });
    await rm(restoredPath(paths.keys), { force: true });
    await syncDirectory(paths.keys);
  } else if (restored !== undefined) {
    // K2
    log.write('warn', 'the keys come from a backup and sign no votes', { restored });
  }
  return guards;
}
