#!/usr/bin/env bash
# Starts several Ray nodes on one machine, each with its own processes, to try out a cluster without having one.
#
# Cost    Only memory of this machine: about 0.9 GB for the head, 0.4 GB for each other node, 1 GB for each trial.
#         CPUs are only counted, not reserved. If the nodes together have more CPUs than the machine, they run slower.
# Start   cluster/local.sh up 3 2            three nodes, including the head, with 2 CPUs each
#         eval "$(cluster/local.sh env)"     in every shell that uses them
# Submit  ray job submit --working-dir . -- python -m anon_tune study search_spaces/quickstart.toml \
#             --clips avatars --out "$PWD/runs/local"
#         or, to run the driver in your shell:
#         anon-tune study search_spaces/quickstart.toml --clips avatars --out runs/local
# Watch   cluster/local.sh status, anon-tune front runs/local, and the dashboard, which asks for the token. It is in the
#         file RAY_AUTH_TOKEN_PATH that `env` prints.
# Fetch   Nothing to fetch: the study directory is on this machine.
# Stop    cluster/local.sh down              stops these nodes, but no other Ray on this machine
#
# Environment variables, with defaults: PORT (6379; the port after it is used too), DASHBOARD_PORT (8265) and
# CLUSTER_DIR (/tmp/anon-tune-<uid>).

set -euo pipefail
umask 077 # others must not read the token, which is a password

dir=${CLUSTER_DIR:-/tmp/anon-tune-$UID} # short: paths of Unix sockets in it have at most 107 bytes
port=${PORT:-6379}
dashboard=${DASHBOARD_PORT:-8265}
bin=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.venv/bin
PATH=$bin:$PATH # set before Ray starts, because a job runs the first `python` on its node's PATH
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$dir/token

fail() {
    echo "cluster/local.sh: $*" >&2
    exit 2
}

# True if an earlier `up` of this user made the folder. No other existing folder is written to or removed.
ours() {
    [[ -O $dir && -O $dir/token ]]
}

# True if the node of this pid file is alive, and its pid does not belong to another process by now.
alive() {
    [[ -e $1 ]] && tr '\0' ' ' 2>/dev/null <"/proc/$(<"$1")/cmdline" | grep -qF -- "--temp-dir $dir/"
}

# start_node NAME ARGUMENTS...
start_node() {
    local name=$1
    shift
    : >"$dir/$name.log"
    # setsid: a node must not end with this shell or by Ctrl-C. --temp-dir: nodes that share a folder would overwrite
    # the files of a running job. The object store can be small, because clips are mapped from files. Port 0 means any
    # free port, so that the agents of several nodes do not collide.
    setsid ray start "$@" --block --disable-usage-stats --temp-dir "$dir/$name" --num-cpus "$cpus" \
        --object-store-memory 268435456 --dashboard-agent-listen-port 0 --log-color false \
        >>"$dir/$name.log" 2>&1 </dev/null &
    echo $! >"$dir/$name.pid"
    until grep -q "Ray runtime started" "$dir/$name.log"; do
        kill -0 $! 2>/dev/null || fail "node '$name' did not start: $(tail -n 1 "$dir/$name.log"). See $dir/$name.log."
        sleep 0.2
    done
}

up() {
    local nodes=${1:-2} number
    cpus=${2:-1}
    [[ $nodes =~ ^[1-9][0-9]*$ && $cpus =~ ^[1-9][0-9]*$ ]] || fail "up takes two whole numbers, got '$*'. See --help."
    command -v ray >/dev/null || fail "no 'ray' in $bin or on the PATH. Run 'make install'."
    alive "$dir/head.pid" && fail "nodes are up already, in $dir. Run '$0 down' first."
    [[ ! -e $dir ]] || ours || fail "'$dir' is not a folder of this script. Set CLUSTER_DIR to a new one."
    mkdir -p "$dir"
    # Ray would use the address file of an earlier head.
    rm -rf "${dir:?}"/*
    python -c 'import secrets; print(secrets.token_hex(32))' >"$RAY_AUTH_TOKEN_PATH"
    start_node head --head --port "$port" --ray-client-server-port $((port + 1)) \
        --dashboard-host 127.0.0.1 --dashboard-port "$dashboard"
    for ((number = 1; number < nodes; number++)); do
        start_node "worker-$number" --address "127.0.0.1:$port" --include-log-monitor false
    done
    # Written now, so that the output of `env` does not depend on variables of the shell that calls it.
    printf 'export %s\n' "RAY_ADDRESS=127.0.0.1:$port" "RAY_API_SERVER_ADDRESS=http://127.0.0.1:$dashboard" \
        RAY_AUTH_MODE=token "RAY_AUTH_TOKEN_PATH=$RAY_AUTH_TOKEN_PATH" >"$dir/env"
    echo "$nodes nodes with $cpus CPUs each. Now: eval \"\$($0 env)\"" >&2
}

down() {
    local pid_file pid
    for pid_file in "$dir"/worker-*.pid "$dir"/head.pid; do
        alive "$pid_file" || continue
        pid=$(<"$pid_file")
        kill -TERM "$pid"
        for _ in {1..100}; do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL -- "-$pid" 2>/dev/null || true
    done
    if ours; then rm -rf "$dir"; fi
}

status() {
    local pid_file
    [[ -e $dir/env ]] || fail "no nodes are up in $dir. Run '$0 up'."
    for pid_file in "$dir"/head.pid "$dir"/worker-*.pid; do
        [[ -e $pid_file ]] || continue
        alive "$pid_file" && echo "$(basename "$pid_file" .pid): up" || echo "$(basename "$pid_file" .pid): gone"
    done
    source "$dir/env"
    ray status
}

case ${1:-} in
up) up "${@:2}" ;;
down) down ;;
status) status ;;
env) cat "$dir/env" 2>/dev/null || fail "no nodes are up in $dir. Run '$0 up'." ;;
*) sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" ;;
esac
