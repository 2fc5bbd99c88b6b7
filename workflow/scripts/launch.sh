#!/usr/bin/env bash
# A distributed command of one job: one launcher (`python -m tdro.cli.launch`) a node, which starts one process a GPU.
#
#   launch.sh LOG NODES GPUS THREADS CONFIG COMMAND [ARGUMENT ...]
#
# LOG      gets all output.
# NODES    of the job. With several, SLURM's srun starts a launcher on each, and they meet on the first.
# GPUS     that the rule asked for, all nodes together. 0: the launcher finds out how many the job was given.
# THREADS  of a node; its processes share them.
# CONFIG   launch configuration: auto, or a file of config/accelerate without .yaml.
# COMMAND  of `python -m tdro`.
#
# SLURM sends SIGTERM before it takes a job's GPUs away (time limit, preemption). It reaches every process of the job.
# This script outlives it until the training has ended, then asks SLURM to queue the same job again: Snakemake sees a job
# that is still running, and the training goes on from its last checkpoint.
set -euo pipefail

# The C library keeps large blocks instead of handing them back after every training step (measured on two cores: a
# step of the demo takes a fifth less time).
export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000

TRY_AGAIN=75     # EX_TEMPFAIL of sysexits.h: a training that saved its state and wants to go on
MOST_RETURNS=20  # a training that is always stopped before its first checkpoint has to fail some day

# Where the launchers of a job's nodes meet. The port follows from the job, so that jobs that share a node differ.
rendezvous() {
  local first address
  first=$(scontrol show hostnames "$SLURM_STEP_NODELIST" | head -n 1)
  address=$(scontrol --oneliner show node "$first" | grep --only-matching 'NodeAddr=[^ ]*')
  echo "--rank $SLURM_NODEID --address ${address#NodeAddr=} --port $((20000 + SLURM_JOB_ID % 20000))"
}

launch_here() {
  local nodes=$1 gpus=$2 threads=$3 config=$4 machines=""
  shift 4
  ((nodes == 1)) || machines=$(rendezvous)
  # shellcheck disable=SC2086  # words, not one word
  exec python -m tdro.cli.launch --configuration "$config" --nodes "$nodes" --gpus "$gpus" --threads "$threads" $machines \
    -- "$@"
}

# A job that was cancelled, preempted or stopped at its limit is no longer RUNNING: SLURM has decided what comes next.
queue_again() {
  local job
  [[ -n ${SLURM_JOB_ID:-} ]] || return 0
  job=$(scontrol --oneliner show job "$SLURM_JOB_ID") || return 0
  [[ $job =~ JobState=RUNNING && $job =~ Restarts=([0-9]+) ]] && ((BASH_REMATCH[1] < MOST_RETURNS)) || return 0
  echo "launch.sh: stopped before the end; SLURM job $SLURM_JOB_ID is queued again"
  scontrol requeue "$SLURM_JOB_ID" && sleep 60
}

if [[ $1 == --here ]]; then
  shift
  launch_here "$@"
fi
log=$1
shift
start=(bash "$0" --here)
(($1 == 1)) || start=(srun --nodes="$1" --ntasks="$1" --ntasks-per-node=1 --cpus-per-task="$3" --kill-on-bad-exit=1 "${start[@]}")
stopped=no code=0
trap 'stopped=yes' INT TERM HUP
# `cat` ends when the last process has closed its output, which may be later than its launcher's end.
"${start[@]}" "$@" 2>&1 | (trap '' INT TERM HUP && exec cat >"$log") || code=$?
if ((code == TRY_AGAIN)) || { ((code)) && [[ $stopped == yes ]]; }; then queue_again >>"$log"; fi
exit "$code"
