/** What a node takes into its home to come into a cluster: a genesis, or an invitation. */
import type { InvitationView } from '../core/api/contract/cluster.ts';
import type { HomePaths } from '../core/config/home.ts';
import { AegisError } from '../core/errors.ts';
import { writeFileAtomic } from '../core/files.ts';
import { openBundle } from '../core/model/bundle.ts';
import {
  INVITATION_FILE_BYTES_MAX,
  invitationFromText,
  type OpenInvitationFile,
  openInvitationFile,
} from '../core/model/invitation-file.ts';
import { genesisBytes } from './cluster.ts';
import { readDocument } from './documents.ts';
import { facts } from './format.ts';

interface Entry {
  readonly genesis: Uint8Array;
  /** Undefined for a bare genesis. */
  readonly invited: OpenInvitationFile | undefined;
  /** As it was given. */
  readonly text: string;
}

/**
 * A genesis or an invitation, from a file or `-`.
 * @throws {AegisError} what `readDocument`, `genesisFromText` and `openInvitationFile` throw.
 */
export async function readEntry(path: string): Promise<Entry> {
  const bytes = await readDocument(path, INVITATION_FILE_BYTES_MAX * 2);
  const text = Buffer.from(bytes).toString('latin1');
  if (!text.trimStart().startsWith('-----BEGIN AEGIS INVITATION-----')) {
    return { genesis: genesisBytes(bytes), invited: undefined, text };
  }
  const invited = openInvitationFile(invitationFromText(text));
  return { genesis: invited.file.genesis, invited, text };
}

/** @throws {AegisError} `DENIED` when it is for another node, `CHECK_FAILED` when it has ended. */
export function checkInvitation({ invitation }: OpenInvitationFile, ownNodeId: string): void {
  const { nodeId, expiresAt } = invitation.invitation;
  const hint = 'Ask a custodian for another one: aegis cluster invite';
  if (nodeId !== ownNodeId) {
    const message = `the invitation is for another node: ${nodeId}`;
    throw new AegisError('DENIED', message, { hint });
  }
  // The custodians judge by the time of the block; this spares a start in vain.
  if (expiresAt <= Date.now()) {
    const message = `the invitation ended at ${new Date(expiresAt).toISOString()}`;
    throw new AegisError('CHECK_FAILED', message, { hint });
  }
}

/** Keeps an invitation that was checked in the home; one that was there is replaced. */
export async function keepInvitation(
  paths: HomePaths,
  invited: OpenInvitationFile,
  text: string,
): Promise<InvitationView> {
  const { id, inviter, createdAt, expiresAt } = invited.invitation.invitation;
  await writeFileAtomic(paths.invitation, text, { mode: 0o600 });
  const name = nameOf(invited, inviter);
  return {
    id,
    inviter: { nodeId: inviter, name },
    createdAt: new Date(createdAt).toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
  };
}

/** Of a member of the genesis, or of one that came later and brings its bundle. */
function nameOf({ genesis, file }: OpenInvitationFile, nodeId: string): string {
  const member = genesis.members.find((one) => one.nodeId === nodeId);
  if (member !== undefined) return member.name;
  return file.inviter === undefined ? nodeId : openBundle(file.inviter).inception.name;
}

export const invitationFacts = ({ id, inviter, expiresAt }: InvitationView): string =>
  facts([
    ['invitation', id],
    ['inviter', `${inviter.name} ${inviter.nodeId}`],
    ['expires', expiresAt],
  ]);
