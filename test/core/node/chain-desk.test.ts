import { expect, it } from 'vitest';
import type { ChainInput } from '../../../src/core/chain/chain.ts';
import { AegisError } from '../../../src/core/errors.ts';
import { ChainDesk, type ChainDeskDeps } from '../../../src/core/node/chain-desk.ts';
import type { Log, Metrics } from '../../../src/core/ports.ts';
import { Blocks } from '../chain/support/blocks.ts';
import { membersOf } from '../chain/support/fixtures.ts';

const log: Log = { write: () => {}, child: () => log };
const metrics: Metrics = { count: () => {}, gauge: () => {}, observe: () => {} };

it('what cannot be read makes a peer a liar; what it may not say here yet does not', () => {
  const { views } = new Blocks(membersOf(1), 1);
  const chain = Object.assign(views, { status: () => ({ mempool: { intents: 0, bytes: 0 } }) });
  const inputs: ChainInput[] = [];
  const submit = (input: ChainInput): void => void inputs.push(input);
  // No other part of the node is asked.
  const deps = { chain, log, metrics, submit } as unknown as ChainDeskDeps;
  const desk = new ChainDesk(deps, false);
  desk.refused('new', new AegisError('DENIED', 'the sender has no part in consensus'));
  desk.refused('bad', new AegisError('BAD_ENCODING', 'that is no message'));
  expect(inputs).toEqual([{ type: 'unreadable', from: 'bad' }]);
});
