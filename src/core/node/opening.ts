/** What a node must have before it starts: a home, settings, keys and a cluster that it is in. */
import { readFile } from 'node:fs/promises';
import { checkFormat } from '../config/format.ts';
import { checkSocketPath, type HomePaths, requireHome } from '../config/home.ts';
import { loadSettings, type Settings } from '../config/settings.ts';
import { AegisError, toAegisError } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import { Keystore } from '../keys/keystore.ts';
import { checkMemberKeys } from '../keys/membership.ts';
import { GENESIS_BYTES_MAX, type Genesis, type Member, openGenesis } from '../model/genesis.ts';
import { HomeLock } from '../storage/home-lock.ts';

export interface StartOptions {
  readonly paths: HomePaths;
  readonly passphrase: string;
  /** Version of aegis. */
  readonly version: string;
  readonly env: NodeJS.ProcessEnv;
  /** Addresses to listen on instead of those of the settings. */
  readonly listen?: readonly string[] | undefined;
  /** D7: the operator says that the home has voted nothing that it does not remember. */
  readonly vouch?: boolean;
}

export interface Opened {
  readonly settings: Settings;
  readonly genesis: Genesis;
  readonly self: Member;
}

/** Checks what needs no passphrase, so that nobody types one in vain. */
export async function checkHome(paths: HomePaths, version: string): Promise<void> {
  await requireHome(paths);
  await checkFormat(paths, { aegis: version });
  checkSocketPath(paths.socket);
  await openHome(paths, process.env);
}

/** The same for a home whose node must not run yet. @throws {AegisError} `ALREADY_RUNNING`. */
export async function checkStart(paths: HomePaths, version: string): Promise<void> {
  await checkHome(paths, version);
  const holder = await HomeLock.holder(paths.lock);
  if (holder !== undefined) {
    const message = `a daemon already runs for this home: process ${holder.pid}`;
    throw new AegisError('ALREADY_RUNNING', message);
  }
}

/** @throws {AegisError} `BAD_CONFIG` when the home belongs to no cluster, or not to this one. */
export async function openHome(
  paths: HomePaths,
  env: NodeJS.ProcessEnv,
  listen?: readonly string[],
): Promise<Opened> {
  const flags = listen === undefined ? {} : { 'node.listen': listen };
  const { settings } = await loadSettings(paths, env, flags);
  const genesis = await readGenesis(paths);
  const { nodeId, keys } = await Keystore.inspect(paths.keys);
  const self = genesis.members.find((member) => member.nodeId === nodeId);
  if (self === undefined) {
    const message = `this node, ${nodeId}, is not a member of the cluster ${genesis.name}`;
    throw new AegisError('BAD_CONFIG', message, {
      hint: 'Make a genesis that holds its bundle: aegis cluster bundle, aegis cluster create',
    });
  }
  checkMemberKeys(keys, self);
  return { settings, genesis, self };
}

async function readGenesis(paths: HomePaths): Promise<Genesis> {
  const stats = await statIfPresent(paths.genesis);
  if (stats === undefined) {
    throw new AegisError('BAD_CONFIG', 'this home belongs to no cluster yet', {
      hint: 'Make one: aegis cluster create. Or join one: aegis cluster join GENESIS',
    });
  }
  try {
    if (stats.size > GENESIS_BYTES_MAX) throw new AegisError('TOO_LARGE', 'it is too long');
    return openGenesis(new Uint8Array(await readFile(paths.genesis)));
  } catch (error) {
    const why = toAegisError(error).message;
    throw new AegisError('BAD_CONFIG', `the genesis at ${paths.genesis} is damaged: ${why}`, {
      hint: 'Move it away, get it from another member, and: aegis cluster join GENESIS',
      cause: error,
    });
  }
}
