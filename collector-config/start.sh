#!/usr/bin/env bash
# Replace this shell by one of the programs that `make backends` built, with its configuration and on 127.0.0.1 alone:
#   start.sh otelcol|jaeger|victoria-logs|prometheus [ARGUMENT...]
# Arguments for otelcol take the place of its configuration, so that overlays can be named: --config A --config B.
set -euo pipefail

config=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
backends=$(dirname "$config")/.backends
bin=${HELIOGRAPH_BACKENDS:-$backends/bin}

program=${1:?which program? otelcol, jaeger, victoria-logs or prometheus}
shift

case $program in
  otelcol)
    (($#)) || set -- --config "$config/otelcol/single-node.yaml"
    export HELIOGRAPH_COLLECTOR_QUEUE=${HELIOGRAPH_COLLECTOR_QUEUE:-$backends/data/otelcol}
    export HELIOGRAPH_COLLECTOR_FILES=${HELIOGRAPH_COLLECTOR_FILES:-$backends/telemetry}
    export GOMEMLIMIT=410MiB # 80 % of the memory limiter's limit_mib
    exec "$bin/otelcol" "$@"
    ;;
  jaeger)
    exec "$bin/jaeger" --config "$config/jaeger/jaeger.yaml" "$@"
    ;;
  victoria-logs)
    set -a
    # shellcheck source=victorialogs/victorialogs.env
    . "$config/victorialogs/victorialogs.env"
    set +a
    exec "$bin/victoria-logs" -envflag.enable -envflag.prefix=VL_ \
      -httpListenAddr="127.0.0.1:${HELIOGRAPH_VICTORIALOGS_PORT:-9428}" \
      -storageDataPath="${HELIOGRAPH_VICTORIALOGS_DATA:-$backends/data/victoria-logs}" "$@"
    ;;
  prometheus)
    exec "$bin/prometheus" --config.file="$config/prometheus/prometheus.yaml" --web.enable-otlp-receiver \
      --enable-feature=exemplar-storage,otlp-deltatocumulative \
      --web.listen-address="127.0.0.1:${HELIOGRAPH_PROMETHEUS_PORT:-9090}" \
      --storage.tsdb.retention.time=30d \
      --storage.tsdb.path="${HELIOGRAPH_PROMETHEUS_DATA:-$backends/data/prometheus}" "$@"
    ;;
  *)
    echo "start.sh: no program '$program': otelcol, jaeger, victoria-logs or prometheus" >&2
    exit 2
    ;;
esac
