#!/bin/sh
# Adds the test tools that an environment lacks; one that it holds is never touched.
# Usage: ensure.sh ENVIRONMENT TOOL...   where TOOL is pytest or coverage
set -eu
env=$1
shift
here=$(dirname "$0")
missing=
for tool in "$@"; do
  "$env/bin/python" -c "import $tool" 2>/dev/null || missing="$missing $tool"
done
[ -n "$missing" ] || exit 0
echo "not in the source's environment, added at our pinned versions:$missing"
set --
for tool in $missing; do
  set -- "$@" -r "$here/$tool.lock"
done
pip --python "$env/bin/python" install --no-input --progress-bar=off --require-hashes "$@"
