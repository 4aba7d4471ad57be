/** Looks at everything that replicas say: one that follows the rules never breaks these. */
import type { ConsensusMessage } from '../../../../src/core/consensus/messages.ts';
import type { Envelope } from './cluster.ts';

/** P6, P4 and T2 on the wire. */
export class WireChecker {
  readonly faults: string[] = [];
  /** What each has signed, by slot. */
  readonly #said = new Map<string, string>();
  /** Timeouts of a height: which view, and the view of the certificate that it names. */
  readonly #timeouts = new Map<string, { readonly view: number; readonly highView: number }[]>();

  see({ from, message }: Envelope): void {
    const slot = slotOf(message);
    if (slot === undefined) return;
    const { kind, height, view, value } = slot;
    const key = `${from} ${kind} ${height} ${view}`;
    const before = this.#said.get(key);
    if (before !== undefined && before !== value) this.faults.push(`P6: ${key}`);
    if (before !== undefined) return;
    this.#said.set(key, value);
    const place = `${from} ${height}`;
    const timeouts = this.#timeouts.get(place) ?? [];
    if (message.type === 'timeout') {
      this.#timeouts.set(place, [...timeouts, { view, highView: message.high?.view ?? -1 }]);
      const isLocked = [...this.#said.keys()].some((said) => {
        const [who, what, where, when] = said.split(' ');
        const isCommit = `${who} ${where}` === place && what === 'commit';
        return isCommit && Number(when) <= view && Number(when) > (message.high?.view ?? -1);
      });
      if (isLocked) this.faults.push(`P4: ${key}`);
    }
    // A vote that was signed before a crash may be shown after the timeout; it knew of it, then.
    const isLate = timeouts.some((timeout) => timeout.view >= view && timeout.highView < view);
    if (kind === 'commit' && isLate) this.faults.push(`T2: ${key}`);
  }
}

function slotOf(message: ConsensusMessage) {
  switch (message.type) {
    case 'vote':
      return {
        ...message,
        kind: message.phase,
        value: `${message.digest} ${hex(message.signature)}`,
      };
    case 'timeout':
      return { ...message, kind: 'timeout', value: hex(message.signature) };
    case 'proposal':
      return { ...message, kind: 'proposal', value: message.digest };
    default:
      return undefined;
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
