#!/usr/bin/env bash
# Asks a running server, TF Serving or `jump-tf serve`, and fails on the first
# wrong answer. Run by us against the embedded server with curl; grpcurl with a
# stand-in only, TF Serving never.
#
#   serving/deploy/smoke.sh [HOST [REST_PORT [GRPC_PORT [MODEL]]]]
#
# Needs curl, and for the gRPC half grpcurl; without it, that half is left out
# and said so. TF Serving has no reflection: it needs PROTOSET, a file that
#   python -m serving.deploy.protoset FILE
# writes.
set -euo pipefail

host=${1:-127.0.0.1}
rest=http://$host:${2:-8501}
grpc=$host:${3:-8500}
model=${4:-jump}
session='{"items": [["no such item", ""]], "dwell_seconds": [[12, 0]],
  "elapsed_seconds": [3]}'

fail() {
  echo "smoke: $1" >&2
  exit 1
}

# expect WHAT CODE WORDS... -- CURL ARGUMENTS: the status and words of a body.
expect() {
  local what=$1 code=$2 body words=()
  shift 2
  while [ "$1" != -- ]; do
    words+=("$1")
    shift
  done
  shift
  body=$(curl -sS --max-time 30 -w '\n%{http_code}' "$@") || fail "$what"
  [ "${body##*$'\n'}" = "$code" ] || fail "$what: not $code but $body"
  for word in "${words[@]}"; do
    [[ $body == *"$word"* ]] || fail "$what: no $word in $body"
  done
  echo "ok: $what"
}

expect "the model is available" 200 AVAILABLE -- "$rest/v1/models/$model"
expect "its signatures are told" 200 serving_default dwell_seconds -- \
  "$rest/v1/models/$model/metadata"
expect "a session is answered" 200 outputs probabilities items -- \
  -d "{\"inputs\": $session}" "$rest/v1/models/$model:predict"
expect "and by the row" 200 predictions probabilities -- \
  -d '{"instances": [{"items": [""], "dwell_seconds": [0],
    "elapsed_seconds": 0}]}' "$rest/v1/models/$model:predict"
expect "a request without its inputs is refused" 400 error \
  "Missing named input" -- \
  -d '{"inputs": {"items": [[""]]}}' "$rest/v1/models/$model:predict"
expect "a model that is not there is not found" 404 \
  "Servable not found for request: Latest(no-such-model)" -- \
  -d "{\"inputs\": $session}" "$rest/v1/models/no-such-model:predict"
expect "requests are counted" 200 ":tensorflow:serving:request_count" -- \
  "$rest/monitoring/prometheus/metrics"

if ! command -v grpcurl > /dev/null; then
  echo "left out: gRPC, there is no grpcurl"
  exit 0
fi
protos=()
[ -z "${PROTOSET:-}" ] || protos=(-protoset "$PROTOSET")

# call METHOD REQUEST: the response as JSON, or the status.
call() {
  grpcurl -plaintext -max-time 30 "${protos[@]}" -d "$2" "$grpc" \
    "tensorflow.serving.$1" 2>&1
}

# "no such item" and no text at all, in base64.
predict='{"model_spec": {"name": "MODEL"}, "inputs": {
  "items": {"dtype": "DT_STRING",
    "tensor_shape": {"dim": [{"size": 1}, {"size": 2}]},
    "string_val": ["bm8gc3VjaCBpdGVt", ""]},
  "dwell_seconds": {"dtype": "DT_FLOAT",
    "tensor_shape": {"dim": [{"size": 1}, {"size": 2}]},
    "float_val": [12, 0]},
  "elapsed_seconds": {"dtype": "DT_FLOAT",
    "tensor_shape": {"dim": [{"size": 1}]}, "float_val": [3]}}}'

answer=$(call ModelService/GetModelStatus \
  "{\"model_spec\": {\"name\": \"$model\"}}") || fail "GetModelStatus: $answer"
[[ $answer == *AVAILABLE* ]] || fail "GetModelStatus: $answer"
echo "ok: GetModelStatus"
answer=$(call PredictionService/Predict "${predict/MODEL/$model}") \
  || fail "Predict: $answer"
[[ $answer == *probabilities* ]] || fail "Predict: $answer"
echo "ok: Predict"
if answer=$(call PredictionService/Predict "${predict/MODEL/no-such-model}"); then
  fail "Predict of no such model was answered: $answer"
fi
[[ $answer == *"Servable not found for request: Latest(no-such-model)"* ]] \
  || fail "Predict of no such model: $answer"
echo "ok: a model that is not there is not found"
