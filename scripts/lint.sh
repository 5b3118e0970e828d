#!/usr/bin/env bash
# The rules of CONTRIBUTING.md that a search can check. It reads the files that
# git knows or would add, prints each breach as file:line, and exits 1 if any.
set -uo pipefail
cd "$(dirname "$0")/.."

mapfile -t files < <(git ls-files --cached --others --exclude-standard | while read -r f; do [[ -f $f ]] && echo "$f"; done)
breaches=0

breach() { # rule, lines
  [[ -z $2 ]] && return
  echo "$1:"
  sed 's/^/  /' <<<"$2"
  breaches=$((breaches + $(wc -l <<<"$2")))
}

pick() { printf '%s\n' "${files[@]}" | grep -E "$1" || true; }

# A test that sleeps is slow when it passes and wrong when the machine is busy.
# Inside a testing/synctest bubble sleeping costs nothing.
sleepers=$(for f in $(pick '_test\.go$'); do
  grep -q '"testing/synctest"' "$f" || grep -Hn 'time\.Sleep(' "$f"
done)
breach "time.Sleep in a test outside testing/synctest" "$sleepers"

# What is left for later is an issue, or it is not done. This file names the
# words it looks for, so it does not look at itself.
breach "unfinished work" "$(pick '\.(go|sh|md|js|css|html|yaml|yml)$|^Makefile$|^Dockerfile$|^\.ci/' |
  grep -v '^scripts/lint\.sh$' | xargs -r grep -nE '\b(TODO|FIXME|XXX|HACK)\b')"

# A file is one noun. The hand-written ones stay under 500 lines.
breach "a Go file of 500 lines or more" "$(for f in $(pick '\.go$'); do
  n=$(wc -l <"$f")
  ((n < 500)) || head -5 "$f" | grep -q 'Code generated .* DO NOT EDIT' || echo "$f: $n lines"
done)"

# Names that say nothing attract everything.
breach "a package that is named for no noun" "$(pick '\.go$' | grep -E '(^|/)(utils?|common|helpers?|types|models?|misc|shared)(/|\.go$)')"

# Everything that runs is started and ended by Run.
breach "func init" "$(pick '\.go$' | xargs -r grep -nE '^func init\(\)')"

# One logger. (Tests may need the old one for http.Server.ErrorLog.)
breach "the old log package" "$(pick '\.go$' | grep -v '_test\.go$' | xargs -r grep -nE '^\s*(import )?"log"$')"

if ((breaches > 0)); then
  echo "scripts/lint.sh: $breaches breaches" >&2
  exit 1
fi
