/**
 * Transcripts: the console blocks of a Markdown file, as commands and what they print.
 *
 *     ```console
 *     $ aegis kb get missing.md
 *     aegis: error: no version of missing.md
 *     ? 66
 *     ```
 *
 * A line `$ ` is a command of bash (`> ` continues it), what follows is its output, and `? N` its
 * exit status when that is not 0. `<!-- transcript: home -->` before the first block says in what
 * the commands run: `home` (an empty home), `cluster` (two daemons), `tor` (the same, and a
 * fake Tor at the places of `tor.control` and `tor.socks`), `onions` (two daemons in a Tor network
 * of their own), `moving` (four that reach each other directly, and such a network), `none`
 * (nothing is run).
 */
export interface Step {
  readonly line: number;
  readonly command: string;
  readonly output: readonly string[];
  readonly exit: number;
}

export type Setting = 'home' | 'cluster' | 'tor' | 'onions' | 'moving' | 'none';

export interface Transcript {
  readonly setting: Setting;
  readonly steps: readonly Step[];
}

const SETTING = /^<!-- transcript: (\w+) -->$/;
const SETTINGS: readonly string[] = ['home', 'cluster', 'tor', 'onions', 'moving', 'none'];

/** @throws {Error} when a block does not begin with a command or the setting is unknown. */
export function parseTranscript(text: string): Transcript {
  const lines = text.split('\n');
  const named = lines.map((line) => SETTING.exec(line)?.[1]).find(Boolean) ?? 'home';
  if (!SETTINGS.includes(named)) throw new Error(`no setting of transcripts is called ${named}`);
  const steps: Step[] = [];
  let indent: string | undefined;
  for (const [i, raw] of lines.entries()) {
    const fence = /^( *)```(\w*)$/.exec(raw);
    if (fence !== null) {
      indent = indent === undefined && fence[2] === 'console' ? fence[1] : undefined;
    } else if (indent !== undefined) addLine(steps, raw.slice(indent.length), i + 1);
  }
  return { setting: named as Setting, steps };
}

function addLine(steps: Step[], line: string, number: number): void {
  if (line.startsWith('$ ')) {
    steps.push({ line: number, command: line.slice(2), output: [], exit: 0 });
    return;
  }
  const last = steps.pop();
  if (last === undefined) throw new Error(`line ${number}: a console block begins with "$ "`);
  const exit = /^\? (\d+)$/.exec(line)?.[1];
  if (exit !== undefined) steps.push({ ...last, exit: Number(exit) });
  else if (line.startsWith('> ') && last.output.length === 0) {
    steps.push({ ...last, command: `${last.command}\n${line.slice(2)}` });
  } else steps.push({ ...last, output: [...last.output, line] });
}
