/**
 * Expected output against what was printed. `<cid>`, `<node id>` and the like stand for one value
 * of that kind, `…` for any text within a line, and a line of only `…` for any number of lines.
 * What a placeholder has matched stands for it in later commands.
 */

export const KINDS: Readonly<Record<string, string>> = {
  cid: 'ba[a-z2-7]{50,}',
  'node id': 'aegis1[a-z2-7]{8,}',
  'cluster id': 'aegisc1[a-z2-7]{8,}',
  'peer id': '12D3Koo\\w+',
  address: '/ip4/127\\.0\\.0\\.1/tcp/\\d+\\S*',
  time: '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d+)?Z',
  duration: '\\d+(?:\\.\\d+)?(?:ms|s|m|h|d)(?:\\d+[smh])?',
  size: '\\d+(?:\\.\\d)? [KMGT]?i?B',
  number: '\\d+(?:\\.\\d+)?',
  fingerprint: '[0-9a-f]{4}(?:[ -][0-9a-f]{4})+',
  version: '\\d+\\.\\d+\\.\\d+',
  platform: '(?:linux|darwin)-\\w+',
  path: '/\\S+',
  digest: '[0-9a-f]{12,}',
  key: '[0-9a-z]{56,}',
  onion: '[a-z2-7]{56}\\.onion',
};

const PLACEHOLDER = /<([a-z][a-z ]*?)>|…/g;

export type Bindings = Map<string, string>;

/** Whether the lines match; binds placeholders to what they matched. */
export function matches(
  expected: readonly string[],
  actual: readonly string[],
  bindings: Bindings,
): boolean {
  if (expected.length === 0) return actual.length === 0;
  const [first, ...rest] = expected;
  if (first === '…') {
    for (let skipped = 0; skipped <= actual.length; skipped += 1) {
      if (matches(rest, actual.slice(skipped), bindings)) return true;
    }
    return false;
  }
  const [line, ...more] = actual;
  if (line === undefined) return false;
  const names = [...first!.matchAll(PLACEHOLDER)].map((match) => match[1]);
  const found = lineRule(first!).exec(line);
  if (found === null || !matches(rest, more, bindings)) return false;
  for (const [i, name] of names.entries()) {
    if (name !== undefined) bindings.set(name, found[i + 1]!);
  }
  return true;
}

/** A pattern with one group a placeholder. */
function lineRule(expected: string): RegExp {
  const parts: string[] = [];
  let at = 0;
  for (const match of expected.matchAll(PLACEHOLDER)) {
    parts.push(literally(expected.slice(at, match.index)));
    const name = match[1];
    parts.push(name === undefined ? '(.*?)' : `(${KINDS[kindOf(name)] ?? '\\S+'})`);
    at = match.index + match[0].length;
  }
  parts.push(literally(expected.slice(at)));
  return new RegExp(`^${parts.join('')}$`);
}

/** `alice node id` is a `node id` with a name of its own. */
function kindOf(name: string): string {
  const kinds = Object.keys(KINDS).filter((kind) => name === kind || name.endsWith(` ${kind}`));
  return kinds[0] ?? name;
}

const literally = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** A command with what its placeholders have matched so far. */
export const bind = (command: string, bindings: Bindings): string =>
  command.replace(/<([a-z][a-z ]*?)>/g, (text, name: string) => bindings.get(name) ?? text);
