/**
 * Q3: why an intent would be refused if it were executed now, so that whoever hands it in hears it
 * at once. What changes with every block, such as conflicts, is left to execution, which judges all
 * of it again.
 */
import { unreachable } from '../assert.ts';
import { AegisError } from '../errors.ts';
import type { Change } from '../model/change.ts';
import type { SignedIntent } from '../model/intent.ts';
import type { Ledger } from './ledger.ts';
import { added, isOver, limitsOf, usageAt } from './quotas.ts';
import { mayErase, mayGrant, mayWrite } from './rights.ts';

type EarlyLedger = Pick<
  Ledger,
  'account' | 'names' | 'protocol' | 'registers' | 'roster' | 'tip' | 'tree'
>;

/** What of an author waits already. */
export interface Backlog {
  readonly changes: number;
  readonly bytes: number;
  /** Intents that grant rights. */
  readonly grants: number;
}

export const NO_BACKLOG: Backlog = { changes: 0, bytes: 0, grants: 0 };

const isGrant = ({ op }: Change): boolean => op === 'grant';

/** What it is with one intent more, or, with `sign` -1, less. */
export const withIntent = (
  backlog: Backlog,
  { intent, bytes }: SignedIntent,
  sign: 1 | -1,
): Backlog => ({
  changes: backlog.changes + sign * intent.changes.length,
  bytes: backlog.bytes + sign * bytes.length,
  grants: backlog.grants + (intent.changes.some(isGrant) ? sign : 0),
});

export function earlyRefusal(
  ledger: EarlyLedger,
  { intent, bytes }: SignedIntent,
  backlog: Backlog,
  now: number,
): AegisError | undefined {
  const { author, changes } = intent;
  // V4
  const later = ledger.protocol < 2 ? changes.find(({ op }) => isLater(op)) : undefined;
  if (later !== undefined) return notYet(ledger.protocol, later);
  const where = changes.find((change) => !isAllowed(ledger, author, change));
  // A grant that waits may give the right.
  if (where !== undefined && backlog.grants === 0) return notAllowed(where);
  if (ledger.roster.get(author)?.role === 'custodian') return undefined;
  const time = Math.max(now, (ledger.tip.header?.time ?? 0) + 1);
  const paths = madePaths(ledger, changes);
  const usage = added(added(usageAt(ledger.account(author), time), { ...backlog, paths: 0 }), {
    changes: changes.length,
    bytes: bytes.length,
    paths,
  });
  return isOver(usage, limitsOf(ledger.registers, author), paths) ? overQuota() : undefined;
}

const isLater = (op: Change['op']): boolean => op === 'anchor' || op === 'erase';

function isAllowed({ registers }: EarlyLedger, author: string, change: Change): boolean {
  const { namespaces } = registers;
  switch (change.op) {
    case undefined:
      return mayWrite(registers, author, change.path);
    case 'grant':
    case 'revoke':
      return mayGrant(namespaces, author, change.path);
    case 'erase':
      return mayErase(namespaces, author, change.path);
    case 'anchor':
      return true;
    default:
      return unreachable(change);
  }
}

/** Those that wait may make them first: it is no more than a guess. */
function madePaths({ names, tree }: EarlyLedger, changes: readonly Change[]): number {
  const made = new Set<string>();
  for (const change of changes) {
    if (change.op !== undefined) continue;
    if (tree.get(names.refKey(change.path)) === undefined) made.add(change.path);
  }
  return made.size;
}

function notAllowed(change: Change): AegisError {
  const where = 'path' in change ? ` at ${change.path}` : '';
  return new AegisError('NOT_ALLOWED', `this node may not make changes of this kind${where}`);
}

const notYet = (protocol: number, { op }: Change): AegisError =>
  new AegisError('CHECK_FAILED', `protocol version ${protocol} has no ${op} yet`, {
    hint: 'See by which one the cluster goes: aegis cluster show',
    details: { reason: 'not-yet' },
  });

const overQuota = (): AegisError =>
  new AegisError('OVER_QUOTA', 'this node has used up what it may change in an hour');
