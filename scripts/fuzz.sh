#!/usr/bin/env bash
# Fuzzes every Fuzz function of the module, one after the other, each for the
# time given (default 60s). New inputs that break something are written by the
# go command under testdata/fuzz of their package: commit them with the cure.
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}
time=${1:-60s}

count=0
while IFS=: read -r file name; do
  echo "fuzz $name in $(dirname "$file") for $time"
  "$go" test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "./$(dirname "$file")"
  count=$((count + 1))
done < <(git ls-files -- '*_test.go' | xargs -r grep -oE '^func Fuzz[A-Za-z0-9_]*\(' /dev/null | sed -E 's/:func ([A-Za-z0-9_]+)\(/:\1/')

echo "fuzzed $count targets"
