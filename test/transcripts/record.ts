/**
 * Writes what the commands of a transcript print into it, for a person to read before it is
 * committed: `node test/transcripts/record.ts FILE...`. Output that matches already stays; in new
 * output, what differs from run to run becomes placeholders.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseTranscript, type Step } from './markdown.ts';
import { type Bindings, bind, KINDS, matches } from './match.ts';
import { Session } from './session.ts';

/** In this order, because one kind may look like a part of another. */
const RECORDED = 'cluster id,node id,peer id,cid,time,fingerprint,digest,onion,key'.split(',');
/** A JSON object that is longer is cut; its schema is checked all the same. */
const JSON_COLUMNS = 220;

function withPlaceholders(line: string, dir: string): string {
  const json = /^\{"schema":"[^"]+",/.exec(line);
  if (json !== null && line.length > JSON_COLUMNS && !line.includes('aegis.error')) {
    return `${json[0]}…}`;
  }
  let text = line.replaceAll(dir, '…');
  for (const kind of RECORDED) {
    text = text.replace(new RegExp(`(?<![\\w/])${KINDS[kind]}(?!\\w)`, 'g'), `<${kind}>`);
  }
  return text
    .replace(/(\/ip4\/127\.0\.0\.1\/tcp\/)\d+/g, '$1<number>')
    .replace(/\b\d+(?:\.\d+)? ?ms\b/g, '… ms');
}

async function recordStep(step: Step, session: Session, bindings: Bindings): Promise<string[]> {
  const { stdout, exit } = await session.run(bind(step.command, bindings));
  const actual = stdout === '' ? [] : stdout.replace(/\n$/, '').split('\n');
  const lines = actual.map((line) => line.trimEnd());
  const same = matches(step.output, lines, bindings);
  const output = same ? step.output : lines.map((line) => withPlaceholders(line, session.dir));
  if (!same) matches(output, lines, bindings);
  const command = step.command.split('\n').map((line, i) => `${i === 0 ? '$' : '>'} ${line}`);
  return [...command, ...output, ...(exit === 0 ? [] : [`? ${exit}`])];
}

async function record(file: string): Promise<void> {
  const text = readFileSync(file, 'utf8');
  const { setting, steps } = parseTranscript(text);
  const session = await Session.start(setting);
  const bindings: Bindings = new Map();
  const recorded = new Map<number, string[]>();
  try {
    for (const step of steps) recorded.set(step.line, await recordStep(step, session, bindings));
  } finally {
    const left = await session.end();
    if (left.length > 0) process.stderr.write(`${file}: left running: ${left.join(' ')}\n`);
  }
  writeFileSync(file, replaceSteps(text, recorded));
}

/** The file with the lines of each step replaced; what is outside of console blocks stays. */
function replaceSteps(text: string, recorded: ReadonlyMap<number, readonly string[]>): string {
  const result: string[] = [];
  let inside = false;
  for (const [i, line] of text.split('\n').entries()) {
    const step = recorded.get(i + 1);
    if (step !== undefined) result.push(...step);
    if (/^ *```/.test(line)) inside = line.trim() === '```console';
    const isOldStep = inside && !line.trim().startsWith('```');
    if (!isOldStep) result.push(line);
  }
  return result.join('\n');
}

for (const file of process.argv.slice(2)) await record(file);
