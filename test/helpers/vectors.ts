/** Third-party test data, as they lie in test/vectors. */
import { readFileSync } from 'node:fs';

export const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'));
export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** One JSON file of test/vectors. */
export const readVectors = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8'));

interface Wycheproof<G, T> {
  readonly numberOfTests: number;
  readonly testGroups: readonly (G & { readonly tests: readonly T[] })[];
}

export interface Verdict {
  readonly tcId: number;
  readonly comment: string;
  readonly result: 'valid' | 'invalid' | 'acceptable';
}

/** All tests of a Wycheproof file, each with the facts of its group. */
export function wycheproof<G, T>(name: string): (G & T & Verdict)[] {
  const file = readVectors(`wycheproof/${name}`) as Wycheproof<G, T & Verdict>;
  const tests = file.testGroups.flatMap(({ tests: inGroup, ...group }) =>
    inGroup.map((test) => ({ ...(group as G), ...test })),
  );
  if (tests.length !== file.numberOfTests) throw new Error(`${name} is not whole`);
  return tests;
}
