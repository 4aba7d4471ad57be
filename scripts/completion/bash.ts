/** Completion for bash 3.2 and newer; needs no other package. */
import { type CompletionTree, quoted, type Value } from './tree.ts';

export function bashCompletion(tree: CompletionTree): string {
  const values = [...tree.flags].flatMap(([command, flags]) =>
    flags.flatMap(({ name, char, value }) => {
      if (value === undefined) return [];
      const words = [
        `${command} --${name}`,
        ...(char === undefined ? [] : [`${command} -${char}`]),
      ];
      return [`    ${words.map(quoted).join('|')}) ${reply(value)}; return ;;`];
    }),
  );
  const next = [...tree.next].map(
    ([above, choices]) =>
      `    ${quoted(above)}) words=${quoted(choices.map(({ word }) => word).join(' '))} ;;`,
  );
  const flags = [...tree.flags].map(
    ([command, list]) =>
      `    ${quoted(command)}) words=${quoted(list.map(({ name }) => `--${name}`).join(' '))} ;;`,
  );
  const args = [...tree.arguments].flatMap(([command, value]) =>
    value.type === 'choice'
      ? [`    ${quoted(command)}) words=${quoted(value.choices.join(' '))} ;;`]
      : [],
  );
  return `# Completion of aegis for bash. Made by scripts/completions.ts; do not edit.
_aegis() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command='' word words='' i
  COMPREPLY=()
  # Bash breaks words at an equals sign.
  if [[ $cur == '=' ]]; then
    cur=''
  elif [[ $prev == '=' ]]; then
    prev=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
      ${tree.globalsWithValue.join('|')})
        [[ \${COMP_WORDS[i+1]} == '=' ]] && ((i++))
        ((i++))
        continue ;;
      -*) continue ;;
    esac
    case "\${command:+$command }$word" in
      ${tree.names.map(quoted).join('|')}) command="\${command:+$command }$word" ;;
      *) break ;;
    esac
  done
  case "$command $prev" in
${values.join('\n')}
  esac
  if [[ $cur == -* ]]; then
    case $command in
${flags.map((line) => `  ${line}`).join('\n')}
      *) words='--help --version' ;;
    esac
  else
    case $command in
${next.map((line) => `  ${line}`).join('\n')}
${args.map((line) => `  ${line}`).join('\n')}
    esac
  fi
  [[ -n $words ]] && COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
# Where nothing is proposed, readline proposes files.
complete -o bashdefault -o default -F _aegis aegis
`;
}

/** An empty reply makes readline propose files; for values that are no file it does no harm. */
const reply = (value: Value): string =>
  value.type === 'choice'
    ? `COMPREPLY=($(compgen -W ${quoted(value.choices.join(' '))} -- "$cur"))`
    : 'COMPREPLY=()';
