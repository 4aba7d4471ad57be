/** Completion for zsh 5, to be installed as `_aegis` on its function path. */
import { type Choice, type CompletionTree, type FlagWords, quoted, type Value } from './tree.ts';

export function zshCompletion(tree: CompletionTree): string {
  const values = [...tree.flags].flatMap(([command, flags]) =>
    flags.flatMap(({ name, char, value }) => {
      if (value === undefined) return [];
      const words = [
        `${command} --${name}`,
        ...(char === undefined ? [] : [`${command} -${char}`]),
      ];
      return [`    (${words.map(quoted).join('|')}) ${propose(value)}; return ;;`];
    }),
  );
  const next = [...tree.next].map(
    ([above, choices]) =>
      `      (${quoted(above)}) choices=(${choices.map(described).join(' ')}) ;;`,
  );
  const flags = [...tree.flags].map(
    ([command, list]) => `      (${quoted(command)}) choices=(${list.map(flag).join(' ')}) ;;`,
  );
  const args = [...tree.arguments].map(
    ([command, value]) => `    (${quoted(command)}) ${propose(value)} ;;`,
  );
  return `#compdef aegis
# Completion of aegis for zsh. Made by scripts/completions.ts; do not edit.
_aegis() {
  local command='' word i=2
  local -a choices
  while (( i < CURRENT )); do
    word=\${words[i]}
    case $word in
      (${tree.globalsWithValue.join('|')}) (( i += 2 )); continue ;;
      (-*) (( i += 1 )); continue ;;
    esac
    case "\${command:+$command }$word" in
      (${tree.names.map(quoted).join('|')}) command="\${command:+$command }$word" ;;
      (*) break ;;
    esac
    (( i += 1 ))
  done
  if [[ \${words[CURRENT]} == --*=* ]]; then
    local before="\${words[CURRENT]%%=*}"
    compset -P '*='
    word="$command $before"
  else
    word="$command \${words[CURRENT-1]}"
  fi
  case $word in
${values.join('\n')}
  esac
  if [[ \${words[CURRENT]} == -* ]]; then
    case $command in
${flags.join('\n')}
      (*) choices=('--help:Show help' '--version:Show the version') ;;
    esac
    _describe -o 'flag' choices
    return
  fi
  case $command in
${next.join('\n')}
  esac
  if (( \${#choices} )); then _describe 'command' choices; return; fi
  case $command in
${args.join('\n')}
  esac
}
if [[ $funcstack[1] == _aegis ]]; then _aegis "$@"; else compdef _aegis aegis; fi
`;
}

const colon = (text: string): string => text.replaceAll(':', '\\:');
const described = ({ word, about }: Choice): string => quoted(`${colon(word)}:${about}`);
const flag = ({ name, about }: FlagWords): string => quoted(`--${name}:${about}`);

function propose(value: Value): string {
  if (value.type === 'choice') return `compadd -- ${value.choices.map(quoted).join(' ')}`;
  return value.type === 'file' ? '_files' : "_message 'a value'";
}
