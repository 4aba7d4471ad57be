/** Runs what a document shows: its console blocks, one after the other, in one session. */
import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { needs } from '../helpers/needs.ts';
import { parseTranscript, type Setting, type Step } from './markdown.ts';
import { type Bindings, bind, matches } from './match.ts';
import { contractSchemas, schemaFaults } from './schemas.ts';
import { Session } from './session.ts';

const schemas = await contractSchemas();

/** Four nodes that move behind Tor take a minute, and several where the machine is busy. */
const TIMEOUT_MS = 300_000;
const OVER_TOR: readonly Setting[] = ['onions', 'moving'];

const linesOf = (text: string): string[] =>
  text === ''
    ? []
    : text
        .replace(/\n$/, '')
        .split('\n')
        .map((line) => line.trimEnd());

async function check(
  file: string,
  step: Step,
  session: Session,
  bindings: Bindings,
): Promise<void> {
  const command = bind(step.command, bindings);
  const { stdout, exit } = await session.run(command);
  const actual = linesOf(stdout);
  const expected = step.output.map((line) => line.trimEnd());
  if (!matches(expected, actual, bindings) || exit !== step.exit) {
    const want = [...expected, `? ${step.exit}`].join('\n');
    expect([...actual, `? ${exit}`].join('\n'), `${file}:${step.line}: $ ${command}`).toBe(want);
  }
  expect(schemaFaults(actual, schemas), `${file}:${step.line}: $ ${command}`).toEqual([]);
}

/** A test for each document that has something to run. */
export function runs(patterns: readonly string[]): void {
  const transcripts = globSync([...patterns])
    .toSorted()
    .map((file) => ({ file, ...parseTranscript(readFileSync(file, 'utf8')) }))
    .filter(({ setting, steps }) => setting !== 'none' && steps.length > 0)
    .filter(({ setting }) => !OVER_TOR.includes(setting) || needs('tor', 'onion services'));
  test.each(transcripts)(
    '$file',
    async ({ file, setting, steps }) => {
      const session = await Session.start(setting);
      const bindings: Bindings = new Map();
      let left: number[] = [];
      try {
        for (const step of steps) await check(file, step, session, bindings);
      } finally {
        left = await session.end();
      }
      expect(left, 'daemons that nobody stopped').toEqual([]);
    },
    TIMEOUT_MS,
  );
}
