/**
 * The bug zoo: bugs that are put into the code on purpose, to measure whether the simulator sees
 * them. A bug is a patch with a head that says what it breaks, what hunts it, who catches it and
 * how soon. It is applied to a copy of the sources and hunted in a process of its own.
 */
import { spawn } from 'node:child_process';
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { applyPatch, parsePatch } from 'diff';
import type { Catch } from './hunt.ts';

export interface Bug {
  /** Of the patch, without its ending. */
  readonly name: string;
  /** What is wrong, as a sentence. */
  readonly title: string;
  /** A rule of docs/consensus.md or a word for a promise. */
  readonly rule: string;
  /** A hunt of hunt.ts with its options. */
  readonly hunt: string;
  /** The checker that must catch it. */
  readonly checker: string;
  /** Seeds or scenarios within which it must. */
  readonly within: number;
  readonly patch: string;
}

export interface Result {
  readonly bug: Bug;
  /** Undefined: nothing was caught. */
  readonly caught: Catch | undefined;
  /** What went wrong with the hunt itself. */
  readonly trouble: string | undefined;
}

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const ZOO = 'test/sim/zoo';
/** A liveness bug runs on for all of its virtual time. */
const TIME_LIMIT_MS = 120_000;

export function readBugs(): Bug[] {
  return readdirSync(join(ROOT, ZOO))
    .filter((file) => file.endsWith('.patch'))
    .toSorted()
    .map((file) => readBug(file.slice(0, -'.patch'.length)));
}

function readBug(name: string): Bug {
  const text = readFileSync(join(ROOT, ZOO, `${name}.patch`), 'utf8');
  const start = text.indexOf('--- a/');
  const field = (key: string): string => {
    const value = new RegExp(`^${key}: (.+)$`, 'm').exec(text.slice(0, start))?.[1];
    if (value === undefined) throw new Error(`${name}.patch does not say its ${key}`);
    return value;
  };
  return {
    name,
    title: field('title'),
    rule: field('rule'),
    hunt: field('hunt'),
    checker: field('caught by'),
    within: Number(field('within')),
    patch: text.slice(start),
  };
}

/** The files that a bug changes, as they are with it. @throws if the patch does not apply. */
export function infect(bug: Bug): Map<string, string> {
  const changed = new Map<string, string>();
  for (const part of parsePatch(bug.patch)) {
    const file = part.newFileName?.replace(/^b\//, '') ?? '';
    const before = readFileSync(join(ROOT, file), 'utf8');
    const after = applyPatch(before, part);
    if (after === false) throw new Error(`${bug.name}.patch does not apply to ${file}`);
    changed.set(file, after);
  }
  return changed;
}

/** Hunts one bug in a copy of the sources; what catches it must find nothing without the bug. */
export async function hunt(bug: Bug): Promise<Result> {
  const result = await huntInCopy(bug);
  if (result.caught === undefined) return result;
  const control = await run(join(ROOT, ZOO, 'hunt.ts'), { ...bug, within: result.caught.after });
  if (control.output === undefined && control.trouble === undefined) return result;
  const trouble = control.trouble ?? `without the bug, too: ${control.output!.message}`;
  return { ...result, trouble };
}

async function huntInCopy(bug: Bug): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'aegis-zoo-'));
  try {
    for (const part of ['src/core', 'test/sim', 'package.json']) {
      cpSync(join(ROOT, part), join(folder, part), { recursive: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    for (const [file, text] of infect(bug)) writeFileSync(join(folder, file), text);
    const { output, trouble } = await run(join(folder, ZOO, 'hunt.ts'), bug);
    return { bug, caught: output, trouble };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Ran {
  readonly output: Catch | undefined;
  readonly trouble: string | undefined;
}

function run(file: string, bug: Bug): Promise<Ran> {
  const child = spawn(process.execPath, [file, bug.hunt, String(bug.within)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIME_LIMIT_MS,
  });
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (bytes: Buffer) => output.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => errors.push(bytes));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code !== 0) {
        const said = Buffer.concat(errors).toString().slice(-2000);
        resolve({ output: undefined, trouble: `ended with ${code ?? signal}: ${said}` });
        return;
      }
      const { caught } = JSON.parse(Buffer.concat(output).toString()) as { caught?: Catch };
      resolve({ output: caught, trouble: undefined });
    });
  });
}

/** Why a result is not what the zoo promises; undefined when it is. */
export function disappointment({ bug, caught, trouble }: Result): string | undefined {
  if (trouble !== undefined) return `${bug.name}: ${trouble}`;
  if (caught === undefined) return `${bug.name} is not caught within ${bug.within}`;
  if (caught.checker === bug.checker) return undefined;
  return `${bug.name} is caught by ${caught.checker}: ${caught.message}`;
}

/** The table of README.md, as the formatter wants it. */
export function tableOf(results: readonly Result[]): string {
  const rows = results.map(({ bug, caught }) => {
    const found = caught === undefined ? ['-', '-'] : [caught.checker, String(caught.after)];
    return [bug.title, bug.rule, bug.hunt, ...found, String(bug.within)];
  });
  const head = ['bug', 'breaks', 'hunt', 'caught by', 'after', 'allowed'];
  const widths = head.map((name, at) =>
    Math.max(name.length, ...rows.map((cells) => cells[at]!.length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(' | ')} |\n`;
  const rule = widths.map((width) => '-'.repeat(width));
  return [head, rule, ...rows].map(line).join('');
}

/** The titles in the table of README.md. */
export function readTable(): string[] {
  const text = readFileSync(join(ROOT, ZOO, 'README.md'), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| '));
  return rows.slice(2).map((row) => row.split(' | ')[0]!.slice(2).trim());
}
