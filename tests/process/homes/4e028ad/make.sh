#!/usr/bin/env bash
# Makes the files beside it: a home, a backup of it, and the output of the program about both.
# README.md says what they contain. Everything is done by real processes on loopback with the commands
# of the main README. Takes about two minutes.
#
#   make.sh UNDERTONE FOLDER
#
# UNDERTONE is the program, built from the commit in question. FOLDER must exist; files in it with the
# same names are replaced. Needs jq, and `script` of util-linux as a terminal for the interface: only
# the interface marks messages as read.
set -euo pipefail
umask 077

undertone=$(realpath "$1")
folder=$(realpath "$2")
work=$(mktemp -d)
# The home remembers this address and dials it in every test, so the port is not an ephemeral one.
address=/ip4/127.0.0.1/tcp/14141
# A network of its own, with hardly any work.
network=(--network kept-home --floor 4)

printf 'correct horse battery staple' >"$work/passphrase"
printf 'a passphrase of the backup alone' >"$work/backup-passphrase"
trap 'kill $(jobs -p) 2>"$work/ended" || true; rm -rf "$work"' EXIT

# run HOME ARGUMENTS..: the program in the home of that name.
run() {
    local home=$1
    shift
    "$undertone" --home "$work/$home" --passphrase-file "$work/passphrase" --no-input "$@"
}

# ask HOME FILTER ARGUMENTS..: what a command answers in JSON.
ask() {
    local home=$1 filter=$2
    shift 2
    run "$home" "$@" --json | jq -re "$filter"
}

# until_true COMMAND..: repeats the command until it succeeds, for five minutes at most.
until_true() {
    local tries=0
    until "$@" >"$work/tried" 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 600 ]; then
            echo "waited in vain for: $*" >&2
            cat "$work/tried" >&2
            exit 1
        fi
        sleep 0.5
    done
}

declare -A node

# up HOME: starts a node that listens.
up() {
    # Not by `run`: `$!` would be the subshell of the function and not the program.
    "$undertone" --home "$work/$1" --passphrase-file "$work/passphrase" --no-input \
        listen --json --peer "$address" "${network[@]}" >>"$work/$1.lines" &
    node[$1]=$!
    until_true ask "$1" 'select(.data.ready)' status
}

# down HOME: ends it.
down() {
    kill -TERM "${node[$1]}"
    wait "${node[$1]}" || true
}

# look HOME FROM TO: opens the interface of HOME until FROM sees that a message to TO was read.
look() {
    local home=$1 from=$2 to=$3 message
    mkfifo "$work/keys"
    script -qec "stty rows 30 cols 100; TERM=xterm-256color exec '$undertone' --home '$work/$home' \
        --passphrase-file '$work/passphrase' --peer $address ${network[*]}" "$work/screen" \
        <"$work/keys" >"$work/shown" 2>&1 &
    local screen=$!
    exec 7>"$work/keys"
    until_true ask "$home" 'select(.data.ready)' status
    message=$(ask "$from" .data.id send "$to" "do you see this, $to?" --wait delivered --timeout 5m)
    until_true is_read "$from" "$message" "$from"
    # Ctrl+Q
    printf '\021' >&7
    wait "$screen"
    exec 7>&-
    rm "$work/keys"
}

# is_read HOME MESSAGE CHAT: goes to the chat and presses a key, since only a key press marks messages
# as read; succeeds if HOME has the read mark of the message.
is_read() {
    printf '\020%s\r\177' "$3" >&7
    ask "$1" 'select(.data.state == "read")' message show "$2"
}

plain=(
    'the build is green' 'see you at noon.' 'He said "yes" to it' 'not yet' 'ok'
    'schöne Grüße aus Köln' 'ça va, et toi ?' 'привет' '你好，世界' 'こんにちは' 'สวัสดี'
    'नमस्ते' 'Γειά σου' 'مرحبا بالعالم' 'שלום עולם' 'naïve café, déjà vu' '😀 👍🏽' 'https://example.org/?q=a&b=%20'
    'a longer one, in which somebody explains at some length what happened on the way here, and why it took so long'
)
odd=(
    $'\e]0;gotcha\atitle \e[31mred\rEVIL \u202ebackwards\u202c \u2066isolated\u2069 z\u200bero \u009b31m \ufeff \x7f \U000e0041 "quoted\\"\n2026-01-01T00:00:00Z ben: a line that is not his'
    $'several\nlines\n\n  of which one is empty\n\tand one begins with a tab\r\n'
    $'👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 1️⃣ 👩🏿‍🚀 e\u0301\u0302\u0303\u0304\u0305 ﷽'
    $'\u0085\u2028\u2029\ufffd\uffff\U0010ffff\u00a0\u3000'
    '/cancel' '//' '-- --json --help' '$(rm -rf /) `id` %s%n %00 ../../etc' '{"v":1,"type":"message"}'
    "'; DROP TABLE message; --" 'null' '  spaces around it  ' '0'
    "$(printf 'ä%.0s' {1..925})"
)

# text N: the Nth text.
text() {
    if [ $(($1 % 9)) = 4 ]; then
        printf '%s' "${odd[$1 / 9 % ${#odd[@]}]}"
    elif [ "$1" = 50 ]; then
        printf 'a zero \0 byte'
    else
        printf '%s: %s' "$1" "${plain[$1 % ${#plain[@]}]}"
    fi
}

lives=(10m 6h day week)

# talk CONTACT FROM TO: so many messages, three of the owner's to two of theirs.
talk() {
    local contact=$1 n
    for n in $(seq "$2" "$3"); do
        case $((n % 5)) in
        0 | 2 | 3) text "$n" | run owner send "$contact" --life "${lives[n % 4]}" --wait queued ;;
        *) text "$n" | run "$contact" send owner --life "${lives[n % 4]}" --wait queued ;;
        esac 2>>"$work/said"
    done
}

# all_arrived CONTACT COUNT: whether all of so many messages are there on both sides.
all_arrived() {
    local arrived='[., inputs] | map(select(.side == "theirs" or .state == "delivered" or .state == "read"))
        | length'
    [ "$(run owner history "$1" --last 500 --json | jq "$arrived")" = "$2" ] &&
        [ "$(run "$1" history owner --last 500 --json | jq "$arrived")" = "$2" ]
}

both_arrived() {
    all_arrived ben "$1" && all_arrived cat "$1"
}

declare -A invite
for name in owner ben cat dan eve fay stranger; do
    invite[$name]=$(ask "$name" .data.invite identity new "$name")
done
"$undertone" --home "$work/relay" relay run --listen "$address" "${network[@]}" >"$work/relay.lines" &
relay=$!

for name in ben cat; do
    run owner contact add "${invite[$name]}" --name "$name"
    run "$name" contact add "${invite[owner]}" --name owner
done
for name in owner ben cat; do
    up "$name"
done
for name in ben cat; do
    until_true ask owner 'select(.data.session == "session ready" and .data.words)' contact show "$name"
    until_true ask "$name" 'select(.data.session == "session ready" and .data.words)' contact show owner
done
run owner contact verify ben --words $(ask ben '.data.words.read | join(" ")' contact show owner)
run owner contact verify cat --digits "$(ask cat .data.safety_number contact show owner)"
run owner contact read-marks ben on
run ben contact read-marks owner on

talk ben 1 80
talk cat 1 80
until_true both_arrived 80

# Each opens the interface once: later messages are delivered and not read.
down ben
look ben owner ben
up ben
down owner
look owner ben owner
up owner
talk ben 81 250
talk cat 81 238
until_true all_arrived ben 252
until_true all_arrived cat 238

run stranger contact add "${invite[owner]}" --name somebody
up stranger
until_true ask owner '.data[0].key' request list
down stranger
# Another, accepted after it has left: its session is never confirmed, and its message stays early.
run fay contact add "${invite[owner]}" --name somebody
up fay
run fay send somebody 'this came with the offer' --wait sent
until_true ask owner '.data[1].key' request list
down fay
run owner request accept "$(ask fay '.data[0].key' identity list)" --name fay
until_true ask owner 'select(.early)' history fay

# It leaves, and nobody acknowledges it.
down cat
run owner send cat 'are you there?' --life week --wait sent
# An offer that nobody answers.
run owner contact add "${invite[dan]}" --name dan
until_true ask owner 'select(.data.session == "waiting for their answer")' contact show dan
# Held: the digits differ.
run owner contact add "${invite[eve]}" --name eve
run owner contact verify eve --digits "$(printf '0%.0s' {1..60})" || [ $? = 8 ]
run owner send eve 'this waits until you decide' --wait queued
down owner
down ben
kill -TERM "$relay"
wait "$relay" || true

# They stay queued: the node that `send` starts has no neighbour.
run owner send ben 'this waits for the next node' --life 6h --wait queued
run owner send dan 'so does this' --wait queued
cancelled=$(ask owner .data.id send dan 'this does not' --wait queued)
run owner message cancel "$cancelled"
line() {
    printf '{"v":1,"id":"%016x","contact":"eve","from":"%s","time":%d,"state":%s,"text":"%s"}\n' "$@"
}
{
    line 1 them 1700000000 null 'from another program'
    line 2 me 1700000060 '"read"' 'which had read this'
    line 3 me 1700000120 '"sent"' 'and did not know what became of this'
    line 4 me 1700000180 '"queued"' 'nor sent this'
} >"$work/imported"
run owner import "$work/imported" --contact eve
run owner contact block eve

rm -rf "$folder/home" "$folder/backup" "$folder/expected.json"
run owner backup create "$folder/backup" --with-history \
    --backup-passphrase-file "$work/backup-passphrase"
mkdir "$folder/home"
# The journal and the lock are empty files that every start makes again.
cp "$work/owner/key" "$work/owner/store.db" "$folder/home/"

# listing HOME: everything a home contains, as commands print it.
listing() {
    local name
    {
        run "$1" identity list --json | jq '{identities: .data}'
        run "$1" contact list --json | jq '{contacts: .data}'
        run "$1" request list --json | jq '{requests: .data}'
        for name in ben cat dan eve fay; do
            run "$1" history "$name" --last 500 --json |
                jq -s --arg name "$name" '{histories: {($name): map(del(.v, .type))}}'
        done
    } | jq -s 'reduce .[] as $part ({}; . * $part)'
}

run restored backup restore "$folder/backup" --backup-passphrase-file "$work/backup-passphrase"
listing owner >"$work/owner.listing"
listing restored >"$work/restored.listing"
ask owner .data backup check "$folder/backup" \
    --backup-passphrase-file "$work/backup-passphrase" >"$work/checked"
# Of the restored messages only those that differ from the messages of the home.
jq -n --indent 1 --slurpfile home "$work/owner.listing" --slurpfile backup "$work/checked" \
    --slurpfile restored "$work/restored.listing" '
        def messages: .histories[] | .[];
        ([$home[0] | messages | {key: .id, value: .}] | from_entries) as $known
        | {home: $home[0], backup: $backup[0], restored: ($restored[0] | del(.histories)
            + {others: [messages | select(. != $known[.id])]})}' >"$folder/expected.json"
