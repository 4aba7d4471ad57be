/**
 * Opens the keys of a node wherever they are: all in its home, or those that sign behind a signer
 * (setting `keys.signer`). And describes the home of a signer to its nodes.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { AegisError, toAegisError } from '../errors.ts';
import { statIfPresent, writeFileAtomic } from '../files.ts';
import { openSuccession } from '../model/succession.ts';
import type { Log } from '../ports.ts';
import { readHome } from './home.ts';
import { Keystore } from './keystore.ts';
import { entryPath, inceptionPath, type OpenRole, pendingDir, successionPath } from './layout.ts';
import { hex } from './material.ts';
import { readOwnSuccession, renderOwnSuccession } from './own-succession.ts';
import type { Sharing } from './sharing.ts';
import { RemoteRing } from './signer-client.ts';
import type { SignerDescription } from './signer-frames.ts';

/** What a signer holds. */
const SIGNING_ROLES = ['identity', 'consensus', 'vrf'] as const satisfies OpenRole[];
/** What stays with the node. */
export const NODE_ROLES = ['network', 'onion'] as const satisfies OpenRole[];

const SILENT: Log = { write: () => {}, child: () => SILENT };

export interface OpenKeystore {
  readonly keystore: Keystore;
  close(): Promise<void>;
}

/**
 * @param options.signer the socket of the signer; undefined: all keys are in the home.
 * @throws {AegisError} as `Keystore.open`; `BAD_CONFIG` when keys lie both here and there.
 */
export async function openKeystore(
  options: {
    readonly dir: string;
    readonly passphrase: string;
    readonly signer?: string | undefined;
    /** J2 */
    readonly sharing?: Sharing | undefined;
  },
  { log = SILENT }: { readonly log?: Log } = {},
): Promise<OpenKeystore> {
  const { dir, passphrase, signer, sharing } = options;
  if (signer === undefined) {
    const keystore = await Keystore.open({ dir, passphrase, sharing });
    return { keystore, close: () => Promise.resolve(keystore.close()) };
  }
  await prepareSignerHome({ dir, signer });
  const { current, keys, nodeId } = await readHome(dir, {
    behindSigner: SIGNING_ROLES,
    view: sharing,
  });
  const double = keys.find(({ role }) => SIGNING_ROLES.some((name) => name === role));
  if (double !== undefined) {
    // G2 is worth nothing when the key can sign without the guard.
    const message = `the ${double.role} key is in ${double.path}, and keys.signer is set`;
    throw new AegisError('BAD_CONFIG', message, {
      hint: 'Move the file to the home of the signer, or unset keys.signer.',
    });
  }
  const { identityKey, consensusKey, vrfKey } = current.keys;
  const known = { identity: [identityKey], consensus: [consensusKey], vrf: [vrfKey] };
  let keystore: Keystore | undefined;
  const described = (description: SignerDescription): void => {
    if (keystore !== undefined) void takePending(description, { dir, keystore, log });
  };
  const remote = await RemoteRing.open({ socket: signer, known, described }, { log });
  try {
    const { description } = remote;
    checkOwner(description, nodeId);
    const parts = { remote, behindSigner: SIGNING_ROLES, sharing };
    keystore = await Keystore.open({ dir, passphrase, ...parts });
    const opened = keystore;
    if (description !== undefined) await takePending(description, { dir, keystore, log });
    remote.settled(keystore.succession);
    const close = async (): Promise<void> => {
      opened.close();
      await remote.close();
    };
    return { keystore: opened, close };
  } catch (error) {
    await remote.close();
    throw error;
  }
}

/**
 * Writes down the public part of what the signer holds, once, so that the home can be read without
 * it. Does nothing when it is there, and without `signer`.
 * @throws {AegisError} `SIGNER_UNREACHABLE`, `BAD_CONFIG` when the signer is that of another node.
 */
export async function prepareSignerHome(options: {
  readonly dir: string;
  readonly signer: string | undefined;
}): Promise<void> {
  const { dir, signer } = options;
  if (signer === undefined) return;
  const own = await readOwnSuccession(dir);
  if (own !== undefined && SIGNING_ROLES.every((role) => own.lost.includes(role))) return;
  const { origin, entries } = own ?? (await askOrigin(dir, signer));
  const lost = [...new Set([...(own?.lost ?? []), ...SIGNING_ROLES])];
  await writeFileAtomic(successionPath(dir), renderOwnSuccession({ origin, entries, lost }));
}

async function askOrigin(dir: string, signer: string) {
  const ring = await RemoteRing.open({ socket: signer }, { log: SILENT });
  const { description } = ring;
  await ring.close();
  if (description === undefined) {
    throw new AegisError('SIGNER_UNREACHABLE', `no signer answers at ${signer}`);
  }
  const inception = await readFile(inceptionPath(dir)).catch(() => undefined);
  if (inception === undefined || hex(inception) !== hex(description.inception)) {
    throw foreign(description.nodeId);
  }
  // The chain has the entries; the node follows it.
  return { origin: description.origin, entries: [] };
}

/**
 * A rotation that was prepared in the home of the signer waits in that of the node as well, without
 * its secrets: from there it is handed in as any other.
 */
async function takePending(
  { pending }: SignerDescription,
  { dir, keystore, log }: { dir: string; keystore: Keystore; log: Log },
): Promise<void> {
  try {
    if (pending.length === 0) return;
    const { succession } = openSuccession(pending);
    if (succession.nodeId !== keystore.nodeId) throw foreign(succession.nodeId);
    const isOld = succession.number <= keystore.current.number;
    if (isOld || (await statIfPresent(entryPath(dir))) !== undefined) return;
    await mkdir(pendingDir(dir), { recursive: true, mode: 0o700 });
    await writeFileAtomic(entryPath(dir), pending);
    log.write('info', 'the signer has prepared a rotation', { number: succession.number });
  } catch (error) {
    const { code, message: reason } = toAegisError(error);
    log.write('warn', 'what the signer has prepared cannot be taken up', { code, reason });
  }
}

function checkOwner(description: SignerDescription | undefined, nodeId: string): void {
  if (description !== undefined && description.nodeId !== nodeId) throw foreign(description.nodeId);
}

const foreign = (nodeId: string): AegisError =>
  new AegisError('BAD_CONFIG', `the signer holds the keys of another node, ${nodeId}`, {
    hint: 'Set keys.signer to the socket of the signer of this node.',
  });

/**
 * What a node hears of an open keystore: keys in force, and those of a rotation under way.
 * @param number how many entries are known, with one that was shown and is pending (G3)
 */
export function describeKeystore(keystore: Keystore, number: number): SignerDescription {
  const states = [keystore.current, keystore.pending()?.after].filter((one) => one !== undefined);
  const keys = states.map((state) => state.keys);
  const unique = (list: readonly Uint8Array[]): Uint8Array[] => [
    ...new Map(list.map((key) => [hex(key), key])).values(),
  ];
  return {
    nodeId: keystore.nodeId,
    inception: keystore.inceptionBytes,
    origin: keystore.origin,
    number,
    pending: keystore.pending()?.entry.bytes ?? new Uint8Array(),
    identity: unique(keys.map(({ identityKey }) => identityKey)),
    consensus: unique(keys.map(({ consensusKey }) => consensusKey)),
    vrf: unique(keys.map(({ vrfKey }) => vrfKey)),
  };
}
