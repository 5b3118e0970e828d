#!/usr/bin/env bash
# Runs every benchmark of the module, then each program under bench/ that
# measures what a Go benchmark cannot (sockets by the thousand, a whole daemon).
set -euo pipefail
cd "$(dirname "$0")/.."
go=${GO:-go}

mapfile -t packages < <(git ls-files -- '*_test.go' | xargs -r grep -lE '^func Benchmark' | xargs -r -n1 dirname | sort -u | sed 's|^|./|')
if ((${#packages[@]} > 0)); then
  "$go" test -run '^$' -bench . -benchmem "${packages[@]}"
fi

while read -r main; do
  echo "== $(dirname "$main")"
  "$go" run "./$(dirname "$main")"
done < <(git ls-files -- 'bench/*main.go')
