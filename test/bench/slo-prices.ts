/**
 * What the things that a custodian does cost on this machine, for the simulator: each is measured
 * alone, warm, in a process that does nothing else, so that a busy machine shows in the wall-clock
 * time of the disk only. The chain is timed step by step in a small simulated cluster.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { decodeMessage, encodeMessage } from '../../src/core/consensus/messages.ts';
import {
  aggregateBls,
  aggregateVerify,
  blsPublicKeyOf,
  blsSecretOf,
  fastAggregateVerify,
  openBlsKey,
  signBls,
  verifyBls,
} from '../../src/core/crypto/bls.ts';
import { signerOf, verifyEd25519 } from '../../src/core/crypto/sign.ts';
import { proveVrf, verifyVrf, vrfPublicKeyOf } from '../../src/core/crypto/vrf.ts';
import { nodeIdOf } from '../../src/core/model/identity.ts';
import { createIntent, readIntent } from '../../src/core/model/intent.ts';
import { Names } from '../../src/core/model/names.ts';
import { versionCidOf } from '../../src/core/model/version.ts';
import type { Log } from '../../src/core/ports.ts';
import { type Prices, workOf } from '../../src/core/sim/core.ts';
import { runSlo } from '../../src/core/sim/slo.ts';
import { ChainStore } from '../../src/core/storage/chain-store.ts';
import { KIB } from '../../src/core/units.ts';
import { Cluster } from '../core/network/cluster.ts';
import { withDirectory } from './cluster.ts';
import { type Figure, summaryOf } from './figures.ts';

const SAMPLES = 300;
const WARM = 60;
/** A quorum of fifty. */
const SIGNERS = 34;

export interface Measured {
  readonly prices: Prices;
  readonly disk: { readonly minMs: number; readonly maxMs: number };
  /** What the prices were made from. */
  readonly figures: readonly Figure[];
}

const silent: Log = { write: () => {}, child: () => silent };

export async function measurePrices(): Promise<Measured> {
  const crypto = measureCrypto();
  const messages = measureMessages();
  const machine = measureMachine();
  const network = await measureNetwork();
  const store = await measureStore();
  const figures = [...crypto, ...messages, ...machine, ...network, ...store.figures];
  const ms = (name: string): number => {
    const figure = figures.find((one) => one.name === name)!;
    // To the tenth of a microsecond: what is printed is what was used.
    return (
      Math.round(summaryOf(figure.samples).median * (figure.unit === 'us' ? 10 : 10_000)) / 10_000
    );
  };
  const one = ms('BLS verify');
  const certificate = ms('BLS certificate of 34');
  const prices: Prices = {
    blsSign: ms('BLS sign'),
    blsVerify: one,
    blsAdd: ms('BLS sum of 34') / SIGNERS,
    blsCertificate: one,
    blsSigner: Math.max(0, certificate - one) / SIGNERS,
    blsMessage: Math.max(0, ms('BLS 34 messages') - one) / SIGNERS,
    seedProve: ms('VRF prove'),
    seedVerify: ms('VRF verify'),
    ed25519Sign: ms('Ed25519 sign'),
    ed25519Verify: ms('Ed25519 verify'),
    envelope: ms('envelope of 400 B, each side'),
    envelopeKib: ms('KiB in large envelopes, each side'),
    read: ms('vote decoded'),
    readIntent: ms('intent decoded'),
    step: ms('step of the chain'),
    takeIntent: ms('intent taken in'),
    execute: ms('change executed'),
    finalise: ms('change made final'),
    commit: ms('transaction, processor'),
    row: ms('row of a transaction, processor'),
  };
  return { prices, disk: store.disk, figures };
}

/** Microseconds of each of many calls, after some that do not count. */
function timed(name: string, work: (i: number) => void, samples = SAMPLES): Figure {
  for (let i = 0; i < WARM; i += 1) work(i);
  const all = Array.from({ length: samples }, (_, i) => {
    const from = performance.now();
    work(WARM + i);
    return (performance.now() - from) * 1000;
  });
  return { name, unit: 'us', samples: all };
}

function measureCrypto(): Figure[] {
  const message = (i: number): Uint8Array => Buffer.from(`message ${i}`.padEnd(80));
  const secrets = Array.from({ length: SIGNERS }, () => blsSecretOf(randomBytes(32)));
  const keys = secrets.map((secret) => openBlsKey(blsPublicKeyOf(secret))!);
  const shares = secrets.map((secret) => signBls(secret, message(0)));
  const sum = aggregateBls(shares);
  const apart = secrets.map((_, i) => message(i));
  const sumApart = aggregateBls(secrets.map((secret, i) => signBls(secret, apart[i]!)));
  const vrfSeed = randomBytes(32);
  const vrfKey = vrfPublicKeyOf(vrfSeed);
  const proof = proveVrf(vrfSeed, message(0));
  const signer = signerOf(randomBytes(32));
  const payload = randomBytes(370);
  const signature = signer.sign(payload);
  return [
    timed('BLS sign', (i) => void signBls(secrets[0]!, message(i))),
    timed('BLS verify', () => void verifyBls(keys[0]!, message(0), shares[0]!)),
    timed('BLS sum of 34', () => void aggregateBls(shares)),
    timed('BLS certificate of 34', () => void fastAggregateVerify(keys, message(0), sum)),
    timed('BLS 34 messages', () => void aggregateVerify(keys, apart, sumApart), 50),
    timed('VRF prove', (i) => void proveVrf(vrfSeed, message(i))),
    timed('VRF verify', () => void verifyVrf(vrfKey, message(0), proof)),
    timed('Ed25519 sign', () => void signer.sign(payload)),
    timed('Ed25519 verify', () => void verifyEd25519(signer.publicKey, payload, signature)),
  ];
}

function measureMessages(): Figure[] {
  const vote = encodeMessage({
    type: 'vote',
    phase: 'commit',
    height: 1000,
    view: 0,
    digest: 'ab'.repeat(32),
    signature: randomBytes(96),
    proposal: undefined,
  });
  const signer = signerOf(randomBytes(32));
  const context = { clusterId: 'ab'.repeat(32), names: new Names(randomBytes(32)) };
  const version = versionCidOf(randomBytes(32));
  const changes = [{ path: 'load/12/1234', version, parents: [], generation: 1 }];
  const fields = { author: nodeIdOf(signer.publicKey), sequence: 1, time: 1, changes, keyEpoch: 0 };
  const { bytes } = createIntent(fields, context, signer);
  return [
    timed('vote decoded', () => void decodeMessage(vote), 2000),
    timed('intent decoded', () => void readIntent(bytes, context), 2000),
  ];
}

/** Times the steps of four chains, by what they do; signatures are stand-ins that cost little. */
function measureMachine(): Figure[] {
  const classes = { step: [0, 0, 0], take: [0, 0, 0], execute: [0, 0, 0], finalise: [0, 0, 0] };
  const run = (measuredMs: number, isCounted: boolean): void => {
    runSlo({
      ...{ seed: 'prices', custodians: 4, network: 'lan', intentsPerSecond: 2000 },
      ...{ warmUpMs: 500, measuredMs, disk: { minMs: 0.5, maxMs: 1.5 } },
      watch: (input, step) => {
        const from = process.threadCpuUsage();
        const ready = step();
        const { user, system } = process.threadCpuUsage(from);
        const us = user + system;
        const { taken, executed, finalised } = workOf(input, ready.entries, ready.outcomes);
        const kind =
          finalised > 0 ? 'finalise' : executed > 0 ? 'execute' : taken > 0 ? 'take' : 'step';
        const sums = classes[kind];
        if (!isCounted) return ready;
        sums[0]! += us;
        sums[1]! += 1;
        sums[2]! += finalised > 0 ? finalised : executed > 0 ? executed : taken;
        return ready;
      },
    });
  };
  run(1500, false);
  run(4000, true);
  const base = classes.step[0]! / classes.step[1]!;
  const each = ([us, steps, items]: readonly number[]): number =>
    Math.max(0, us! - steps! * base) / items!;
  return [
    { name: 'step of the chain', unit: 'us', samples: [base] },
    { name: 'intent taken in', unit: 'us', samples: [each(classes.take)] },
    { name: 'change executed', unit: 'us', samples: [each(classes.execute)] },
    { name: 'change made final', unit: 'us', samples: [each(classes.finalise)] },
  ];
}

/** What is measured here is work, not patience with a peer that sends much. */
const UNLIMITED = {
  envelopesPerSecond: 1_000_000,
  envelopesPerSecondInAll: 1_000_000,
  bytesPerSecond: 2 ** 31,
};

const cpuUs = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

/** Two real hosts of this process: half of what both use is what one does. */
async function measureNetwork(): Promise<Figure[]> {
  await using cluster = new Cluster(2);
  const [a, b] = await cluster.pair(UNLIMITED);
  const to = cluster.members[1]!.nodeId;
  let arrived = (): void => undefined;
  b.onEnvelope(() => arrived());
  // One after the other, as on a calm line: nothing waits, nothing spins.
  const each = async (bytes: number, count: number): Promise<number> => {
    const body = randomBytes(bytes);
    const before = cpuUs();
    for (let sent = 0; sent < count; sent += 1) {
      const { promise, resolve } = Promise.withResolvers<void>();
      arrived = resolve;
      if (!a.send({ to, protocol: 'chain', body })) throw new Error('the hosts are not connected');
      await promise;
    }
    return (cpuUs() - before) / count / 2;
  };
  const small: number[] = [];
  const large: number[] = [];
  await each(400, 2000);
  for (let round = 0; round < 5; round += 1) {
    const one = await each(400, 1000);
    small.push(one);
    large.push(Math.max(0, (await each(256 * KIB, 60)) - one) / 256);
  }
  return [
    { name: 'envelope of 400 B, each side', unit: 'us', samples: small },
    { name: 'KiB in large envelopes, each side', unit: 'us', samples: large },
  ];
}

async function measureStore(): Promise<{
  readonly figures: readonly Figure[];
  readonly disk: Measured['disk'];
}> {
  return await withDirectory(async (dir) => {
    const store = await ChainStore.open(join(dir, 'chain.db'), { log: silent });
    const rows = (count: number, at: number) =>
      Array.from({ length: count }, (_, i) => ({
        table: 'bench',
        key: `${at} ${i}`,
        value: randomBytes(400),
      }));
    const latencies: number[] = [];
    const commit = async (count: number, at: number): Promise<void> => {
      const entries = rows(count, at);
      const from = performance.now();
      await store.commit(entries);
      latencies.push(performance.now() - from);
    };
    const cpuOf = async (count: number, times: number, from: number): Promise<number> => {
      const before = cpuUs();
      for (let i = 0; i < times; i += 1) await commit(count, from + i);
      return (cpuUs() - before) / times;
    };
    try {
      await cpuOf(4, 50, 0);
      latencies.splice(0);
      const few = await cpuOf(4, 300, 1000);
      const small = latencies.splice(0);
      const many = await cpuOf(1000, 20, 5000);
      const row = Math.max(0, (many - few) / 996);
      const { median, p95 } = summaryOf(small);
      const [minMs, maxMs] = [Math.round(median * 1000) / 1000, Math.round(p95 * 1000) / 1000];
      return {
        disk: { minMs, maxMs },
        figures: [
          { name: 'commit of 4 rows, durable', unit: 'ms', samples: small },
          { name: 'transaction, processor', unit: 'us', samples: [Math.max(0, few - 4 * row)] },
          { name: 'row of a transaction, processor', unit: 'us', samples: [row] },
        ],
      };
    } finally {
      await store.close();
    }
  });
}
