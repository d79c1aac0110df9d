#!/usr/bin/env bash
# Write the Python (and with protoc-gen-go on the PATH, the Go) code of the .proto files again:
#     PATH=.venv/bin:$PATH examples/proto/generate.sh
# Go plugins: go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12 google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
set -euo pipefail
cd "$(dirname "$0")/.."
python -m grpc_tools.protoc -I . --python_out . --grpc_python_out . proto/payment.proto proto/order.proto
if command -v protoc-gen-go >/dev/null && command -v protoc-gen-go-grpc >/dev/null; then
  python -m grpc_tools.protoc -I . \
    --go_out payment-go --go_opt module=example.com/payment-go \
    --go-grpc_out payment-go --go-grpc_opt module=example.com/payment-go proto/payment.proto
fi
