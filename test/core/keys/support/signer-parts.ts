/** The parts of a signer over the keys of a test node, as `aegis keys serve` puts them together. */
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { signBls } from '../../../../src/core/crypto/bls.ts';
import { proveVrf } from '../../../../src/core/crypto/vrf.ts';
import { AegisError } from '../../../../src/core/errors.ts';
import { hex } from '../../../../src/core/keys/material.ts';
import { SignerDesk } from '../../../../src/core/keys/signer-desk.ts';
import {
  decodeRequest,
  encodeDescription,
  encodeReply,
  frameOf,
  type SignerDescription,
  SignerFrames,
} from '../../../../src/core/keys/signer-frames.ts';
import { Guards } from '../../../../src/core/keys/signer-guards.ts';
import { SignerServer } from '../../../../src/core/keys/signer-server.ts';
import type { KeyRing, Log } from '../../../../src/core/ports.ts';
import { testNode } from '../../../helpers/nodes.ts';

const silent: Log = { write: () => {}, child: () => silent };
const isSame = (a: Uint8Array, b: Uint8Array): boolean => hex(a) === hex(b);

/** @param before is called between a durable guard and the signature. */
function ringOf(number: number, before: () => void): KeyRing {
  const { signer, keys, consensusSecret, vrfSeed } = testNode(number);
  const sign = (message: Uint8Array): Uint8Array => {
    before();
    return signBls(consensusSecret, message);
  };
  const prove = (alpha: Uint8Array): Uint8Array => proveVrf(vrfSeed, alpha);
  return {
    identity: (key) => (isSame(key, signer.publicKey) ? signer : undefined),
    votes: (publicKey) => (isSame(publicKey, keys.consensusKey) ? { publicKey, sign } : undefined),
    seeds: (publicKey) => (isSame(publicKey, keys.vrfKey) ? { publicKey, prove } : undefined),
    heldConsensusKeys: () => [hex(keys.consensusKey)],
  };
}

export interface PartsOptions {
  readonly acceptLost?: boolean;
  readonly before?: () => void;
  readonly now?: () => number;
}

const descriptionOf = (number: number): SignerDescription => {
  const { nodeId, inception, signer, keys } = testNode(number);
  return {
    nodeId,
    inception,
    origin: keys,
    number: 0,
    pending: new Uint8Array(),
    identity: [signer.publicKey],
    consensus: [keys.consensusKey],
    vrf: [keys.vrfKey],
  };
};

export function signerServer(
  dir: string,
  number: number,
  options: PartsOptions = {},
): SignerServer {
  const { before = () => {}, acceptLost = false, now } = options;
  const ring = ringOf(number, before);
  const guards = new Guards({ dir: join(dir, 'guards'), mark: join(dir, 'mark.json'), acceptLost });
  const describe = () => descriptionOf(number);
  const follow = () => Promise.reject(new AegisError('BAD_DATA', 'nothing follows'));
  const desk = new SignerDesk({ ring, guards, log: silent, describe, follow });
  return new SignerServer({ desk, log: silent, ...(now === undefined ? {} : { now }) });
}

/** Says what it holds, and answers all else with what is no answer. */
export function babblingServer(number: number): Server {
  const nonsense = [Buffer.from('nonsense'), encodeReply({ type: 'done', bytes: Buffer.of(1) })];
  return createServer((socket) => {
    const frames = new SignerFrames();
    socket.on('data', (chunk) => {
      for (const { id, body } of frames.push(chunk)) {
        const bytes = encodeDescription(descriptionOf(number));
        const isAsked = decodeRequest(body).op === 'describe';
        const reply = isAsked ? encodeReply({ type: 'done', bytes }) : nonsense[id % 2]!;
        socket.write(frameOf(id, reply));
      }
    });
  });
}
