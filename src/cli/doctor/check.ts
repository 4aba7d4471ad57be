/** One thing that `aegis doctor` looks at, and what it found. */
import type { DoctorCheck } from '../../core/api/contract/config.ts';
import type { HomePaths } from '../../core/config/home.ts';
import { toAegisError } from '../../core/errors.ts';

export type Check = DoctorCheck;

/** What the checks know. */
export interface Patient {
  readonly paths: HomePaths;
  readonly env: NodeJS.ProcessEnv;
  /** Version of this program. */
  readonly version: string;
  /** Repair what can be repaired without a loss. */
  readonly fix: boolean;
  /** For one question to the daemon. */
  readonly timeoutMs: number;
}

const check = (
  id: string,
  status: Check['status'],
  message: string,
  hint: string | undefined,
): Check => ({ id, status, message, hint: hint ?? null, fixed: false });

export const ok = (id: string, message: string): Check => check(id, 'ok', message, undefined);
export const warn = (id: string, message: string, hint?: string): Check =>
  check(id, 'warn', message, hint);
export const fail = (id: string, message: string, hint?: string): Check =>
  check(id, 'fail', message, hint);
export const fixed = (id: string, message: string): Check => ({ ...ok(id, message), fixed: true });

/** Runs one check; an error that it throws is what it found. */
export async function examine(id: string, look: () => Promise<Check> | Check): Promise<Check> {
  try {
    return await look();
  } catch (error) {
    const { message, hint } = toAegisError(error);
    return fail(id, message, hint);
  }
}
