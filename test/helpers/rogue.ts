/**
 * A process that is a member of a cluster, with the keys from a home, and floods others: libp2p
 * with the hello of aegis and nothing of its manners. Prints one JSON line at its end. Started by
 * attack.ts.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Connection, MessageStream, Stream } from '@libp2p/interface';
import { resolveHome } from '../../src/core/config/home.ts';
import { Keystore } from '../../src/core/keys/keystore.ts';
import { openGenesis } from '../../src/core/model/genesis.ts';
import { encodeHello } from '../../src/core/network/hello.ts';
import {
  encodeEnvelope,
  encodeRequest,
  FrameDecoder,
  KIND,
  openFailure,
} from '../../src/core/network/rpc-frame.ts';
import { onBytes } from '../../src/core/network/stream-io.ts';
import { createStranger } from '../core/network/stranger.ts';
import { trustful } from '../e2e/support/liar.ts';
import type { RogueKind, RoguePlan, RogueReport } from './attack.ts';

const RPC = '/aegis/rpc/1';
const BATCH = 500;
const WINDOW_UPDATE = 1;
const SYN = 1;
/** Odd, for it dials; far from those that its own muxer opens. */
const FIRST_STREAM = 100_001;
const HEARD_MS = 500;
const AGAIN_MS = 50;
const PAUSE_MS = 5;

const plan = JSON.parse(process.argv[2] ?? '{}') as RoguePlan;
const paths = resolveHome({ home: plan.home, env: {} });
const passphrase = readFileSync(plan.passphraseFile, 'utf8');
const keystore = await Keystore.open({ dir: paths.keys, passphrase });
const { clusterId } = openGenesis(new Uint8Array(readFileSync(paths.genesis)));
const hello = encodeHello(trustful(clusterId, keystore.inceptionBytes), 'rogue/1', 32_768);
/** Below the muxer of the last connection. */
let wire: MessageStream | undefined;
const rogue = await createStranger(keystore.networkSeed(), {
  async run(channel, { connection }) {
    channel.write(hello);
    await channel.read(AbortSignal.timeout(5000));
    wire = connection;
  },
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Link {
  readonly connection: Connection;
  readonly below: MessageStream;
}

/** Frames on one stream, as fast as it takes them. */
async function pour(
  { connection }: Link,
  report: RogueReport,
  frameOf: (id: number) => Uint8Array,
): Promise<void> {
  const stream = await connection.newStream([RPC], { signal: AbortSignal.timeout(5000) });
  listen(stream, report);
  while (report.sent < plan.count && performance.now() < end && stream.status === 'open') {
    if (stream.writeStatus === 'writable' && stream.writeBufferLength < 1_000_000) {
      const frames = Array.from({ length: BATCH }, (_, i) => frameOf(report.sent + i + 1));
      stream.send(Buffer.concat(frames));
      report.sent += BATCH;
    }
    await pause(PAUSE_MS);
  }
}

function listen(stream: Stream, report: RogueReport): void {
  const decoder = new FrameDecoder(
    { maxBytes: 1 << 20 },
    {
      room: () => 'keep',
      frame({ kind, body }) {
        if (kind === KIND.reply) report.answered += 1;
        if (kind !== KIND.failure) return;
        const { code, message } = openFailure(body);
        const why = `${code} ${/limits\.\w+/.exec(message)?.[0] ?? ''}`.trim();
        report.refused[why] = (report.refused[why] ?? 0) + 1;
      },
    },
  );
  onBytes(stream, (bytes) => decoder.push(bytes));
}

/** Streams that are opened, frame by frame as in the specification of yamux, and say nothing. */
async function halfOpen({ connection, below }: Link, report: RogueReport): Promise<void> {
  while (report.sent < plan.count && performance.now() < end && connection.status === 'open') {
    const frames = Array.from({ length: BATCH }, (_, i) => {
      const frame = Buffer.alloc(12);
      frame.writeUInt8(WINDOW_UPDATE, 1);
      frame.writeUInt16BE(SYN, 2);
      frame.writeUInt32BE(FIRST_STREAM + 2 * (report.sent + i), 4);
      return frame;
    });
    below.send(Buffer.concat(frames));
    report.sent += BATCH;
    await pause(PAUSE_MS);
  }
}

const asked = Buffer.from(keystore.nodeId);
const FLOODS: Readonly<Record<RogueKind, (to: Link, report: RogueReport) => Promise<void>>> = {
  requests: (to, report) =>
    pour(to, report, (id) =>
      encodeRequest(id, { method: 'kb/last', timeoutMs: 5000, body: asked }),
    ),
  envelopes: (to, report) => pour(to, report, () => encodeEnvelope('consensus', randomBytes(64))),
  streams: halfOpen,
};

/** Again and again, also when it has been cut. */
async function attack(kind: RogueKind, address: string): Promise<RogueReport> {
  const report: RogueReport = { kind, sent: 0, answered: 0, refused: {} };
  while (report.sent < plan.count && performance.now() < end) {
    try {
      await FLOODS[kind](await link(address), report);
    } catch {
      report.refused['connection'] = (report.refused['connection'] ?? 0) + 1;
      await pause(AGAIN_MS);
    }
  }
  return report;
}

/** One dial at a time: the wire is that of the last. */
let turn: Promise<unknown> = Promise.resolve();
function link(address: string): Promise<Link> {
  const dialed = turn.then(async () => {
    const connection = await rogue.dial(address);
    return { connection, below: wire! };
  });
  turn = dialed.catch(() => undefined);
  return dialed;
}

await pause(Math.max(0, (plan.startAt ?? 0) - Date.now()));
// Its start is not the flood.
const before = process.cpuUsage();
const end = performance.now() + plan.ms;
const reports = await Promise.all(plan.targets.map(({ kind, address }) => attack(kind, address)));
// What is on its way arrives, and what comes of it is heard.
await pause(HEARD_MS);
const { user, system } = process.cpuUsage(before);
process.stdout.write(`${JSON.stringify({ reports, cpuMs: (user + system) / 1000 })}\n`);
process.exit(0);
