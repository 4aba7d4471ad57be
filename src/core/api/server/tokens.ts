/** The bearer tokens: made anew at each start, so that no token outlives the daemon it was for. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { unlink } from 'node:fs/promises';
import { writeFileAtomic } from '../../files.ts';
import type { Random } from '../../ports.ts';
import type { Scope } from '../contract/routes.ts';

export interface TokenPaths {
  readonly readToken: string;
  readonly adminToken: string;
}

export interface Tokens {
  readonly read: string;
  readonly admin: string;
}

const TOKEN_BYTES = 32;

/** Writes both tokens (64 hex digits, files 0600). @throws {AegisError} DISK_FULL, DENIED. */
export async function issueTokens(paths: TokenPaths, random: Random): Promise<Tokens> {
  const read = Buffer.from(random.bytes(TOKEN_BYTES)).toString('hex');
  const admin = Buffer.from(random.bytes(TOKEN_BYTES)).toString('hex');
  await writeFileAtomic(paths.readToken, `${read}\n`, { mode: 0o600 });
  await writeFileAtomic(paths.adminToken, `${admin}\n`, { mode: 0o600 });
  return { read, admin };
}

/** Removes the token files; they are worth nothing once the server has stopped. */
export async function withdrawTokens(paths: TokenPaths): Promise<void> {
  await Promise.all(
    [paths.readToken, paths.adminToken].map((path) => unlink(path).catch(() => undefined)),
  );
}

/** What a header `Authorization: Bearer <token>` allows; `undefined`: nothing. */
export function scopeOf(header: string | undefined, tokens: Tokens): Scope | undefined {
  const given = /^Bearer ([!-~]{1,256})$/i.exec(header ?? '')?.[1] ?? '';
  // Both are compared always, so that the time tells nothing about either.
  const isRead = sameText(given, tokens.read);
  const isAdmin = sameText(given, tokens.admin);
  if (isAdmin) return 'admin';
  return isRead ? 'read' : undefined;
}

/** In a time that does not depend on where the texts differ, nor on their length. */
function sameText(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
