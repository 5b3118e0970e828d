#!/usr/bin/env bash
# Makes sure that the programs which some tests drive from outside are here:
# the AWS command line, boto3, and a browser. The test suite itself needs none
# of them to compile, so this stays out of `go test`; `make test` calls it first.
#
# A missing component is installed when that can be done without asking (root,
# on a system with apt-get). Otherwise the script names what is missing and how
# to get it, and exits 1.
set -euo pipefail

# component, the command that proves it is here, its Debian package.
# A proof runs the thing: a shim on the PATH is not yet a working program.
components=(
  "aws|aws --version|awscli"
  "boto3|python3 -c 'import boto3' || /usr/bin/python3 -c 'import boto3'|python3-boto3"
  "chromium|chromium --version || chromium-browser --version || google-chrome --version|chromium"
)

missing=()
packages=()
look() {
  missing=() packages=()
  local line name proof package
  for line in "${components[@]}"; do
    name=${line%%|*}
    package=${line##*|}
    proof=${line#*|}
    proof=${proof%|*}
    if bash -c "$proof" >/dev/null 2>&1; then
      echo "component $name: here"
    else
      echo "component $name: missing (Debian package $package)"
      missing+=("$name")
      packages+=("$package")
    fi
  done
}

look
if ((${#missing[@]} == 0)); then
  exit 0
fi

if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "scripts/components.sh: missing ${missing[*]}; install them (Debian: sudo apt-get install ${packages[*]}) and run again" >&2
  exit 1
fi

start=$SECONDS
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --yes --no-install-recommends "${packages[@]}" >/dev/null
echo "installed ${packages[*]} in $((SECONDS - start)) s"

look
if ((${#missing[@]} > 0)); then
  echo "scripts/components.sh: still missing after the installation: ${missing[*]}" >&2
  exit 1
fi
