/**
 * Several custodians in one process, for the bench of fifty: real engines over real homes, networks
 * and stores, without the API in front. The parent speaks through the channel of `fork`.
 */

import type { Body } from '../../src/core/api/contract/endpoints.ts';
import { unreachable } from '../../src/core/assert.ts';
import { resolveHome } from '../../src/core/config/home.ts';
import { AegisError } from '../../src/core/errors.ts';
import { Keystore } from '../../src/core/keys/keystore.ts';
import { Engine } from '../../src/core/node/engine.ts';
import { openHome } from '../../src/core/node/opening.ts';
import type { Log } from '../../src/core/ports.ts';
import { createMetrics } from '../../src/core/telemetry/metrics.ts';

export interface HostedNode {
  readonly number: number;
  readonly home: string;
}

export type Order =
  | { readonly type: 'open'; readonly nodes: readonly HostedNode[]; readonly passphrase: string }
  | { readonly type: 'peers' }
  | { readonly type: 'usage' }
  | {
      readonly type: 'submit';
      readonly number: number;
      readonly intents: Body<'intents.submit'>['intents'];
    }
  | { readonly type: 'close' };

/** `at` is in milliseconds, by the clock that all processes of a machine share. */
export type Report =
  | { readonly type: 'done'; readonly order: Order['type']; readonly value?: number }
  | {
      readonly type: 'final';
      readonly number: number;
      readonly height: number;
      readonly at: number;
    }
  | { readonly type: 'failed'; readonly message: string };

const silent: Log = { write: () => {}, child: () => silent };
const engines = new Map<number, Engine>();
const never = new AbortController().signal;

const tell = (report: Report): void => void process.send?.(report);
const now = (): number => performance.timeOrigin + performance.now();

function failed(error: unknown): void {
  tell({ type: 'failed', message: error instanceof Error ? (error.stack ?? '') : String(error) });
}

async function open({ number, home }: HostedNode, passphrase: string): Promise<void> {
  const paths = resolveHome({ home, env: {} });
  const { settings, genesis, genesisBytes, invited } = await openHome(paths, {});
  const keystore = await Keystore.open({ dir: paths.keys, passphrase });
  const engine = await Engine.start(
    {
      ...{ paths, settings, genesis, genesisBytes, invited },
      ...{ keystore, agent: 'aegis/bench', env: {} },
    },
    {
      log: silent,
      metrics: createMetrics(),
      fatal: failed,
      tooOld: failed,
      peersChanged: () => {},
      pathChanged: () => {},
      consensusMoved: () => {},
      torChanged: () => {},
      blockFinal: ({ height }) => tell({ type: 'final', number, height, at: now() }),
    },
  );
  engines.set(number, engine);
}

async function obey(order: Order): Promise<number | undefined> {
  switch (order.type) {
    case 'open':
      for (const node of order.nodes) await open(node, order.passphrase);
      return undefined;
    case 'peers':
      return Math.min(...[...engines.values()].map(({ host }) => host.peers().length));
    case 'usage': {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    }
    case 'submit': {
      const { intents } = order;
      const body = { intents, wait: 'accepted', timeoutMs: 10_000 } as const;
      const context = { signal: never, scope: 'admin' } as const;
      await engines.get(order.number)!.intents.submit(body, context);
      return undefined;
    }
    case 'close':
      for (const engine of engines.values()) engine.fail(new AegisError('STOPPING', 'the end'));
      await Promise.all([...engines.values()].map((engine) => engine.stop()));
      return undefined;
    default:
      return unreachable(order);
  }
}

async function answer(order: Order): Promise<void> {
  try {
    const value = await obey(order);
    tell({ type: 'done', order: order.type, ...(value === undefined ? {} : { value }) });
    if (order.type === 'close') process.disconnect();
  } catch (error) {
    failed(error);
  }
}

process.on('message', (order: Order) => void answer(order));
// Whoever started this process is gone, and with it the reason to go on.
process.on('disconnect', () => process.exit());
