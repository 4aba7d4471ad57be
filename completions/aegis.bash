# Completion of aegis for bash. Made by scripts/completions.ts; do not edit.
_aegis() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command='' word words='' i
  COMPREPLY=()
  # Bash breaks words at an equals sign.
  if [[ $cur == '=' ]]; then
    cur=''
  elif [[ $prev == '=' ]]; then
    prev=${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case $word in
      --home|--timeout|-H)
        [[ ${COMP_WORDS[i+1]} == '=' ]] && ((i++))
        ((i++))
        continue ;;
      -*) continue ;;
    esac
    case "${command:+$command }$word" in
      'api'|'cluster'|'cluster bundle'|'cluster create'|'cluster join'|'cluster show'|'completion'|'config'|'config get'|'config list'|'config path'|'config set'|'config unset'|'config validate'|'consensus'|'consensus block'|'consensus blocks'|'consensus evidence'|'consensus explain'|'consensus status'|'consensus validators'|'consensus watch'|'devnet'|'devnet down'|'devnet heal'|'devnet kill'|'devnet partition'|'devnet pause'|'devnet resume'|'devnet status'|'devnet up'|'doctor'|'init'|'intent'|'intent cancel'|'intent list'|'intent show'|'intent submit'|'kb'|'kb get'|'kb log'|'kb ls'|'kb put'|'kb stat'|'kb where'|'keygen'|'keys'|'keys export'|'keys list'|'keys passwd'|'keys show'|'monitor'|'node'|'node info'|'node logs'|'node restart'|'node start'|'node status'|'node stop'|'node wait'|'peers'|'peers add'|'peers find'|'peers list'|'peers ping'|'peers remove'|'peers show'|'peers why'|'quickstart'|'version') command="${command:+$command }$word" ;;
      *) break ;;
    esac
  done
  case "$command $prev" in
    'api --body'|'api -b') COMPREPLY=(); return ;;
    'api --content-type') COMPREPLY=(); return ;;
    'api --home'|'api -H') COMPREPLY=(); return ;;
    'api --timeout') COMPREPLY=(); return ;;
    'cluster bundle --address') COMPREPLY=(); return ;;
    'cluster bundle --home'|'cluster bundle -H') COMPREPLY=(); return ;;
    'cluster bundle --out') COMPREPLY=(); return ;;
    'cluster bundle --passphrase-fd') COMPREPLY=(); return ;;
    'cluster bundle --passphrase-file') COMPREPLY=(); return ;;
    'cluster bundle --role') COMPREPLY=($(compgen -W 'custodian agent' -- "$cur")); return ;;
    'cluster bundle --timeout') COMPREPLY=(); return ;;
    'cluster create --home'|'cluster create -H') COMPREPLY=(); return ;;
    'cluster create --name') COMPREPLY=(); return ;;
    'cluster create --out') COMPREPLY=(); return ;;
    'cluster create --timeout') COMPREPLY=(); return ;;
    'cluster join --home'|'cluster join -H') COMPREPLY=(); return ;;
    'cluster join --timeout') COMPREPLY=(); return ;;
    'cluster show --home'|'cluster show -H') COMPREPLY=(); return ;;
    'cluster show --timeout') COMPREPLY=(); return ;;
    'completion --home'|'completion -H') COMPREPLY=(); return ;;
    'completion --timeout') COMPREPLY=(); return ;;
    'config get --home'|'config get -H') COMPREPLY=(); return ;;
    'config get --timeout') COMPREPLY=(); return ;;
    'config list --home'|'config list -H') COMPREPLY=(); return ;;
    'config list --timeout') COMPREPLY=(); return ;;
    'config path --home'|'config path -H') COMPREPLY=(); return ;;
    'config path --timeout') COMPREPLY=(); return ;;
    'config set --home'|'config set -H') COMPREPLY=(); return ;;
    'config set --timeout') COMPREPLY=(); return ;;
    'config unset --home'|'config unset -H') COMPREPLY=(); return ;;
    'config unset --timeout') COMPREPLY=(); return ;;
    'config validate --home'|'config validate -H') COMPREPLY=(); return ;;
    'config validate --timeout') COMPREPLY=(); return ;;
    'consensus block --home'|'consensus block -H') COMPREPLY=(); return ;;
    'consensus block --timeout') COMPREPLY=(); return ;;
    'consensus blocks --from') COMPREPLY=(); return ;;
    'consensus blocks --home'|'consensus blocks -H') COMPREPLY=(); return ;;
    'consensus blocks --limit'|'consensus blocks -n') COMPREPLY=(); return ;;
    'consensus blocks --timeout') COMPREPLY=(); return ;;
    'consensus evidence --home'|'consensus evidence -H') COMPREPLY=(); return ;;
    'consensus evidence --timeout') COMPREPLY=(); return ;;
    'consensus explain --home'|'consensus explain -H') COMPREPLY=(); return ;;
    'consensus explain --timeout') COMPREPLY=(); return ;;
    'consensus status --home'|'consensus status -H') COMPREPLY=(); return ;;
    'consensus status --timeout') COMPREPLY=(); return ;;
    'consensus validators --home'|'consensus validators -H') COMPREPLY=(); return ;;
    'consensus validators --timeout') COMPREPLY=(); return ;;
    'consensus watch --count'|'consensus watch -n') COMPREPLY=(); return ;;
    'consensus watch --home'|'consensus watch -H') COMPREPLY=(); return ;;
    'consensus watch --timeout') COMPREPLY=(); return ;;
    'devnet down --home'|'devnet down -H') COMPREPLY=(); return ;;
    'devnet down --timeout') COMPREPLY=(); return ;;
    'devnet heal --home'|'devnet heal -H') COMPREPLY=(); return ;;
    'devnet heal --timeout') COMPREPLY=(); return ;;
    'devnet kill --home'|'devnet kill -H') COMPREPLY=(); return ;;
    'devnet kill --timeout') COMPREPLY=(); return ;;
    'devnet partition --home'|'devnet partition -H') COMPREPLY=(); return ;;
    'devnet partition --timeout') COMPREPLY=(); return ;;
    'devnet pause --home'|'devnet pause -H') COMPREPLY=(); return ;;
    'devnet pause --timeout') COMPREPLY=(); return ;;
    'devnet resume --home'|'devnet resume -H') COMPREPLY=(); return ;;
    'devnet resume --timeout') COMPREPLY=(); return ;;
    'devnet status --home'|'devnet status -H') COMPREPLY=(); return ;;
    'devnet status --timeout') COMPREPLY=(); return ;;
    'devnet up --home'|'devnet up -H') COMPREPLY=(); return ;;
    'devnet up --nodes'|'devnet up -n') COMPREPLY=(); return ;;
    'devnet up --timeout') COMPREPLY=(); return ;;
    'doctor --home'|'doctor -H') COMPREPLY=(); return ;;
    'doctor --timeout') COMPREPLY=(); return ;;
    'init --home'|'init -H') COMPREPLY=(); return ;;
    'init --listen') COMPREPLY=(); return ;;
    'init --name') COMPREPLY=(); return ;;
    'init --next-passphrase-file') COMPREPLY=(); return ;;
    'init --passphrase-fd') COMPREPLY=(); return ;;
    'init --passphrase-file') COMPREPLY=(); return ;;
    'init --region') COMPREPLY=(); return ;;
    'init --storage-weight') COMPREPLY=(); return ;;
    'init --timeout') COMPREPLY=(); return ;;
    'init --zone') COMPREPLY=(); return ;;
    'intent cancel --home'|'intent cancel -H') COMPREPLY=(); return ;;
    'intent cancel --timeout') COMPREPLY=(); return ;;
    'intent list --home'|'intent list -H') COMPREPLY=(); return ;;
    'intent list --limit'|'intent list -n') COMPREPLY=(); return ;;
    'intent list --status') COMPREPLY=($(compgen -W 'pending final' -- "$cur")); return ;;
    'intent list --timeout') COMPREPLY=(); return ;;
    'intent show --home'|'intent show -H') COMPREPLY=(); return ;;
    'intent show --timeout') COMPREPLY=(); return ;;
    'intent submit --file') COMPREPLY=(); return ;;
    'intent submit --generation') COMPREPLY=(); return ;;
    'intent submit --home'|'intent submit -H') COMPREPLY=(); return ;;
    'intent submit --if-version') COMPREPLY=(); return ;;
    'intent submit --parent') COMPREPLY=(); return ;;
    'intent submit --timeout') COMPREPLY=(); return ;;
    'intent submit --wait') COMPREPLY=($(compgen -W 'accepted final' -- "$cur")); return ;;
    'kb get --home'|'kb get -H') COMPREPLY=(); return ;;
    'kb get --output'|'kb get -o') COMPREPLY=(); return ;;
    'kb get --timeout') COMPREPLY=(); return ;;
    'kb log --home'|'kb log -H') COMPREPLY=(); return ;;
    'kb log --limit'|'kb log -n') COMPREPLY=(); return ;;
    'kb log --timeout') COMPREPLY=(); return ;;
    'kb ls --after') COMPREPLY=(); return ;;
    'kb ls --home'|'kb ls -H') COMPREPLY=(); return ;;
    'kb ls --limit'|'kb ls -n') COMPREPLY=(); return ;;
    'kb ls --timeout') COMPREPLY=(); return ;;
    'kb put --hash') COMPREPLY=($(compgen -W 'blake3 sha2-256' -- "$cur")); return ;;
    'kb put --home'|'kb put -H') COMPREPLY=(); return ;;
    'kb put --if-version') COMPREPLY=(); return ;;
    'kb put --message'|'kb put -m') COMPREPLY=(); return ;;
    'kb put --path'|'kb put -p') COMPREPLY=(); return ;;
    'kb put --replicas') COMPREPLY=(); return ;;
    'kb put --timeout') COMPREPLY=(); return ;;
    'kb put --wait') COMPREPLY=($(compgen -W 'local replicated final' -- "$cur")); return ;;
    'kb stat --home'|'kb stat -H') COMPREPLY=(); return ;;
    'kb stat --timeout') COMPREPLY=(); return ;;
    'kb where --cid') COMPREPLY=(); return ;;
    'kb where --home'|'kb where -H') COMPREPLY=(); return ;;
    'kb where --timeout') COMPREPLY=(); return ;;
    'keygen --home'|'keygen -H') COMPREPLY=(); return ;;
    'keygen --out') COMPREPLY=(); return ;;
    'keygen --passphrase-fd') COMPREPLY=(); return ;;
    'keygen --passphrase-file') COMPREPLY=(); return ;;
    'keygen --timeout') COMPREPLY=(); return ;;
    'keygen --type') COMPREPLY=($(compgen -W 'network consensus vrf session onion' -- "$cur")); return ;;
    'keys --home'|'keys -H') COMPREPLY=(); return ;;
    'keys --timeout') COMPREPLY=(); return ;;
    'keys export --home'|'keys export -H') COMPREPLY=(); return ;;
    'keys export --out') COMPREPLY=(); return ;;
    'keys export --passphrase-fd') COMPREPLY=(); return ;;
    'keys export --passphrase-file') COMPREPLY=(); return ;;
    'keys export --timeout') COMPREPLY=(); return ;;
    'keys list --home'|'keys list -H') COMPREPLY=(); return ;;
    'keys list --timeout') COMPREPLY=(); return ;;
    'keys passwd --home'|'keys passwd -H') COMPREPLY=(); return ;;
    'keys passwd --new-passphrase-file') COMPREPLY=(); return ;;
    'keys passwd --passphrase-fd') COMPREPLY=(); return ;;
    'keys passwd --passphrase-file') COMPREPLY=(); return ;;
    'keys passwd --timeout') COMPREPLY=(); return ;;
    'keys show --home'|'keys show -H') COMPREPLY=(); return ;;
    'keys show --timeout') COMPREPLY=(); return ;;
    'monitor --home'|'monitor -H') COMPREPLY=(); return ;;
    'monitor --interval') COMPREPLY=(); return ;;
    'monitor --timeout') COMPREPLY=(); return ;;
    'node info --home'|'node info -H') COMPREPLY=(); return ;;
    'node info --timeout') COMPREPLY=(); return ;;
    'node logs --home'|'node logs -H') COMPREPLY=(); return ;;
    'node logs --level') COMPREPLY=($(compgen -W 'debug info warn error' -- "$cur")); return ;;
    'node logs --lines'|'node logs -n') COMPREPLY=(); return ;;
    'node logs --since') COMPREPLY=(); return ;;
    'node logs --timeout') COMPREPLY=(); return ;;
    'node restart --home'|'node restart -H') COMPREPLY=(); return ;;
    'node restart --passphrase-fd') COMPREPLY=(); return ;;
    'node restart --passphrase-file') COMPREPLY=(); return ;;
    'node restart --timeout') COMPREPLY=(); return ;;
    'node start --home'|'node start -H') COMPREPLY=(); return ;;
    'node start --listen') COMPREPLY=(); return ;;
    'node start --passphrase-fd') COMPREPLY=(); return ;;
    'node start --passphrase-file') COMPREPLY=(); return ;;
    'node start --timeout') COMPREPLY=(); return ;;
    'node status --home'|'node status -H') COMPREPLY=(); return ;;
    'node status --timeout') COMPREPLY=(); return ;;
    'node stop --home'|'node stop -H') COMPREPLY=(); return ;;
    'node stop --timeout') COMPREPLY=(); return ;;
    'node wait --for') COMPREPLY=(); return ;;
    'node wait --home'|'node wait -H') COMPREPLY=(); return ;;
    'node wait --timeout') COMPREPLY=(); return ;;
    'peers --home'|'peers -H') COMPREPLY=(); return ;;
    'peers --timeout') COMPREPLY=(); return ;;
    'peers add --home'|'peers add -H') COMPREPLY=(); return ;;
    'peers add --timeout') COMPREPLY=(); return ;;
    'peers find --home'|'peers find -H') COMPREPLY=(); return ;;
    'peers find --timeout') COMPREPLY=(); return ;;
    'peers list --home'|'peers list -H') COMPREPLY=(); return ;;
    'peers list --timeout') COMPREPLY=(); return ;;
    'peers ping --count'|'peers ping -c') COMPREPLY=(); return ;;
    'peers ping --home'|'peers ping -H') COMPREPLY=(); return ;;
    'peers ping --timeout') COMPREPLY=(); return ;;
    'peers remove --home'|'peers remove -H') COMPREPLY=(); return ;;
    'peers remove --timeout') COMPREPLY=(); return ;;
    'peers show --home'|'peers show -H') COMPREPLY=(); return ;;
    'peers show --timeout') COMPREPLY=(); return ;;
    'peers why --home'|'peers why -H') COMPREPLY=(); return ;;
    'peers why --timeout') COMPREPLY=(); return ;;
    'quickstart --home'|'quickstart -H') COMPREPLY=(); return ;;
    'quickstart --timeout') COMPREPLY=(); return ;;
    'version --home'|'version -H') COMPREPLY=(); return ;;
    'version --timeout') COMPREPLY=(); return ;;
  esac
  if [[ $cur == -* ]]; then
    case $command in
      'api') words='--body --content-type --help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'cluster bundle') words='--address --help --home --json --no-address --no-color --no-input --out --passphrase-fd --passphrase-file --quiet --role --timeout --verbose --yes' ;;
      'cluster create') words='--help --home --json --name --no-color --no-input --out --quiet --timeout --verbose' ;;
      'cluster join') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'cluster show') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'completion') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'config get') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'config list') words='--help --home --json --no-color --no-input --quiet --show-origin --timeout --verbose' ;;
      'config path') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'config set') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'config unset') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'config validate') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'consensus block') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'consensus blocks') words='--from --help --home --json --limit --no-color --no-input --quiet --timeout --verbose' ;;
      'consensus evidence') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'consensus explain') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'consensus status') words='--help --home --json --no-color --no-input --quiet --timeout --verbose --why' ;;
      'consensus validators') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'consensus watch') words='--count --help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'devnet down') words='--help --home --json --no-color --no-input --quiet --remove --timeout --verbose --yes' ;;
      'devnet heal') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'devnet kill') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'devnet partition') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'devnet pause') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'devnet resume') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'devnet status') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'devnet up') words='--help --home --json --no-color --no-input --nodes --quiet --timeout --verbose' ;;
      'doctor') words='--fix --help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'init') words='--help --home --json --listen --name --next-passphrase-file --no-color --no-input --passphrase-fd --passphrase-file --quiet --region --storage-weight --timeout --verbose --zone' ;;
      'intent cancel') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'intent list') words='--help --home --json --limit --no-color --no-input --quiet --status --timeout --verbose' ;;
      'intent show') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'intent submit') words='--delete --file --generation --help --home --if-version --json --no-color --no-input --parent --quiet --timeout --verbose --wait' ;;
      'kb get') words='--force --help --home --json --linearizable --no-color --no-input --output --provisional --quiet --timeout --verbose' ;;
      'kb log') words='--help --home --json --limit --no-color --no-input --quiet --timeout --verbose' ;;
      'kb ls') words='--after --help --home --json --limit --no-color --no-input --quiet --recursive --timeout --verbose' ;;
      'kb put') words='--hash --help --home --if-version --json --message --no-color --no-input --path --quiet --replicas --timeout --verbose --wait' ;;
      'kb stat') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'kb where') words='--cid --help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'keygen') words='--help --home --json --no-color --no-input --out --passphrase-fd --passphrase-file --public --quiet --timeout --type --verbose' ;;
      'keys') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'keys export') words='--help --home --json --next --no-color --no-input --out --passphrase-fd --passphrase-file --public --quiet --remove --secret --timeout --unencrypted --verbose --yes' ;;
      'keys list') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'keys passwd') words='--help --home --json --new-passphrase-file --next --no-color --no-input --passphrase-fd --passphrase-file --quiet --timeout --verbose' ;;
      'keys show') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'monitor') words='--ascii --help --home --interval --json --no-color --no-input --once --quiet --readonly --timeout --verbose' ;;
      'node info') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'node logs') words='--follow --help --home --json --level --lines --no-color --no-input --quiet --since --timeout --verbose' ;;
      'node restart') words='--help --home --json --no-color --no-input --passphrase-fd --passphrase-file --quiet --timeout --verbose' ;;
      'node start') words='--detach --dry-run --help --home --json --listen --no-color --no-input --passphrase-fd --passphrase-file --quiet --timeout --verbose' ;;
      'node status') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'node stop') words='--help --home --json --no-color --no-input --quiet --timeout --verbose --wait' ;;
      'node wait') words='--for --help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'peers') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'peers add') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'peers find') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'peers list') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'peers ping') words='--count --help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'peers remove') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'peers show') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'peers why') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      'quickstart') words='--help --home --json --keep --no-color --no-input --quiet --timeout --verbose' ;;
      'version') words='--help --home --json --no-color --no-input --quiet --timeout --verbose' ;;
      *) words='--help --version' ;;
    esac
  else
    case $command in
      '') words='api cluster completion config consensus devnet doctor init intent kb keygen keys monitor node peers quickstart version' ;;
      'cluster') words='bundle create join show' ;;
      'config') words='get list path set unset validate' ;;
      'consensus') words='block blocks evidence explain status validators watch' ;;
      'devnet') words='down heal kill partition pause resume status up' ;;
      'intent') words='cancel list show submit' ;;
      'kb') words='get log ls put stat where' ;;
      'keys') words='export list passwd show' ;;
      'node') words='info logs restart start status stop wait' ;;
      'peers') words='add find list ping remove show why' ;;
      'completion') words='bash zsh fish' ;;
      'keys show') words='identity next network consensus vrf' ;;
    esac
  fi
  [[ -n $words ]] && COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
# Where nothing is proposed, readline proposes files.
complete -o bashdefault -o default -F _aegis aegis
