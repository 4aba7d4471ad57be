/**
 * A signer as a process of its own: the real server, guards and socket over the keys of a test
 * node. Says READY. `dies` makes it die between a durable guard and the answer.
 *
 *     node signer-process.ts DIR NUMBER [dies | hangs | accept-lost]
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { signBls } from '../../../../src/core/crypto/bls.ts';
import { proveVrf } from '../../../../src/core/crypto/vrf.ts';
import { hex } from '../../../../src/core/keys/material.ts';
import { SignerDesk } from '../../../../src/core/keys/signer-desk.ts';
import { Guards } from '../../../../src/core/keys/signer-guards.ts';
import { SignerServer } from '../../../../src/core/keys/signer-server.ts';
import type { KeyRing, Log } from '../../../../src/core/ports.ts';
import { testNode } from '../../../helpers/nodes.ts';

const [dir = '', number = '1', mode = ''] = process.argv.slice(2);
const log: Log = { write: () => {}, child: () => log };

const { signer, nodeId, inception, keys, consensusSecret, vrfSeed } = testNode(Number(number));
const isSame = (a: Uint8Array, b: Uint8Array): boolean => hex(a) === hex(b);
const ring: KeyRing = {
  identity: (key) => (isSame(key, signer.publicKey) ? signer : undefined),
  votes: (publicKey) =>
    isSame(publicKey, keys.consensusKey)
      ? {
          publicKey,
          sign: (message) => {
            if (mode === 'dies') process.kill(process.pid, 'SIGKILL');
            // oxlint-disable-next-line no-empty -- it hangs
            while (mode === 'hangs') {}
            return signBls(consensusSecret, message);
          },
        }
      : undefined,
  seeds: (publicKey) =>
    isSame(publicKey, keys.vrfKey)
      ? { publicKey, prove: (alpha) => proveVrf(vrfSeed, alpha) }
      : undefined,
  heldConsensusKeys: () => [hex(keys.consensusKey)],
};

mkdirSync(dir, { recursive: true, mode: 0o700 });
const acceptLost = mode === 'accept-lost';
const guards = new Guards({ dir: join(dir, 'guards'), mark: join(dir, 'mark.json'), acceptLost });
const describe = () => ({
  nodeId,
  inception,
  succession: [],
  identity: [signer.publicKey],
  consensus: [keys.consensusKey],
  vrf: [keys.vrfKey],
});
const server = new SignerServer({ desk: new SignerDesk({ ring, guards, log, describe }), log });
server.net.listen(join(dir, 's.sock'), () => process.stdout.write('READY\n'));
