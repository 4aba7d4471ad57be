/** Signers as processes, and what a test asks them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { digestMessage } from '../../../../src/core/consensus/signed-bytes.ts';
import {
  decodeReply,
  encodeRequest,
  frameOf,
  SignerFrames,
  type SignerReply,
  type SignerRequest,
} from '../../../../src/core/keys/signer-frames.ts';
import type { Log } from '../../../../src/core/ports.ts';

export const CLUSTER = 'cluster-of-the-test';
export const silentLog: Log = { write: () => {}, child: () => silentLog };

export const vote = (
  height: number,
  view = 0,
  digest = 'a',
  kind: 'prepare' | 'commit' = 'prepare',
): Uint8Array => digestMessage(CLUSTER, kind, height, view, digest.repeat(64));

export const proposal = (height: number, view = 0, digest = 'a'): Uint8Array =>
  digestMessage(CLUSTER, 'proposal', height, view, digest.repeat(64));

export const socketIn = (dir: string): string => join(dir, 's.sock');

/** A signer of the keys of test node 1, which ends with the test. */
export async function startSigner(dir: string, mode = ''): Promise<ChildProcess> {
  const program = join(import.meta.dirname, 'signer-process.ts');
  const child = spawn(process.execPath, [program, dir, '1', mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

export async function killSigner(child: ChildProcess): Promise<void> {
  const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null;
  child.kill('SIGKILL');
  await ended;
}

export interface RawSigner {
  /** Undefined: the connection has ended without an answer. */
  ask(request: SignerRequest): Promise<SignerReply | undefined>;
  askRaw(body: Uint8Array): Promise<SignerReply | undefined>;
  write(bytes: Uint8Array): Promise<SignerReply | undefined>;
  close(): void;
}

/** The protocol, spoken by hand: one question after the other. */
export async function rawSigner(path: string): Promise<RawSigner> {
  const socket = connect({ path });
  await once(socket, 'connect');
  const frames = new SignerFrames();
  let answered: (reply: SignerReply | undefined) => void = () => {};
  let hasEnded = false;
  socket.on('data', (bytes) => {
    for (const { body } of frames.push(bytes)) answered(decodeReply(body));
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    hasEnded = true;
    answered(undefined);
  });
  const write = (bytes: Uint8Array) =>
    new Promise<SignerReply | undefined>((resolve) => {
      answered = resolve;
      if (hasEnded) resolve(undefined);
      else socket.write(bytes);
    });
  const askRaw = (body: Uint8Array) => write(frameOf(1, body));
  return {
    write,
    askRaw,
    ask: (request) => askRaw(encodeRequest(request)),
    close: () => socket.destroy(),
  };
}
