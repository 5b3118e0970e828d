#!/usr/bin/env bash
# Makes sure that the programs which some tests drive from outside are here: the
# AWS command line, boto3, the JavaScript SDK, a browser, servers that are probed
# (nginx, PostgreSQL), and AWS's description of Cloud Map; and HAProxy, to which
# bench/probe compares. The test suite itself needs none of them to compile, so
# this stays out of `go test`; `make test` calls it first.
#
# A missing component is installed when that can be done without asking: Debian's
# packages by root, npm's and Go's by anybody, outside the repository. Otherwise
# the script names what is missing and how to get it, and exits 1.
set -euo pipefail
cd "$(dirname "$0")/.."

# Where internal/component looks for npm's packages: os.UserCacheDir.
case $(uname) in
Darwin) cache=$HOME/Library/Caches ;;
*) cache=${XDG_CACHE_HOME:-$HOME/.cache} ;;
esac
js=$cache/mapwarden/js

# component, the command that proves it is here, its Debian package.
# A proof runs the thing: a shim on the PATH is not yet a working program.
components=(
  "aws|aws --version|awscli"
  "boto3|python3 -c 'import boto3' || /usr/bin/python3 -c 'import boto3'|python3-boto3"
  "node|node -e 'if (parseInt(process.versions.node) < 18) throw 18' && npm --version|nodejs npm"
  "haproxy|haproxy -v|haproxy"
  "nginx|nginx -v|nginx-light"
  "postgres|postgres --version || ls /usr/lib/postgresql/*/bin/postgres|postgresql"
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
      echo "component $name: missing (Debian: $package)"
      missing+=("$name")
      read -ra each <<<"$package"
      packages+=("${each[@]}")
    fi
  done
}

js_here() {
  cmp -s internal/component/js/package-lock.json "$js/package-lock.json" &&
    node -e "require('$js/node_modules/@aws-sdk/client-servicediscovery')"
}

# install_js takes the versions of the lock file, which pins them by digest.
install_js() {
  if js_here 2>/dev/null; then
    echo "component js: here"
    return
  fi
  local start=$SECONDS
  mkdir -p "$js"
  cp internal/component/js/package.json internal/component/js/package-lock.json "$js/"
  npm ci --prefix "$js" --ignore-scripts --no-audit --no-fund >/dev/null
  js_here
  echo "component js: installed in $js in $((SECONDS - start)) s"
}

# The version that internal/component names, and the digest of its files.
model=github.com/aws/aws-sdk-go@v1.55.8
model_sum=h1:JRmEUbU52aJQZ2AjX4q4Wu7t4uZjOu71uyNmaWlUkJQ=

# get_model takes AWS's first SDK for Go for the description of Cloud Map in it.
get_model() {
  local got
  got=$("${GO:-go}" mod download -json "$model" | sed -n 's/.*"Sum": "\(.*\)".*/\1/p')
  if [[ $got != "$model_sum" ]]; then
    echo "scripts/components.sh: $model has the digest $got, not $model_sum" >&2
    exit 1
  fi
  echo "component model: here"
}

look
if ((${#missing[@]} == 0)); then
  install_js
  get_model
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
install_js
get_model
