import { expect, test } from 'vitest';
import { AegisError } from '../../../src/core/errors.ts';
import { createIntent } from '../../../src/core/model/intent.ts';
import { RelayDesk } from '../../../src/core/node/relay-desk.ts';
import { contextOf } from '../../helpers/names.ts';
import { ana } from './support/node.ts';
import { CLUSTER_ID } from './support/test-chain.ts';

const context = contextOf(CLUSTER_ID);
const { digest, bytes } = createIntent(
  { author: ana.nodeId, sequence: 1, time: 1, changes: [], keyEpoch: 0 },
  context,
  ana.signer,
);
const refused = new AegisError('BUSY', 'the mempool is full');

// A rejection that nobody hears ends a daemon, and fails a test.
test('a caller that hangs up after a refusal takes nobody down', async () => {
  const hangUp = new AbortController();
  const desk: RelayDesk = new RelayDesk(context, {
    chain: {
      roster: { isMember: () => true, identityKey: () => ana.signer.publicKey },
      nextSequence: () => 1,
      isWaiting: () => false,
    } as never,
    submit: () => desk.tell({ type: 'refused', digest, error: refused } as never),
    receipt: () => Promise.resolve(undefined),
  });
  const signed = [Buffer.from(bytes).toString('base64')];
  const relayed = desk.relay({ signed, wait: 'final', timeoutMs: 60_000 }, hangUp.signal);
  await expect(relayed).rejects.toBe(refused);
  hangUp.abort(new AegisError('INTERRUPTED', 'the caller hung up'));
});
