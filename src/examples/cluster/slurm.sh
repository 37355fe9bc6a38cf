#!/bin/sh
# Classifies a list of images as a Slurm array, one part a task:
#
#   sbatch --array=0-$(($(./partition.py LIST OUT --count) - 1))%50 slurm.sh LIST OUT
#   ./partition.py LIST OUT --collect >results.ndjson
#
# After a failure the same line does what is missing. One task needs one core and 200 MB.
#SBATCH --job-name=cxrlens --ntasks=1 --cpus-per-task=1 --mem=500M --time=02:00:00 --requeue
exec "${CLUSTER:-${SLURM_SUBMIT_DIR:-.}}/partition.py" "$@" --part "$SLURM_ARRAY_TASK_ID" ${COMMAND:+--command "$COMMAND"}
