# Completion of the satchel tool for bash.

_satchel() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command='' at=1 options
    local commands='index sync ask search cluster list text remove stats verify backup embed generate chat inspect help'
    local writes='--max-tokens --temperature --top-k --top-p --min-p --seed --stop --schema --grammar --context --kv --adapter --warm --cache'
    local asks='--model --embedder --no-model --count --mode --filter --never-refuse --template --prompt'
    local all='--threads --json --color --quiet --verbose --help --version'
    [ "$COMP_CWORD" -gt 1 ] && command=${COMP_WORDS[at]}

    case $before in
    --mode) COMPREPLY=($(compgen -W 'keyword vector hybrid' -- "$word")); return ;;
    --role) COMPREPLY=($(compgen -W 'document query' -- "$word")); return ;;
    --kv) COMPREPLY=($(compgen -W 'f16 q8_0 f32' -- "$word")); return ;;
    --schema | --grammar | --adapter | --template | --prompt | --cache) compopt -o filenames; COMPREPLY=($(compgen -f -- "$word")); return ;;
    --color) COMPREPLY=($(compgen -W 'auto always never' -- "$word")); return ;;
    --model | -m | --embedder) compopt -o filenames; COMPREPLY=($(compgen -f -- "$word")); return ;;
    --count | -k | --filter | -f | --sentences | --root | --max-bytes | --limit | -n | --threads | -t | \
        --iterations | --seed | --representatives | --max-tokens | --temperature | --top-k | --top-p | --min-p | \
        --stop | --system | --context)
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
    ask) options="$asks $writes --sentences" ;;
    search) options='--model --no-model --count --mode --filter' ;;
    cluster) options='--model --count --filter --iterations --seed --representatives --fast' ;;
    list) options='--filter --limit' ;;
    stats) options='--model --no-model' ;;
    embed) options='--model --role' ;;
    generate) options="$writes --special" ;;
    chat) options="$asks $writes --system" ;;
    inspect) options='--context --kv --full' ;;
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
