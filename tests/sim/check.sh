#!/bin/sh
# check.sh - epp-sim and epp-load against each other, over real sockets
#
# usage: check.sh BUILD-DIR [FIRST-PORT]; prints what failed, exit 1 if any did.
# Needs curl. Uses ports FIRST..FIRST+3 (19301) of 127.0.0.1.
set -u
bin=$1
port=${2:-19301}
a=http://127.0.0.1:$port
b=http://127.0.0.1:$((port + 1))
dir=$(mktemp -d)
failed=0
sim=

cleanup() {
    [ -z "$sim" ] || kill "$sim" 2>/dev/null
    rm -rf "$dir"
}
trap cleanup EXIT

start() {
    rm -f "$dir/out"
    "$bin/epp-sim" -l "127.0.0.1:$port-$((port + 3))" "$@" \
        >"$dir/out" 2>"$dir/err" &
    sim=$!
    for _ in $(seq 100); do
        grep -qs ready "$dir/out" && return
        sleep 0.05
    done
    echo "epp-sim did not get ready: $(cat "$dir/err")"
    exit 1
}

# Ends it and looks at how it went; a sanitizer's complaint is a failure.
stop() {
    kill -TERM "$sim"
    wait "$sim"
    is "exit status on SIGTERM" $? 0
    is "stderr" "$(cat "$dir/err")" ""
    sim=
}

is() {
    [ "$2" = "$3" ] && return
    echo "FAIL $1: got '$2', want '$3'"
    failed=1
}

has() {
    case $2 in
    *"$3"*) ;;
    *) echo "FAIL $1: no '$3' in '$2'"; failed=1 ;;
    esac
}

# body MAX-TOKENS TEXT [MORE-MEMBERS]
body() {
    printf '{"model":"sim-model","max_tokens":%s%s,"messages":[%s]}' "$1" \
        "${3:-}" "{\"role\":\"user\",\"content\":\"$2\"}"
}

chat() {
    curl -sS -m 10 "$a/v1/chat/completions" -d "$(body "$@")" 2>&1
}

header() {
    curl -sS -m 10 -o /dev/null -D - "$a/v1/chat/completions" \
        -d "$(body "$2" "$3")" | tr -d '\r' | sed -n "s/^$1: //p"
}

code() {
    curl -s -m "${2:-10}" -o /dev/null -w '%{http_code}' "$1"
}

chat_code() {
    curl -s -m "${2:-10}" -o /dev/null -w '%{http_code}' \
        "$1/v1/chat/completions" -d "$(body 2 hello)"
}

fault() {
    curl -sS -m 5 "${2:-$a}/sim/fault" -d "$1"
}

gauge() {
    curl -s -m 5 "${2:-$a}/metrics" | sed -n "s/^vllm:$1{[^}]*} //p" |
        head -n 1
}

text=$(seq -s ' ' 100 170)	# 284 bytes: 4 full blocks, and the role's bytes

routes() {
    start --lora sql
    is health "$(code $a/health)" 200
    is unknown "$(code $a/none)" 404
    is method "$(code $a/v1/completions)" 405
    has models "$(curl -s $a/v1/models)" '"id":"sql"'
    has "not json" "$(curl -s $a/v1/completions -d '{"prompt":')" 'type":"Bad'
    has "no prompt" "$(curl -s $a/v1/completions -d '{"model":"sql"}')" \
        'prompt: field required'
    has "no model" "$(curl -s $a/v1/completions \
        -d '{"model":"x\"y","prompt":"p"}')" 'The model `x\"y` does not'
    has adapter "$(curl -s $a/v1/completions \
        -d '{"model":"sql","prompt":"p","max_tokens":1}')" '"model":"sql"'
    has "too long" "$(curl -s $a/v1/completions \
        -d '{"model":"sql","prompt":"p","max_tokens":900000}')" 'KV cache'
    is "server header" "$(header x-sim-server 1 x)" "127.0.0.1:$port"
    has chunked "$(curl -s -H 'Transfer-Encoding: chunked' $a/v1/completions \
        -d '{"model":"sql","prompt":"p","max_tokens":1}')" '"text":"'
    has keep-alive "$(curl -sv $a/health $a/health 2>&1)" 'Re-using'
    head -c 15000000 /dev/zero | tr '\0' x >"$dir/x"
    { printf '{"model":"sim-model","prompt":"'; cat "$dir/x"
      printf '"}'; } >"$dir/15m"
    has "15 MB" "$(curl -s $a/v1/completions --data-binary @"$dir/15m")" \
        '3750000 prompt tokens'
    cat "$dir/x" >>"$dir/15m"
    is "30 MB" "$(curl -s -o /dev/null -w '%{http_code}' $a/v1/completions \
        --data-binary @"$dir/15m")" 413
    stop
}

streams() {
    start --decode-rate 500
    one=$(chat 9 "$text" ',"stream":true')
    is events "$(echo "$one" | grep -c '^data: {')" 10
    is usage "$(echo "$one" | grep -c '"usage"')" 0
    has end "$one" 'data: [DONE]'
    has usage "$(chat 3 "$text" \
        ',"stream":true,"stream_options":{"include_usage":true}')" \
        '"completion_tokens":3,'
    stop
}

determinism() {
    start
    one=$(chat 6 "$text" | grep -o '"content":"[^"]*"')
    stop
    start -s 1
    is "same seed" "$(chat 6 "$text" | grep -o '"content":"[^"]*"')" "$one"
    stop
    start -s 2
    [ "$(chat 6 "$text" | grep -o '"content":"[^"]*"')" != "$one" ] ||
        { echo "FAIL other seed, same text"; failed=1; }
    stop
}

cache() {
    start
    is "first time" "$(header x-sim-cached-tokens 1 "$text")" 0
    is "second time" "$(header x-sim-cached-tokens 1 "$text")" 64
    is "longer" "$(header x-sim-cached-tokens 1 "$text and more")" 64
    is "other" "$(header x-sim-cached-tokens 1 "x$text")" 0
    is hits "$(gauge prefix_cache_hits_total)" 128.0
    # What was generated is cached too: 297 + 4 * 40 bytes, 7 full blocks.
    said=$(chat 40 "$text" | sed 's/.*"content":"\([^"]*\)".*/\1/')
    is "next turn" "$(header x-sim-cached-tokens 1 "$text\"},{\"role\":
        \"assistant\",\"content\":\"$said\"},{\"role\":\"user\",
        \"content\":\"go on")" 112
    curl -s -X POST $a/sim/reset >"$dir/null"
    is "after reset" "$(header x-sim-cached-tokens 1 "$text")" 0
    stop
}

queue() {
    start --batch 2
    for i in 1 2 3 4 5; do
        curl -s -o "$dir/null" $a/v1/chat/completions \
            -d "$(body 100 "q$i")" &
        pids="${pids:-} $!"
    done
    sleep 0.5
    is running "$(gauge num_requests_running)" 2.0
    is waiting "$(gauge num_requests_waiting)" 3.0
    kill $pids
    wait $pids 2>/dev/null
    sleep 0.2
    is "running, all gone" "$(gauge num_requests_running)" 0.0
    is "waiting, all gone" "$(gauge num_requests_waiting)" 0.0
    is "cache, all gone" "$(gauge kv_cache_usage_perc)" 0.0
    has aborted "$(curl -s $a/metrics | grep abort)" ' 5.0'
    stop
}

faults() {
    start --decode-rate 200
    has unknown "$(fault kind=xx)" 'metrics_stale'
    has "bad number" "$(fault 'kind=delay&ms=1x')" 'ms=1x; want: kind='
    has "bad port" "$(fault 'kind=hang&port=1')" 'port=1; want: a port'
    fault 'kind=status503&count=1' >"$dir/null"
    is status503 "$(chat_code $a)" 503
    is "count used up" "$(chat_code $a)" 200
    fault 'kind=status429&for=300' >"$dir/null"
    is status429 "$(chat_code $a)" 429
    sleep 0.4
    is "time is up" "$(chat_code $a)" 200
    fault 'kind=delay&ms=400&count=1' >"$dir/null"
    is delay "$(chat_code $a 0.3)" 000
    fault 'kind=hang&count=1' >"$dir/null"
    is hang "$(chat_code $a 0.3)" 000
    fault 'kind=reset&count=1' >"$dir/null"
    has reset "$(chat 4 x)" 'reset by peer'
    fault 'kind=reset&after=3&count=1' >"$dir/null"
    one=$(chat 9 x ',"stream":true')
    is "reset after 3" "$(echo "$one" | grep -c '^data: {')" 4
    has "reset after 3" "$one" 'reset by peer'
    for kind in refuse crash; do
        fault "kind=$kind&port=$((port + 1))" >"$dir/null"
        is $kind "$(chat_code $b)" 000
        fault "kind=none&port=$((port + 1))" >"$dir/null"
        is "$kind, cleared" "$(chat_code $b)" 200
    done
    fault kind=refuse\&ms=300 >"$dir/null"
    is "refuse for a time" "$(chat_code $a)" 000
    sleep 0.5
    is "time is up" "$(chat_code $a)" 200
    stop
}

metrics_faults() {
    start --metrics-pad 50000 --dp 2
    is "page size" "$(($(curl -s $a/metrics | wc -c) / 1000))" 50
    is "two engines" "$(curl -s $a/metrics | grep -c ^vllm:num_requests)" 4
    fault kind=metrics_503 >"$dir/null"
    is 503 "$(code $a/metrics)" 503
    fault kind=metrics_garbage >"$dir/null"
    has garbage "$(curl -s $a/metrics | tr '\0' '0')" '}}}'
    fault kind=metrics_stale >"$dir/null"
    chat 1 x >"$dir/null"
    is stale "$(gauge generation_tokens_total)" 0.0
    fault kind=none >"$dir/null"
    is fresh "$(gauge generation_tokens_total)" 1.0
    fault kind=metrics_hang\&count=1 >"$dir/null"
    is hang "$(code $a/metrics 0.3)" 000
    fault kind=metrics_huge >"$dir/null"
    curl -s -m 20 $a/metrics | head -c 150000000 | wc -c >"$dir/size"
    is huge "$(cat "$dir/size")" 150000000
    is "others meanwhile" "$(code $b/health)" 200
    stop
}

loads() {
    start --prefill-rate 0 --decode-rate 1000 --batch 64
    for w in shared-prefix multi-turn uniform burst; do
        for form in "" --completions --no-stream; do
            "$bin/epp-load" -u $a -w $w -n 60 -m 6 --burst-every 0.1 $form \
                --json "$dir/json" >"$dir/table" 2>&1
            is "load $w $form" "$?" 0
            has "load $w $form" "$(cat "$dir/json")" '"ok": 60,'
        done
    done
    "$bin/epp-load" -u $a -r 200 -d 1 -m 2 >"$dir/table" 2>&1
    is "open loop" $? 0
    fault 'kind=status503&count=3' >"$dir/null"
    "$bin/epp-load" -u $a -n 20 -m 2 --json - >"$dir/json" 2>&1
    is "exit with errors" $? 1
    has "errors by kind" "$(cat "$dir/json")" '{"status_503": 3}'
    fault 'kind=reset&after=2&count=2' >"$dir/null"
    "$bin/epp-load" -u $a -n 20 -m 4 --json - --allow-errors >"$dir/json" 2>&1
    is "exit with errors allowed" $? 0
    has "errors by kind" "$(cat "$dir/json")" '{"reset": 2}'
    fault 'kind=hang&count=2' >"$dir/null"
    "$bin/epp-load" -u $a -n 20 -t 0.5 --json - >"$dir/json" 2>&1
    has "errors by kind" "$(cat "$dir/json")" '{"timeout": 2}'
    fault "kind=refuse&port=$((port + 1))" >"$dir/null"
    "$bin/epp-load" -u $b -n 20 --json - >"$dir/json" 2>&1
    has "errors by kind" "$(cat "$dir/json")" '{"connect": 20}'
    stop
}

usage() {
    "$bin/epp-sim" -h | grep -q -- --kv-blocks || is "help" no yes
    "$bin/epp-sim" 2>"$dir/err"
    is "no address" $? 2
    start
    "$bin/epp-sim" -l "127.0.0.1:$port" 2>"$dir/taken"
    is "port taken" $? 1
    has "port taken" "$(cat "$dir/taken")" 'Address already in use'
    stop
}

for t in ${3:-usage routes streams determinism cache queue faults \
    metrics_faults loads}; do
    $t
done
[ $failed = 0 ] && echo "tests/sim: ok"
exit $failed
