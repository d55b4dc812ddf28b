#!/usr/bin/env bash
# Build the backends of the tests, a Collector and a Jaeger, into .backends/bin of this repository. The second run does nothing;
# after a change of builder.yaml or jaeger/go.mod only that program is built again.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repository"

readonly config=collector-config
readonly backends=.backends
readonly oldest_go=1.25 # required by the Collector's modules

main() {
  require_go
  mkdir -p "$backends/bin" "$backends/stamps"
  install_backend otelcol "$config/builder.yaml"
  install_backend jaeger "$config/jaeger/go.mod" "$config/jaeger/go.sum"
  "$backends/bin/otelcol" validate --config "$config/otelcol/single-node.yaml"
  say "ready, and single-node.yaml is valid"
}

say() { printf 'backends: %s\n' "$*"; }

fail() {
  say "$*" >&2
  exit 1
}

require_go() {
  command -v go >/dev/null || fail "needs Go $oldest_go or newer, and there is no 'go' in PATH (https://go.dev/dl)"
  local version
  version=$(go env GOVERSION) # go1.26.8
  version=${version#go}
  at_least "$version" "$oldest_go" || fail "needs Go $oldest_go or newer, and 'go' is $version (https://go.dev/dl)"
}

# at_least 1.26.8 1.25: compares major and minor.
at_least() {
  local major minor oldest_major oldest_minor _
  IFS=. read -r major minor _ <<<"$1"
  IFS=. read -r oldest_major oldest_minor _ <<<"$2"
  minor=${minor%%[!0-9]*} # 1.27rc1
  ((major > oldest_major || (major == oldest_major && minor >= oldest_minor)))
}

# install_backend NAME INPUT...: runs build_NAME, unless the program was built from the same inputs.
install_backend() {
  local name=$1 inputs started=$SECONDS
  shift
  inputs=$(cksum "$@")
  if [[ -x $backends/bin/$name && $(cat "$backends/stamps/$name" 2>/dev/null) == "$inputs" ]]; then
    say "$name is up to date"
    return
  fi
  say "building $name from $1 (takes minutes the first time)"
  "build_$name"
  echo "$inputs" >"$backends/stamps/$name" # written last, so that an interrupted build is repeated
  say "built $backends/bin/$name in $((SECONDS - started)) s"
}

build_otelcol() {
  local version log="$backends/otelcol.log"
  version=$(sed -n 's/^  version: *\([0-9.]*\).*/\1/p' "$config/builder.yaml")
  # The builder itself passes -trimpath and -ldflags "-s -w". Its output is shown only if it fails.
  go_build run "go.opentelemetry.io/collector/cmd/builder@v$version" --config "$config/builder.yaml" >"$log" 2>&1 ||
    fail "the Collector did not build, see $log: $(tail -n 5 "$log")"
  mv "$backends/build/otelcol" "$backends/bin/otelcol"
  rm -rf "$backends/build" "$log"
}

build_jaeger() {
  go_build -C "$config/jaeger" build -trimpath -ldflags "-s -w" -o "$repository/$backends/bin/jaeger" \
    github.com/jaegertracing/jaeger/cmd/jaeger
}

# Do not stamp the programs with the state of this repository, and ignore a Go workspace of the user.
go_build() { GOFLAGS="$(go env GOFLAGS) -buildvcs=false" GOWORK=off go "$@"; }

main "$@"
