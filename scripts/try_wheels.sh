#!/usr/bin/env bash
# Installs the wheels that `make dist` built as a user does, in an empty environment outside the checkout.
# The wheel of audiate alone draws the demo, and names the command that installs the weights it lacks;
# with audiate[papers] those weights are found.
# Without --no-compile, pip compiles every file of PyTorch and SymPy, which takes it a minute; Python compiles
# the few that it uses when it uses them.
set -euo pipefail
checkout=$(cd "$(dirname "$0")/.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
unset PYTHONPATH

fail() {
  echo "try_wheels: $1" >&2
  exit 1
}

size=$(wc -c < "$(echo "$checkout"/dist/audiate-*.whl)")
[ "$size" -le 40000000 ] || fail "the wheel of audiate has $size bytes, over 40 MB"

SECONDS=0
"${PYTHON:-python3}" -m venv venv
venv/bin/python -m pip install --quiet --no-compile -c "$checkout/constraints.txt" "$checkout"/dist/audiate-*.whl
installed=$SECONDS
venv/bin/audiate demo
[ -s out/demo/sheet.png ] || fail "the demo left no picture"
echo "from an empty environment to the pictures: $SECONDS s, $installed s of them to install"

generate=(venv/bin/audiate generate wavegan-digits --count 1)
if said=$("${generate[@]}" 2>&1); then
  fail "weights of audiate-papers are in the wheel of audiate"
fi
case $said in
  *'pip install "audiate[papers]"'*) ;;
  *) fail "weights that are not installed, and no word how to install them: $said" ;;
esac
venv/bin/python -m pip install --quiet --no-index --find-links "$checkout/dist" 'audiate[papers]'
"${generate[@]}"
