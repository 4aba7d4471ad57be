/** Looks at everything that replicas say: one that follows the rules never breaks these. */
import type { ConsensusMessage } from '../../../../src/core/consensus/messages.ts';
import type { Envelope } from './cluster.ts';

/** P6 and T2 on the wire. */
export class WireChecker {
  readonly faults: string[] = [];
  /** What each has signed, by slot. */
  readonly #said = new Map<string, string>();
  /** The highest view of a height that each has given up. */
  readonly #givenUp = new Map<string, number>();

  see({ from, message }: Envelope): void {
    const slot = slotOf(message);
    if (slot === undefined) return;
    const { kind, height, view, value } = slot;
    const key = `${from} ${kind} ${height} ${view}`;
    const before = this.#said.get(key);
    if (before !== undefined && before !== value) this.faults.push(`P6: ${key}`);
    this.#said.set(key, value);
    const place = `${from} ${height}`;
    if (kind === 'timeout') {
      this.#givenUp.set(place, Math.max(view, this.#givenUp.get(place) ?? -1));
    } else if (before === undefined && view <= (this.#givenUp.get(place) ?? -1)) {
      this.faults.push(`T2: ${key}`);
    }
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
