#!/usr/bin/env bash
# Slurm: a study on whole nodes of one job, with a Ray that begins and ends with it.
#
# Cost    Nodes x hours of the allocation below, for as long as the study runs: unlike a cloud's, nodes that a study has
#         no use for are not given back. PRICE_PER_HOUR (0) is what a node costs an hour, for report and --stop money.
# Before  In the project's folder, on storage that every node sees: make install. Set below what a node of yours has.
#         anon-tune cluster check cluster/slurm.sh --gpus 1
# Start   and Submit are one:
#         sbatch cluster/slurm.sh search_spaces/quickstart.toml --clips avatars --out "$PWD/runs/first" --gpus 1
#         What follows the script are the arguments of `anon-tune study`; --out must be on storage that every node sees,
#         or s3://BUCKET/first. sbatch's own options come before the script and win: sbatch --nodes=8 cluster/slurm.sh.
# Watch   squeue --me, tail -f anon-tune-JOB.log, anon-tune status runs/first
# Fetch   Nothing to fetch: the study directory is on your storage.
# Stop    scancel JOB; the same command submitted again goes on with the study. A job that is preempted, loses a node or
#         comes to its time limit is queued again by itself and goes on too.
#
# Whole nodes, because `ray symmetric-run` ends with `ray stop`, which ends every Ray of yours on a node.
# HEAD_IP may name the address of the first node that the others reach, where it has several.
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
PATH=$PWD/.venv/bin:$PATH # before Ray starts: its workers take the first `python`
if [[ $# -eq 0 ]]; then
    echo "cluster/slurm.sh: the arguments of 'anon-tune study' are missing. See the top of the script." >&2
    exit 2
fi

# This script runs on the first node, which is the head. Its name may mean 127.0.1.1 there, so its address is given.
head=${HEAD_IP:-$(hostname -I | cut -d' ' -f1)}
export RAY_HEAD=$head:$((20000 + SLURM_JOB_ID % 10000))
# A token for this job alone, which srun hands on in the environment; it is in no file and in no command line.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300 PRICE_PER_HOUR=${PRICE_PER_HOUR:-0}

# Two minutes before the time limit: back into the queue. The study goes on from its ledger.
trap 'scontrol requeue "$SLURM_JOB_ID"' USR1

# --export, because srun hands on none of these variables where a site or a user has set SBATCH_EXPORT=NONE.
# shellcheck disable=SC2016 # expanded on each node, where Slurm says what it has
srun --ntasks-per-node=1 --export=ALL --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --kill-on-bad-exit=1 bash -c '
    export RAY_TMPDIR=/tmp/anon-tune-$SLURM_JOB_ID # short: Ray puts Unix sockets, of at most 107 bytes, below it
    mkdir -p -m 700 "$RAY_TMPDIR"
    # Any user of the node can guess the name and make the folder first; who owns it has the sockets of Ray.
    if [[ $(stat -c "%u %A" "$RAY_TMPDIR") != "$UID d"* ]] || ! chmod 700 "$RAY_TMPDIR"; then
        echo "cluster/slurm.sh: the folder of Ray must be yours, got $RAY_TMPDIR of $(stat -c %U "$RAY_TMPDIR")." \
            "Submit the job again." >&2
        exit 2
    fi
    trap "rm -rf \"$RAY_TMPDIR\"" EXIT
    rm -f "$RAY_TMPDIR/begun" # of an earlier run of a job that was queued again
    # How long a node waits for a head that has ended; else a minute. Not on the head: it takes longer to end itself.
    [[ $SLURM_NODEID -eq 0 ]] || export RAY_gcs_rpc_server_reconnect_timeout_s=15
    ray symmetric-run --address "$RAY_HEAD" --min-nodes "$SLURM_JOB_NUM_NODES" \
        --num-cpus "${SLURM_CPUS_PER_TASK:-1}" --num-gpus "${SLURM_GPUS_ON_NODE:-0}" \
        --object-store-memory 268435456 --dashboard-agent-listen-port 0 --disable-usage-stats \
        --labels "anon-tune.price-per-hour=${PRICE_PER_HOUR:-0}" \
        -- env RAY_ADDRESS="$RAY_HEAD" \
        bash -c ": >\"\$RAY_TMPDIR/begun\"; exec python -m anon_tune study \"\$@\"" study "$@"
    code=$?
    # `ray symmetric-run` ends with 0 if Ray does not start on the head, so nothing but the mark tells of a study.
    [[ $SLURM_NODEID -ne 0 || $code -ne 0 || -e $RAY_TMPDIR/begun ]] || code=1
    exit "$code"
' node "$@" &
step=$!

wait "$step" && code=0 || code=$?
while kill -0 "$step" 2>/dev/null; do # the signal only interrupted the wait
    wait "$step" && code=0 || code=$?
done
exit "$code"
