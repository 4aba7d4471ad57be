/** Attacks of strangers and of hostile members on a node, each from a process of its own. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

export interface AttackPlan {
  /**
   * `connections`: a hello that has begun; `slow`: a byte now and then, as long as it is let;
   * `oversized`: a frame far over its limit.
   */
  readonly kind: 'connections' | 'slow' | 'oversized';
  readonly port: number;
  /** Local addresses to come from, in turn. */
  readonly addresses: readonly string[];
  readonly perSecond: number;
  readonly ms: number;
}

/** Counts of connections. */
export interface AttackReport {
  made: number;
  /** Ended by the other side in no friendly way. */
  reset: number;
  /** Heard something back. */
  answered: number;
  failed: number;
  /** At once. */
  openMost: number;
  /** What the attack cost the attacker. */
  cpuMs: number;
}

export type RogueKind = 'requests' | 'envelopes' | 'streams';

/** A member that has passed hello, from the home of a node whose daemon is down. */
export interface RoguePlan {
  readonly home: string;
  readonly passphraseFile: string;
  readonly targets: readonly { readonly kind: RogueKind; readonly address: string }[];
  /** For each target at most. */
  readonly count: number;
  /** Milliseconds since the Unix epoch: until then it only gets ready. @default at once */
  readonly startAt?: number;
  /** It ends earlier when it has sent all. */
  readonly ms: number;
}

export interface RogueReport {
  readonly kind: RogueKind;
  sent: number;
  answered: number;
  /** What it was told, by the code of the error and the setting that it names. */
  readonly refused: Record<string, number>;
}

export const attack = (plan: AttackPlan): Promise<AttackReport> => runAside('attacker.ts', plan);

export const goRogue = (
  plan: RoguePlan,
): Promise<{ readonly reports: readonly RogueReport[]; readonly cpuMs: number }> =>
  runAside('rogue.ts', plan);

/** Uses up as much processor as an attack does, and attacks nobody. */
export const burn = (plan: { share: number; ms: number }): Promise<{ cpuMs: number }> =>
  runAside('burner.ts', plan);

/** The 50 loopback addresses besides the usual one. */
export const FIFTY = Array.from({ length: 50 }, (_, i) => `127.0.0.${i + 2}`);

function runAside<T>(script: string, plan: object): Promise<T> {
  const file = join(import.meta.dirname, script);
  const child = spawn(process.execPath, [file, JSON.stringify(plan)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const out: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(JSON.parse(Buffer.concat(out).toString()) as T);
      else reject(new Error(`${script} ended with ${code}`));
    });
  });
}
