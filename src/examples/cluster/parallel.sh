#!/bin/sh
# Classifies a list of images with GNU parallel, on this machine or, with PARALLEL="--sshloginfile MACHINES", on several that
# share the folders:
#
#   ./parallel.sh LIST OUT
#   ./partition.py LIST OUT --collect >results.ndjson
here=$(dirname "$(realpath "$0")")
set -- "$1" "$2" "$("$here/partition.py" "$1" "$2" --count ${COMMAND:+--command "$COMMAND"})" || exit
[ "$3" -gt 0 ] || exit 0
seq 0 $(($3 - 1)) | parallel --will-cite --halt never --retries 3 "$here/partition.py" "$1" "$2" --part '{}' ${COMMAND:+--command "$COMMAND"}
