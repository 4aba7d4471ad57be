/**
 * The start of a private network, step by step. The order is what makes it come up every time: no
 * vote before the authority has every descriptor, and nobody else reads a consensus before it is
 * whole. Started all at once, one network of three stays incomplete until its next vote.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Member } from './member.ts';
import { VOTING_INTERVAL_S, VOTING_LEAD_S } from './torrcs.ts';

const POLL_MS = 50;
/** A vote takes 5 s. */
const VOTE_MS = 12_000;
/** A relay that asked too early waits longer and longer; reading its torrc again ends that. */
const NUDGE_MS = 1200;

/** Resolves when every relay has been listed by the authority. */
export async function gatherDescriptors(
  authority: Member,
  members: readonly Member[],
  signal: AbortSignal,
): Promise<void> {
  await until(members, signal, async () => {
    const text = await authority.info('desc/all-recent');
    return count(text, /^router /gm) >= members.length;
  });
}

/** Lets the authority vote at once. Resolves when all members are in its consensus. */
export async function vote(
  authority: Member,
  members: readonly Member[],
  signal: AbortSignal,
): Promise<void> {
  let calledAt = -VOTE_MS;
  await until(members, signal, async () => {
    if (await knowsAll(authority, members.length)) return true;
    // On a machine that stood still meanwhile the moment has passed; the next one would be far.
    if (performance.now() - calledAt < VOTE_MS) return false;
    calledAt = performance.now();
    await callVote(authority);
    return false;
  });
}

/** Intervals begin at multiples of their length plus the offset; the votes are cast before. */
async function callVote(authority: Member): Promise<void> {
  const first = Math.ceil(Date.now() / 1000 + VOTING_LEAD_S + 0.3);
  const settings = [
    `TestingV3AuthInitialVotingInterval=${VOTING_INTERVAL_S}`,
    `TestingV3AuthVotingStartOffset=${first % VOTING_INTERVAL_S}`,
  ];
  await authority.command(`SETCONF ${settings.join(' ')}`);
}

/**
 * Resolves when all members have the consensus. Never for the authority: a tor that reads its torrc
 * again forgets what SETCONF told it.
 */
export async function spread(
  relays: readonly Member[],
  size: number,
  signal: AbortSignal,
): Promise<void> {
  let nudgedAt = 0;
  await until(relays, signal, async () => {
    const know = await Promise.all(relays.map((relay) => knowsAll(relay, size)));
    const late = relays.filter((_, index) => !know[index]);
    if (late.length > 0 && performance.now() - nudgedAt > NUDGE_MS) {
      nudgedAt = performance.now();
      await Promise.all(late.map((relay) => relay.command('SIGNAL RELOAD')));
    }
    return late.length === 0;
  });
}

async function knowsAll(member: Member, size: number): Promise<boolean> {
  const text = await member.info('ns/all');
  return count(text, /^s .*\bRunning\b/gm) >= size;
}

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

async function until(
  members: readonly Member[],
  signal: AbortSignal,
  isDone: () => Promise<boolean>,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    for (const member of members) member.assertRuns();
    if (await isDone()) return;
    await sleep(POLL_MS, undefined, { signal });
  }
}
