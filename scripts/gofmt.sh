#!/usr/bin/env bash
# Fails, with the list, where gofmt would change a tracked or new file.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(git ls-files -z --cached --others --exclude-standard -- '*.go' | xargs -0 -r sh -c 'for f; do [ ! -f "$f" ] || echo "$f"; done' sh | xargs -r gofmt -l)
if [[ -n $unformatted ]]; then
  echo "gofmt would change these files (run gofmt -w on them):" >&2
  echo "$unformatted" >&2
  exit 1
fi
