/** What a node must have before it starts: a home, settings, keys and a cluster that it is in. */
import { readFile } from 'node:fs/promises';
import { isForgotten } from '../config/clusters.ts';
import { checkFormat } from '../config/format.ts';
import { checkSocketPath, type HomePaths, requireHome } from '../config/home.ts';
import { loadSettings, type Settings } from '../config/settings.ts';
import type { RouteMode, TorDaemon } from '../config/tor-settings.ts';
import { AegisError, toAegisError } from '../errors.ts';
import { statIfPresent } from '../files.ts';
import { Keystore } from '../keys/keystore.ts';
import { checkMemberKeys } from '../keys/membership.ts';
import { prepareSignerHome } from '../keys/signer-open.ts';
import type { Role } from '../model/bundle.ts';
import { GENESIS_BYTES_MAX, type Genesis, openGenesis } from '../model/genesis.ts';
import {
  INVITATION_FILE_BYTES_MAX,
  invitationFromText,
  type OpenInvitationFile,
  openInvitationFile,
} from '../model/invitation-file.ts';
import { HomeLock } from '../storage/home-lock.ts';

export interface StartOptions {
  readonly paths: HomePaths;
  readonly passphrase: string;
  /** Version of aegis. */
  readonly version: string;
  readonly env: NodeJS.ProcessEnv;
  /** Addresses to listen on instead of those of the settings. */
  readonly listen?: readonly string[] | undefined;
  /** O1, O8: instead of those of the settings. */
  readonly route?: RouteMode | undefined;
  readonly torDaemon?: TorDaemon | undefined;
  /** Hears how far Tor is, one sentence at a time, until it is ready. */
  onTor?(progress: string): void;
  /** D7: the operator says that the home has voted nothing that it does not remember. */
  readonly vouch?: boolean;
}

/** What a node is called, and what it offers. */
export interface Self {
  readonly nodeId: string;
  readonly name: string;
  readonly zone: string;
  readonly region: string;
  readonly role: Role;
  readonly storageWeight: number;
}

export interface Opened {
  readonly settings: Settings;
  readonly genesis: Genesis;
  /** The bytes whose hash is the cluster id. */
  readonly genesisBytes: Uint8Array;
  readonly self: Self;
  /** Needed by a node that the genesis does not name (M2); for others it has hints. */
  readonly invited: OpenInvitationFile | undefined;
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

/** What the command line says of settings. */
export const flagsOf = ({ listen, route, torDaemon }: StartOptions): Partial<Settings> => ({
  ...(listen === undefined ? {} : { 'node.listen': listen }),
  ...(route === undefined ? {} : { 'tor.route': route }),
  ...(torDaemon === undefined ? {} : { 'tor.daemon': torDaemon }),
});

/** @throws {AegisError} `BAD_CONFIG` when the home belongs to no cluster, or not to this one. */
export async function openHome(
  paths: HomePaths,
  env: NodeJS.ProcessEnv,
  flags: Partial<Settings> = {},
): Promise<Opened> {
  const { settings } = await loadSettings(paths, env, flags);
  await requireCounted(paths);
  const { genesis, bytes: genesisBytes } = await readGenesis(paths);
  await prepareSignerHome({ dir: paths.keys, signer: settings['keys.signer'] });
  const inspection = await Keystore.inspect(paths.keys, { view: paths });
  const { nodeId, inception } = inspection;
  const member = genesis.members.find((one) => one.nodeId === nodeId);
  if (member !== undefined) {
    checkMemberKeys(inspection, member);
    const invited = await readInvitation(paths, genesis, nodeId).catch(() => undefined);
    return { settings, genesis, genesisBytes, self: member, invited };
  }
  const invited = await readInvitation(paths, genesis, nodeId);
  const { name, zone, region } = inception;
  const storageWeight = settings['node.storageWeight'];
  const self = { nodeId, name, zone, region, role: 'agent' as const, storageWeight };
  return { settings, genesis, genesisBytes, self, invited };
}

/** J4: what it retires here while it is left out is not kept for it. */
async function requireCounted(paths: HomePaths): Promise<void> {
  if (!(await isForgotten(paths))) return;
  throw new AegisError('BAD_CONFIG', 'this cluster has been left out of the home', {
    hint: 'See: aegis cluster list. Take it in again: aegis cluster join FILE --cluster NAME',
  });
}

/** What this node was invited with last. @throws {AegisError} `BAD_CONFIG` for what is none. */
export async function invitedBy(
  paths: HomePaths,
  genesis: Genesis,
  nodeId: string,
): Promise<OpenInvitationFile | undefined> {
  const isInvited = (await statIfPresent(paths.invitation)) !== undefined;
  return isInvited ? await readInvitation(paths, genesis, nodeId) : undefined;
}

/** @throws {AegisError} `BAD_CONFIG` for a node that nobody has let in. */
async function readInvitation(
  paths: HomePaths,
  genesis: Genesis,
  nodeId: string,
): Promise<OpenInvitationFile> {
  const stats = await statIfPresent(paths.invitation);
  if (stats === undefined) {
    const message = `this node, ${nodeId}, is not a member of the cluster ${genesis.name}`;
    throw new AegisError('BAD_CONFIG', message, {
      hint: 'Ask a custodian for an invitation (aegis cluster invite), then: aegis cluster join F',
    });
  }
  try {
    if (stats.size > INVITATION_FILE_BYTES_MAX * 2)
      throw new AegisError('TOO_LARGE', 'it is too long');
    const text = await readFile(paths.invitation, 'utf8');
    const opened = openInvitationFile(invitationFromText(text));
    const isForThis =
      opened.genesis.clusterId === genesis.clusterId &&
      opened.invitation.invitation.nodeId === nodeId;
    if (!isForThis) throw new AegisError('BAD_DATA', 'it is for another node or cluster');
    return opened;
  } catch (error) {
    const why = toAegisError(error).message;
    throw new AegisError('BAD_CONFIG', `the invitation at ${paths.invitation}: ${why}`, {
      hint: 'Ask for another one, and: aegis cluster join FILE',
      cause: error,
    });
  }
}

async function readGenesis(
  paths: HomePaths,
): Promise<{ readonly genesis: Genesis; readonly bytes: Uint8Array }> {
  const stats = await statIfPresent(paths.genesis);
  if (stats === undefined) {
    throw new AegisError('BAD_CONFIG', 'this home belongs to no cluster yet', {
      hint: 'Make one: aegis cluster create. Or join one: aegis cluster join GENESIS',
    });
  }
  try {
    if (stats.size > GENESIS_BYTES_MAX) throw new AegisError('TOO_LARGE', 'it is too long');
    const bytes = new Uint8Array(await readFile(paths.genesis));
    return { genesis: openGenesis(bytes), bytes };
  } catch (error) {
    const why = toAegisError(error).message;
    throw new AegisError('BAD_CONFIG', `the genesis at ${paths.genesis} is damaged: ${why}`, {
      hint: 'Move it away, get it from another member, and: aegis cluster join GENESIS',
      cause: error,
    });
  }
}
