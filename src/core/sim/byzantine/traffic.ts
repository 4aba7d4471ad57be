/** What a node can do wrong with the network alone: it signs nothing that is false. */
import {
  CHAIN_PROTOCOL,
  type ChainMessage,
  encodeMessage as encodeChain,
  type OutgoingMessage,
} from '../../chain/messages.ts';
import type { BlockWindow } from '../../chain/types.ts';
import { encodeCertificate } from '../../consensus/certificate.ts';
import { CONSENSUS_PROTOCOL } from '../../consensus/messages.ts';
import type { Envelope } from '../../machine.ts';
import { createBlock, openBlock } from '../../model/block.ts';
import type { Instant } from '../../units.ts';
import { type Attacker, envelopeOf, otherDigest } from './attack.ts';
import { type Behaviour, behaviour, perhaps, UNPROVABLE } from './behaviour.ts';
import { consensusOf } from './hear.ts';

const KEPT = 300;

/** Hears everything and says nothing. */
const silence = behaviour('silence', UNPROVABLE, (attacker) => {
  const strike = (): [] => {
    attacker.strike();
    return [];
  };
  return { say: strike, tell: strike };
});

/** Is a good custodian to one half, and dead to the other. */
const selectiveSending = behaviour('selective-sending', UNPROVABLE, (attacker) => ({
  say(message, to) {
    if (attacker.isInHalf(to)) return [message];
    attacker.strike();
    return [];
  },
}));

/** Says everything right, but late: as the others give up. */
const delayedVotes = behaviour('delayed-votes', UNPROVABLE, (attacker) => {
  let held: { readonly at: Instant; readonly envelope: Envelope }[] = [];
  const delayMs = attacker.tools.random.between(100, 4000);
  return {
    say(message, to, now) {
      if (message.type === 'status') return [message];
      attacker.strike();
      if (held.length < KEPT) held.push({ at: now, envelope: envelopeOf(to, message) });
      return [];
    },
    tick(now) {
      const due = held.filter(({ at }) => now - at >= delayMs);
      held = held.filter(({ at }) => now - at < delayMs);
      return due.map(({ envelope }) => envelope);
    },
  };
});

/** Says again what it and others said long ago, to anybody. */
const staleReplay = behaviour('stale-replay', UNPROVABLE, (attacker) => {
  const { random } = attacker.tools;
  const kept: Envelope[] = [];
  const keep = (envelope: Envelope): void => {
    if (kept.length < KEPT) kept.push(envelope);
    else kept[random.between(0, KEPT - 1)] = envelope;
  };
  return {
    hear(input) {
      const message = consensusOf(input);
      if (message !== undefined) keep(envelopeOf('', message));
      return [input];
    },
    tell(envelope) {
      keep(envelope);
      return [envelope];
    },
    say(message, to) {
      keep(envelopeOf(to, message));
      return [message];
    },
    tick() {
      const old = random.pick(kept);
      if (old === undefined) return [];
      attacker.strike();
      return attacker.others.map((to) => ({ ...old, to }));
    },
  };
});

/** Votes, timeouts and claims about views and heights that nobody has come to. */
const farFuture = behaviour('far-future', perhaps('prepare', 'commit', 'timeout'), (attacker) => {
  const { random } = attacker.tools;
  return {
    say(message) {
      if (message.type !== 'vote' && message.type !== 'timeout') return [message];
      attacker.strike();
      const view = message.view + random.pick([1, 2, 63, 64, 65, 1000, 1_000_000])!;
      const height = message.height + random.pick([0, 0, 1, 2, 1000, 2 ** 40])!;
      const slot = { height, view };
      if (message.type === 'timeout') return [message, attacker.timeout(height, view, undefined)];
      return [
        message,
        attacker.vote(message.phase, slot, message.digest),
        attacker.timeout(height, view, undefined),
      ];
    },
  };
});

/** Bytes that are no messages, or nearly are. */
const hostileBytes = behaviour('hostile-bytes', UNPROVABLE, (attacker) => {
  const { random } = attacker.tools;
  const mutate = (body: Uint8Array): Uint8Array => {
    const bytes = Uint8Array.from(body);
    const at = random.between(0, bytes.length - 1);
    switch (random.between(0, 3)) {
      case 0:
        bytes[at] = random.between(0, 255);
        return bytes;
      case 1:
        return bytes.subarray(0, at);
      case 2:
        return Buffer.concat([bytes, random.bytes(3)]);
      default:
        return random.bytes(random.between(0, 200));
    }
  };
  /** Lists in lists in lists, an endless list, and more bytes than any message may have. */
  const bombs = [
    new Uint8Array(10_000).fill(0x81),
    Uint8Array.from([0x9a, 0xff, 0xff, 0xff, 0xff]),
    Uint8Array.from([0x5a, 0x7f, 0xff, 0xff, 0xff]),
    new Uint8Array(1_100_000),
  ];
  const recent: Envelope[] = [];
  const keep = (envelope: Envelope): void => {
    recent[random.between(0, 20)] = envelope;
  };
  return {
    say(message, to) {
      keep(envelopeOf(to, message));
      return [message];
    },
    tell(envelope) {
      keep(envelope);
      return [envelope];
    },
    tick() {
      attacker.strike();
      const sent = recent.filter((envelope) => envelope !== undefined);
      return attacker.others.map((to) => {
        const real = random.pick(sent);
        if (real !== undefined && random.chance(0.9))
          return { ...real, to, body: mutate(real.body) };
        const protocol = random.pick([CONSENSUS_PROTOCOL, CHAIN_PROTOCOL])!;
        return { to, protocol, body: random.pick(bombs)! };
      });
    },
  };
});

/** D5 abused: tells others of votes that they never made, so that they doubt themselves. */
const falseWitness = behaviour('false-witness', UNPROVABLE, (attacker) => ({
  say(message) {
    if (message.type !== 'vote') return [message];
    attacker.strike();
    const { phase: kind, digest, signature } = message;
    const height = message.height + attacker.tools.random.between(0, 1);
    const seen = { kind, height, view: message.view, digest, highView: undefined, signature };
    const base = { type: 'status', height, view: message.view, ask: 0, answer: 0 } as const;
    const none = { commit: undefined, high: undefined, timeout: undefined };
    return [message, { ...base, ...none, seen: { ...seen, digest: otherDigest(digest) } }];
  },
}));

/** Gives wrong blocks, wrong heights and wrong answers to those who must trust it. */
const lyingPeer = behaviour('lying-peer', UNPROVABLE, (attacker) => ({
  tell(envelope) {
    const lie = lieOf(attacker.read(envelope), attacker);
    if (lie === undefined) return [envelope];
    attacker.strike();
    return [{ to: envelope.to, protocol: CHAIN_PROTOCOL, body: encodeChain(lie) }];
  },
}));

/** A block of its own making with a certificate from nobody. */
function fork(block: Uint8Array, attacker: Attacker): BlockWindow {
  const { header, intents } = openBlock(block);
  const other = attacker.poison(createBlock({ ...header, time: header.time + 1 }, intents));
  const { height } = header;
  const { custodians, faultyMax } = attacker;
  const signers = Array.from({ length: custodians.size - faultyMax }, (_, index) => index);
  const signature = attacker.tools.random.bytes(96);
  const slot = { phase: 'commit', height, view: 0, digest: other.digest } as const;
  const certificate = encodeCertificate({ ...slot, signers, signature });
  return { blocks: [other.bytes], certificate };
}

function spoil(bytes: Uint8Array): Uint8Array {
  const other = new Uint8Array(bytes);
  other[other.length - 1]! ^= 1;
  return other;
}

function lieOf(message: ChainMessage, attacker: Attacker): OutgoingMessage | undefined {
  const { random } = attacker.tools;
  switch (message.type) {
    case 'announce':
      return { ...message, height: message.height + random.pick([1, 50, 2 ** 40])! };
    case 'index-reply': {
      const { nonce, height } = message;
      const isLow = random.chance(0.5);
      return isLow
        ? { type: 'index-reply', nonce, height: 0, certificate: undefined }
        : { type: 'index-reply', nonce, height: height + 1000, certificate: message.certificate };
    }
    case 'blocks': {
      const { from, window } = message;
      if (window === undefined) return undefined;
      const blocks = window.blocks.map(({ block }) => block.bytes);
      const certificate = encodeCertificate(window.certificate);
      const lies: (BlockWindow | undefined)[] = [
        { blocks: blocks.toReversed(), certificate },
        { blocks: blocks.slice(1), certificate },
        { blocks: blocks.slice(0, -1), certificate },
        { blocks, certificate: random.bytes(200) },
        { blocks: Array.from({ length: 32 }, () => blocks[0]!), certificate },
        fork(blocks[0]!, attacker),
        fork(blocks.at(-1)!, attacker),
        undefined,
      ];
      return { type: 'blocks', from, window: lies[random.between(0, lies.length - 1)] };
    }
    case 'snapshot': {
      const { height, manifest } = message;
      const lies = [undefined, manifest && { ...manifest, header: spoil(manifest.header) }];
      return { type: 'snapshot', height, manifest: lies[random.between(0, 1)] };
    }
    case 'page': {
      const rows = message.rows?.map((row) => ({ ...row, value: spoil(row.value) }));
      return { ...message, rows: random.chance(0.5) ? rows : undefined };
    }
    case 'part': {
      const leaves = message.leaves?.map((leaf) => ({ ...leaf, value: spoil(leaf.value) }));
      return { ...message, leaves: random.chance(0.5) ? leaves : message.leaves?.slice(1) };
    }
    default:
      return undefined;
  }
}

export const TRAFFIC_BEHAVIOURS: readonly Behaviour[] = [
  silence,
  selectiveSending,
  delayedVotes,
  staleReplay,
  farFuture,
  hostileBytes,
  falseWitness,
  lyingPeer,
];
