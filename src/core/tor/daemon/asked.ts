/**
 * Asks a Tor of our own whether it runs with what it was told (O10): the file of the operator is
 * read last and could have changed it. Tells what is different; changes nothing.
 */
import { AegisError } from '../../errors.ts';
import type { ControlClient } from '../control/client.ts';
import { shown, unquoted } from '../control/text.ts';
import { addedLines, ownLines, type TorrcPlan } from './torrc.ts';

/** @throws {AegisError} `BAD_CONFIG` naming the option that is not as it was written. */
export async function checkSettings(
  control: ControlClient,
  plan: TorrcPlan,
  signal: AbortSignal,
): Promise<void> {
  const exact = group(ownLines(plan));
  const added = group(addedLines(plan));
  const names = [...exact.keys(), ...added.keys()];
  const { lines } = await control.command(`GETCONF ${names.join(' ')}`, { signal });
  const actual = group(lines.map(({ text }) => pairOf(text)));
  for (const [name, wanted] of exact) {
    const found = actual.get(name) ?? [];
    if (found.length !== wanted.length || !wanted.every((value) => found.includes(value))) {
      throw changed(name, plan);
    }
  }
  for (const [name, wanted] of added) {
    const found = actual.get(name) ?? [];
    if (!wanted.every((value) => found.includes(value))) throw changed(name, plan);
  }
}

function group(pairs: readonly (readonly [string, string])[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const [name, value] of pairs) groups.set(name, [...(groups.get(name) ?? []), value]);
  return groups;
}

/** `Name=value`, `Name="quoted"`, or `Name` alone for a default. */
function pairOf(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at < 0) return [text, ''];
  const value = text.slice(at + 1);
  return [text.slice(0, at), unquoted(value) ?? value];
}

function changed(name: string, { extra }: TorrcPlan): AegisError {
  const where = extra === undefined ? 'something' : shown(extra);
  const message = `${where} changes the option ${name} of our own tor, which aegis sets itself`;
  return new AegisError('BAD_CONFIG', message, {
    hint: 'Take the option out of the file of tor.torrc; for another Tor: tor.daemon system.',
  });
}
