/** What one step of replication has gathered, and sends at its end. */
import type { Account } from './accounts.ts';

export class Outbox {
  readonly offers = new Map<string, Map<string, Account>>();
  readonly acks = new Map<string, Map<string, Account>>();
  /** Keys of accounts whose copies changed. */
  readonly changed = new Set<string>();

  add(kind: 'offers' | 'acks', nodeId: string, account: Account): void {
    const map = this[kind].get(nodeId) ?? new Map<string, Account>();
    this[kind].set(nodeId, map.set(account.key, account));
  }
}
