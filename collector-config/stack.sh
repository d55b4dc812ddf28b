#!/usr/bin/env bash
# Run the whole stack on 127.0.0.1, without containers, until Ctrl-C: stack.sh [--kafka] [COMMAND [ARGUMENT...]]
# The command is run once with the variables that send its telemetry to the stack. `make stack` runs the program of the demo.
# With --kafka there are two Collectors, and Kafka between them: one sends everything to Kafka, and the other reads it from there.
set -euo pipefail

config=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
backends=$(dirname "$config")/.backends

readonly config backends
readonly bin=${HELIOGRAPH_BACKENDS:-$backends/bin}
readonly logs=${HELIOGRAPH_BACKENDS_LOGS:-$backends/logs}
readonly otlp_port=${HELIOGRAPH_OTLP_HTTP_PORT:-4318}
readonly jaeger_port=${HELIOGRAPH_JAEGER_HTTP_PORT:-16686}
readonly victorialogs_port=${HELIOGRAPH_VICTORIALOGS_PORT:-9428}
readonly prometheus_port=${HELIOGRAPH_PROMETHEUS_PORT:-9090}
readonly kafka_port=${HELIOGRAPH_KAFKA_PORT:-9092}
readonly consumer_port=${HELIOGRAPH_KAFKA_CONSUMER_HEALTH_PORT:-13136}
readonly start_seconds=60 stop_seconds=15

kafka=
names=()
pids=()

main() {
  if [[ ${1-} == --kafka ]]; then
    kafka=yes
    shift
  fi
  trap stop_all EXIT
  trap 'exit 0' INT TERM
  mkdir -p "$logs"
  # The backends first, and the Collector that programs send to last; they stop in the opposite order.
  start jaeger "$jaeger_port"
  start victoria-logs "$victorialogs_port"
  start prometheus "$prometheus_port"
  if [[ $kafka ]]; then
    start kafka "$kafka_port"
    start kafka-consumer "$consumer_port"
    start kafka-producer "$otlp_port"
  else
    start otelcol "$otlp_port"
  fi
  (($# == 0)) || run_command "$@"
  print_places
  while all_run; do sleep 1; done
  exit 1
}

say() { printf 'stack: %s\n' "$*"; }

fail() {
  say "$*" >&2
  exit 1
}

# start PROGRAM PORT: starts a program, and waits until its port answers.
start() {
  local name=$1 port=$2 waited=0
  local executable=${name/#kafka-*/otelcol} # kafka-producer and kafka-consumer are Collectors
  [[ -e $bin/$executable ]] || fail "there is no $executable in $bin: run 'make backends'"
  ! answers "$port" || fail "port $port, which $name needs, is in use (README.md has the variables that change the ports)"
  "$config/start.sh" "$name" </dev/null >"$logs/$name.log" 2>&1 &
  names+=("$name")
  pids+=($!)
  until answers "$port"; do
    all_run || exit 1
    ((waited++ < start_seconds * 10)) || fail "$name did not answer on port $port within $start_seconds s, see $logs/$name.log"
    sleep 0.1
  done
  say "$name runs"
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Return 1, and print the end of its log, if a program has ended by itself.
all_run() {
  local each
  for each in "${!pids[@]}"; do
    if ! kill -0 "${pids[each]}" 2>/dev/null; then
      say "${names[each]} has ended; the end of $logs/${names[each]}.log:" >&2
      tail -n 5 "$logs/${names[each]}.log" >&2
      return 1
    fi
  done
}

run_command() {
  OTEL_SERVICE_NAME=${OTEL_SERVICE_NAME:-demo} OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$otlp_port \
    OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf NO_PROXY=127.0.0.1 "$@" || fail "the command failed: $*"
}

print_places() {
  cat <<END
stack: everything runs. Where to look:
  events     http://127.0.0.1:$victorialogs_port/select/vmui
  metrics    http://127.0.0.1:$prometheus_port
  traces     http://127.0.0.1:$jaeger_port/api/v3/services  (collector-config/README.md has more queries)
${kafka:+  topics     otlp_logs, otlp_spans and otlp_metrics in Kafka at 127.0.0.1:$kafka_port
}  logs       $logs
Programs send to it with
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$otlp_port OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
Ctrl-C stops everything.
END
}

stop_all() {
  local each
  trap '' INT TERM # a second Ctrl-C does not leave a program behind
  for ((each = ${#pids[@]} - 1; each >= 0; each--)); do
    stop "${pids[each]}"
  done
  ((${#pids[@]} == 0)) || say "everything has ended"
}

stop() {
  local waited=0
  kill "$1" 2>/dev/null || return 0
  while kill -0 "$1" 2>/dev/null; do
    ((waited++ < stop_seconds * 10)) || kill -KILL "$1" 2>/dev/null || true
    sleep 0.1
  done
}

main "$@"
