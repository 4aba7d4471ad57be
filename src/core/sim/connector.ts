/**
 * Keeps the nodes of a consensus run connected: the member whose id is the lower one dials, and
 * dials again after pauses that double. It stands for `peers/`, whose own seeds hold it.
 */
import { type Machine, type Ready, ReadyBuilder } from '../machine.ts';
import { type Instant, instant } from '../units.ts';
import type { SimNode } from './node.ts';
import type { Tie } from './scenario.ts';

const FIRST_PAUSE_MS = 50;
const PAUSE_MAX_MS = 2000;

type Input =
  | { readonly type: 'start' }
  | { readonly type: 'alarm'; readonly key: string }
  | { readonly type: 'up' | 'down' | 'failed'; readonly nodeId: string };

interface Dial {
  readonly type: 'dial';
  readonly nodeId: string;
}

class Connector implements Machine<Input> {
  readonly #targets: readonly string[];
  readonly #pauses = new Map<string, number>();
  readonly #up = new Set<string>();

  constructor(self: string, members: readonly string[]) {
    this.#targets = members.filter((member) => member > self);
  }

  step(input: Input, now: Instant): Ready {
    const ready = new ReadyBuilder<Dial>();
    switch (input.type) {
      case 'start':
        for (const nodeId of this.#targets) ready.tell({ type: 'dial', nodeId });
        break;
      case 'alarm':
        if (!this.#up.has(input.key)) ready.tell({ type: 'dial', nodeId: input.key });
        break;
      case 'up':
        this.#up.add(input.nodeId);
        this.#pauses.delete(input.nodeId);
        break;
      default:
        this.#up.delete(input.nodeId);
        this.#wait(input.nodeId, ready, now);
    }
    return ready.build();
  }

  #wait(nodeId: string, ready: ReadyBuilder<Dial>, now: Instant): void {
    if (!this.#targets.includes(nodeId)) return;
    const pauseMs = this.#pauses.get(nodeId) ?? FIRST_PAUSE_MS;
    this.#pauses.set(nodeId, Math.min(PAUSE_MAX_MS, 2 * pauseMs));
    ready.alarm(nodeId, instant(now + pauseMs));
  }
}

export function connectorTie(node: SimNode, members: readonly string[]): Tie {
  const { network } = node.world;
  return {
    name: 'connector',
    machine: new Connector(node.nodeId, members),
    first: [{ type: 'start' } satisfies Input],
    alarmInput: (key) => ({ type: 'alarm', key }) satisfies Input,
    peerInput: (nodeId, isUp) => ({ type: isUp ? 'up' : 'down', nodeId }) satisfies Input,
    tell: (outcome) => {
      const { nodeId } = outcome as Dial;
      const done = node.guard((isUp: boolean) => {
        if (!isUp) node.submit('connector', { type: 'failed', nodeId } satisfies Input);
      });
      network.dial(node.nodeId, nodeId, done);
    },
  };
}
