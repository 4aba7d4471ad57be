/** Completion for fish 3 and newer. */
import { type CompletionTree, type FlagWords, quoted as shellQuoted, type Value } from './tree.ts';

export function fishCompletion(tree: CompletionTree): string {
  const next = [...tree.next].flatMap(([above, choices]) =>
    choices.map(
      ({ word, about }) =>
        `complete -c aegis -f -n ${at(above)} -a ${quoted(word)} -d ${quoted(about)}`,
    ),
  );
  const flags = [...tree.flags].flatMap(([command, list]) =>
    list.map((flag) => line(command, flag)),
  );
  const args = [...tree.arguments].flatMap(([command, value]) => {
    if (tree.next.has(command)) return [];
    return value.type === 'file'
      ? [`complete -c aegis -F -n ${at(command)}`]
      : [`complete -c aegis -f -n ${at(command)}${choices(value)}`];
  });
  return `# Completion of aegis for fish. Made by scripts/completions.ts; do not edit.
function __aegis_command
    set -l words (commandline -opc)
    set -e words[1]
    set -l command
    set -l skip 0
    for word in $words
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case ${tree.globalsWithValue.join(' ')}
                set skip 1
            case '-*'
            case '*'
                if contains -- (string join ' ' $command $word) ${tree.names.map(quoted).join(' ')}
                    set -a command $word
                else
                    break
                end
        end
    end
    string join ' ' $command
end
function __aegis_at
    set -l command (__aegis_command)
    test "$command" = "$argv"
end
${next.join('\n')}
${args.join('\n')}
${flags.join('\n')}
`;
}

/** Fish knows backslash escapes within single quotes, for the quote and itself only. */
const quoted = (text: string): string =>
  shellQuoted(text.replaceAll('\\', '\\\\')).replaceAll("'\\''", "\\'");

const at = (command: string): string => quoted(`__aegis_at ${command}`.trim());

function line(command: string, { name, char, about, value }: FlagWords): string {
  const short = char === undefined ? '' : ` -s ${char}`;
  const kind = value === undefined ? '' : value.type === 'file' ? ' -r -F' : ` -x${choices(value)}`;
  return `complete -c aegis -n ${at(command)} -l ${name}${short}${kind} -d ${quoted(about)}`;
}

const choices = (value: Value): string =>
  value.type === 'choice' ? ` -a ${quoted(value.choices.join(' '))}` : '';
