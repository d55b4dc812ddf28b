#!/usr/bin/env bash
# Build the programs of the stack from source into .backends/bin of this repository: Collector, Jaeger, VictoriaLogs, Prometheus and
# promtool. Copy Apache Kafka there, if there are Java and Maven, and what only the tests use: kustomize, the schema of Compose files
# and, if there is npm, packages of Node. The second run does nothing; after a change of a version only that program is built again.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$repository"

readonly config=collector-config
readonly backends=.backends
readonly oldest_go=1.25 # required by the Collector's modules
readonly oldest_java=17 # required by Kafka
readonly longest_build=20m
readonly free_mib=4096 # the growth of Go's caches by all builds, rounded up
readonly without_clouds=-tags=remove_all_sd # without the clouds' service discoveries, most of Prometheus

# shellcheck source=versions.env
. "$config/versions.env"

# Each with its own version, and with all that it needs: no lock file pins what is not named here.
readonly node_packages=(
  "@grafana/lezer-logql@$GRAFANA_LEZER_LOGQL_VERSION"
  "@grafana/lezer-traceql@$GRAFANA_LEZER_TRACEQL_VERSION"
  "@lezer/lr@$LEZER_LR_VERSION"
  "@lezer/common@$LEZER_COMMON_VERSION"
  "@grafana/schema@$GRAFANA_VERSION"
  "tslib@$TSLIB_VERSION"
  "typescript@$TYPESCRIPT_VERSION"
  "pyright@$PYRIGHT_VERSION"
)

main() {
  local name
  require_go
  mkdir -p "$backends/bin" "$backends/stamps"
  install_backend otelcol "$(cksum "$config/builder.yaml")"
  install_backend jaeger "$(cksum "$config/jaeger/go.mod" "$config/jaeger/go.sum")"
  install_backend victoria-logs "$VICTORIALOGS_VERSION"
  install_backend prometheus "$PROMETHEUS_MODULE_VERSION $without_clouds"
  install_backend promtool "$PROMETHEUS_MODULE_VERSION $without_clouds"
  install_backend compose-schema "$COMPOSE_MODULE_VERSION"
  install_backend kustomize "$KUSTOMIZE_VERSION"
  install_node_packages
  install_kafka
  for name in single-node agent gateway; do
    "$backends/bin/otelcol" validate --config "$config/otelcol/$name.yaml"
  done
  for name in kafka-producer kafka-consumer; do
    "$backends/bin/otelcol" validate --config "$config/otelcol/single-node.yaml" --config "$config/otelcol/$name.yaml"
  done
  "$backends/bin/promtool" check config "$config/prometheus/prometheus.yaml" >/dev/null
  say "ready, and the configurations are valid"
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

# Return 0 if there are Maven and a Java that runs Kafka.
has_java() {
  local version
  command -v mvn >/dev/null || return 1
  version=$(java -version 2>&1) || return 1 # openjdk version "17.0.15" 2025-04-15
  version=${version#*\"}
  ((${version%%[!0-9]*} >= oldest_java))
}

# install_backend NAME INPUTS: runs build_NAME, unless the program was built from the same inputs.
install_backend() {
  local name=$1 inputs=$2 started=$SECONDS
  if [[ -e $backends/bin/$name && $(cat "$backends/stamps/$name" 2>/dev/null) == "$inputs" ]]; then
    say "$name is up to date"
    return
  fi
  require_space
  say "building $name (takes minutes the first time)"
  "build_${name//-/_}"
  echo "$inputs" >"$backends/stamps/$name" # written last, so that an interrupted build is repeated
  say "built $backends/bin/$name in $((SECONDS - started)) s"
}

require_space() {
  local folder free
  folder=$(go env GOCACHE)
  mkdir -p "$folder"
  free=$(df -Pm "$folder" | awk 'NR == 2 { print $4 }')
  ((free >= free_mib)) || fail "a build needs up to $free_mib MiB, and the disk of $folder has $free MiB left"
}

build_otelcol() {
  local log="$backends/otelcol.log"
  # The builder itself passes -trimpath and -ldflags "-s -w". Its output is shown only if it fails.
  (go_build run "go.opentelemetry.io/collector/cmd/builder@v$COLLECTOR_VERSION" --config "$config/builder.yaml") >"$log" 2>&1 ||
    fail "the Collector did not build, see $log: $(tail -n 5 "$log")"
  mv "$backends/build/otelcol" "$backends/bin/otelcol"
  rm -rf "$backends/build" "$log"
}

build_jaeger() {
  go_build -C "$config/jaeger" build -trimpath -ldflags "-s -w" -o "$repository/$backends/bin/jaeger" \
    github.com/jaegertracing/jaeger/cmd/jaeger
}

build_victoria_logs() { go_install "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs@v$VICTORIALOGS_VERSION"; }

build_prometheus() { go_install "github.com/prometheus/prometheus/cmd/prometheus@v$PROMETHEUS_MODULE_VERSION" "$without_clouds"; }

build_promtool() { go_install "github.com/prometheus/prometheus/cmd/promtool@v$PROMETHEUS_MODULE_VERSION" "$without_clouds"; }

build_kustomize() { go_install "sigs.k8s.io/kustomize/kustomize/v5@v$KUSTOMIZE_VERSION"; }

# The specification publishes its schema as a part of this Go module.
build_compose_schema() {
  local module
  module=$(go_build mod download -json "github.com/compose-spec/compose-go/v2@v$COMPOSE_MODULE_VERSION" |
    sed -n 's/^[[:space:]]*"Dir": "\(.*\)",\{0,1\}$/\1/p')
  install -m 644 "$module/schema/compose-spec.json" "$backends/bin/compose-schema"
}

install_node_packages() {
  if command -v npm >/dev/null; then
    install_backend node_modules "${node_packages[*]}"
  else
    say "there is no 'npm' in PATH: the tests that check queries, dashboards and types will be skipped"
  fi
}

build_node_modules() {
  rm -rf "$backends/bin/node_modules"
  limit_time npm install --prefix "$backends/bin" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund \
    --loglevel=error "${node_packages[@]}" >/dev/null || fail "npm could not install the packages: ${node_packages[*]}"
}

install_kafka() {
  if has_java; then
    install_backend kafka "$(cksum "$config/kafka/pom.xml")"
  else
    say "there are no Java $oldest_java or newer and Maven: there is no Kafka, which only 'make stack-kafka' needs"
  fi
}

# Kafka is a folder of Java libraries. It is put into its place when it is complete.
build_kafka() {
  local folder="$repository/$backends/build/kafka" output
  rm -rf "$folder"
  output=$(limit_time mvn --batch-mode --quiet --strict-checksums --file "$config/kafka/pom.xml" \
    dependency:copy-dependencies -DoutputDirectory="$folder" </dev/null) || fail "Maven could not copy Kafka: $output"
  rm -rf "$backends/bin/kafka"
  mv "$folder" "$backends/bin/kafka"
}

# go_install PACKAGE@VERSION [FLAG]: builds a program whose module has no replace. Its name is the package's last part.
go_install() {
  GOBIN="$repository/$backends/bin" go_build install -trimpath -ldflags "-s -w" ${2:+"$2"} "$1"
}

# Do not stamp the programs with the state of this repository, and ignore a Go workspace of the user.
go_build() {
  GOFLAGS="$(go env GOFLAGS) -buildvcs=false" GOWORK=off limit_time go "$@" ||
    fail "the build failed, or was ended after $longest_build: go $*"
}

limit_time() {
  # macOS has no `timeout`.
  if command -v timeout >/dev/null; then
    timeout --kill-after=10s "$longest_build" "$@"
  else
    "$@"
  fi
}

main "$@"
