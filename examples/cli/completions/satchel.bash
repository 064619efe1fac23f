# Completion of the satchel tool for bash.

_satchel() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command='' at=1 options
    local commands='index sync ask search cluster list text remove stats verify backup embed help'
    local all='--threads --json --color --quiet --verbose --help --version'
    [ "$COMP_CWORD" -gt 1 ] && command=${COMP_WORDS[at]}

    case $before in
    --mode) COMPREPLY=($(compgen -W 'keyword vector hybrid' -- "$word")); return ;;
    --role) COMPREPLY=($(compgen -W 'document query' -- "$word")); return ;;
    --color) COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
    --model | -m) compopt -o filenames; COMPREPLY=($(compgen -f -- "$word")); return ;;
    --count | -k | --filter | -f | --sentences | --root | --max-bytes | --limit | -n | --threads | -t | \
        --iterations | --seed | --representatives)
        COMPREPLY=()
        return
        ;;
    esac

    case $command in
    '')
        COMPREPLY=($(compgen -W "$commands $all" -- "$word"))
        return
        ;;
    help) COMPREPLY=($(compgen -W "$commands" -- "$word")); return ;;
    index) options='--model --no-model --root --defer --hidden --keep-missing --allow-removals --max-bytes' ;;
    sync) options='--model --no-model --defer --hidden --keep-missing --allow-removals --max-bytes' ;;
    ask) options='--model --embedder --no-model --count --mode --filter --sentences --never-refuse' ;;
    search) options='--model --no-model --count --mode --filter' ;;
    cluster) options='--model --count --filter --iterations --seed --representatives --fast' ;;
    list) options='--filter --limit' ;;
    stats) options='--model --no-model' ;;
    embed) options='--model --role' ;;
    text | remove | verify | backup) options='' ;;
    esac
    case $word in
    -*) COMPREPLY=($(compgen -W "$options $all" -- "$word")) ;;
    *)
        compopt -o filenames
        COMPREPLY=($(compgen -f -- "$word"))
        ;;
    esac
}
complete -F _satchel satchel
