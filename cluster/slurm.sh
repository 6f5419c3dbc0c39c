#!/usr/bin/env bash
# Slurm: one job that runs a study on whole nodes, with its own Ray cluster, which ends with the job.
#
# Cost    The nodes of the allocation below, as long as the study runs. Unlike in a cloud, idle nodes are not released.
#         PRICE_PER_HOUR (0) is the price of a node per hour, for the report and --stop money.
# Before  In the project's folder, on storage that every node sees: make install. Set the #SBATCH lines to your nodes.
#         anon-tune cluster check cluster/slurm.sh --gpus 1
# Start   One command starts Ray and submits the study:
#         sbatch cluster/slurm.sh search_spaces/quickstart.toml --clips avatars --out "$PWD/runs/first" --gpus 1
#         After the script come the arguments of `anon-tune study`. --out must be on storage that every node sees, or
#         s3://BUCKET/first. Options of sbatch come before the script and override its own: sbatch --nodes=8
#         cluster/slurm.sh ...
# Watch   squeue --me, tail -f anon-tune-JOB.log, anon-tune status runs/first
# Fetch   Nothing to fetch: the study directory is on your storage.
# Stop    scancel JOB; the same command submitted again continues the study. A job that is preempted, loses a node or
#         reaches its time limit is queued again automatically and continues too.
#
# The job takes whole nodes, because `ray symmetric-run` ends with `ray stop`, which ends every Ray of yours on a node.
# If the first node has several addresses, set HEAD_IP to one that the other nodes can reach.
#
#SBATCH --job-name=anon-tune
#SBATCH --nodes=2
#SBATCH --exclusive
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=1
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log

set -euo pipefail

cd "$SLURM_SUBMIT_DIR"
PATH=$PWD/.venv/bin:$PATH # set before Ray starts, because its workers run the first `python` on PATH
if [[ $# -eq 0 ]]; then
    echo "cluster/slurm.sh: the arguments of 'anon-tune study' are missing. See the top of the script." >&2
    exit 2
fi

# This script runs on the first node, which is the head. Its host name may resolve to 127.0.1.1, so its address is used.
head=${HEAD_IP:-$(hostname -I | cut -d' ' -f1)}
export RAY_HEAD=$head:$((20000 + SLURM_JOB_ID % 10000))
# A token for this job only. srun passes it on in the environment, so it is in no file and on no command line.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300 PRICE_PER_HOUR=${PRICE_PER_HOUR:-0}

# Two minutes before the time limit, the job is queued again. The study then continues from its ledger.
trap 'scontrol requeue "$SLURM_JOB_ID"' USR1

# Without --export, srun passes on none of these variables if a site or a user has set SBATCH_EXPORT=NONE.
# shellcheck disable=SC2016 # expanded on each node, where Slurm sets the variables
srun --ntasks-per-node=1 --export=ALL --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --kill-on-bad-exit=1 bash -c '
    export RAY_TMPDIR=/tmp/anon-tune-$SLURM_JOB_ID # short: paths of Unix sockets in it have at most 107 bytes
    mkdir -p -m 700 "$RAY_TMPDIR"
    # Any user of the node could guess the name, make the folder first, and so control the sockets of Ray.
    if [[ $(stat -c "%u %A" "$RAY_TMPDIR") != "$UID d"* ]] || ! chmod 700 "$RAY_TMPDIR"; then
        echo "cluster/slurm.sh: the folder of Ray must be yours, got $RAY_TMPDIR of $(stat -c %U "$RAY_TMPDIR")." \
            "Submit the job again." >&2
        exit 2
    fi
    trap "rm -rf \"$RAY_TMPDIR\"" EXIT
    rm -f "$RAY_TMPDIR/begun" # left by an earlier run, if the job was queued again
    # Seconds that a node waits for a head that has ended, instead of 60. Not on the head, which takes longer to end.
    [[ $SLURM_NODEID -eq 0 ]] || export RAY_gcs_rpc_server_reconnect_timeout_s=15
    ray symmetric-run --address "$RAY_HEAD" --min-nodes "$SLURM_JOB_NUM_NODES" \
        --num-cpus "${SLURM_CPUS_PER_TASK:-1}" --num-gpus "${SLURM_GPUS_ON_NODE:-0}" \
        --object-store-memory 268435456 --dashboard-agent-listen-port 0 --disable-usage-stats \
        --labels "anon-tune.price-per-hour=${PRICE_PER_HOUR:-0}" \
        -- env RAY_ADDRESS="$RAY_HEAD" \
        bash -c ": >\"\$RAY_TMPDIR/begun\"; exec python -m anon_tune study \"\$@\"" study "$@"
    code=$?
    # `ray symmetric-run` returns 0 even if Ray does not start on the head. Only this file shows that the study began.
    [[ $SLURM_NODEID -ne 0 || $code -ne 0 || -e $RAY_TMPDIR/begun ]] || code=1
    exit "$code"
' node "$@" &
step=$!

wait "$step" && code=0 || code=$?
while kill -0 "$step" 2>/dev/null; do # a signal interrupts `wait`, but not the step
    wait "$step" && code=0 || code=$?
done
exit "$code"
