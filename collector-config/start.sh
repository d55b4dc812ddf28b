#!/usr/bin/env bash
# Replace this shell by one of the programs that `make backends` built, with its configuration and on 127.0.0.1 alone:
#   start.sh otelcol|kafka-producer|kafka-consumer|jaeger|victoria-logs|prometheus|kafka [ARGUMENT...]
# Arguments for otelcol take the place of its configuration, so that overlays can be named: --config A --config B.
# kafka-producer and kafka-consumer are otelcol with these overlays of single-node.yaml.
set -euo pipefail

config=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
backends=$(dirname "$config")/.backends
bin=${HELIOGRAPH_BACKENDS:-$backends/bin}

readonly programs="otelcol, kafka-producer, kafka-consumer, jaeger, victoria-logs, prometheus or kafka"

program=${1:?which program? $programs}
shift

case $program in
  otelcol)
    (($#)) || set -- --config "$config/otelcol/single-node.yaml"
    export HELIOGRAPH_COLLECTOR_QUEUE=${HELIOGRAPH_COLLECTOR_QUEUE:-$backends/data/otelcol}
    export HELIOGRAPH_COLLECTOR_FILES=${HELIOGRAPH_COLLECTOR_FILES:-$backends/telemetry}
    export GOMEMLIMIT=410MiB # 80 % of the memory limiter's limit_mib
    exec "$bin/otelcol" "$@"
    ;;
  kafka-producer | kafka-consumer)
    exec "$0" otelcol --config "$config/otelcol/single-node.yaml" --config "$config/otelcol/$program.yaml" "$@"
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
  kafka)
    # server.properties reads these.
    export HELIOGRAPH_KAFKA_PORT=${HELIOGRAPH_KAFKA_PORT:-9092}
    export HELIOGRAPH_KAFKA_CONTROLLER_PORT=${HELIOGRAPH_KAFKA_CONTROLLER_PORT:-9093}
    export HELIOGRAPH_KAFKA_DATA=${HELIOGRAPH_KAFKA_DATA:-$backends/data/kafka}
    java=(java -Xmx512m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$bin/kafka/*")
    # The cluster's id is "heliograph-kafka" in base64. A directory that has one is not formatted again.
    "${java[@]}" kafka.tools.StorageTool format --ignore-formatted --cluster-id aGVsaW9ncmFwaC1rYWZrYQ \
      --config "$config/kafka/server.properties"
    exec "${java[@]}" kafka.Kafka "$config/kafka/server.properties" "$@"
    ;;
  *)
    echo "start.sh: no program '$program': $programs" >&2
    exit 2
    ;;
esac
