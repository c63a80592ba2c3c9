#!/bin/sh
# Cargo's runner for boards with a debug probe: `run-probe.sh BOARD IMAGE` flashes the image and opens
# the console. The model file is named by QDLLM_MODEL; without it the models on the board stay.
set -eu
board=$1
image=$(realpath "$2")
if [ -n "${QDLLM_MODEL:-}" ]; then
    model=$(realpath "$QDLLM_MODEL")
    set -- --model "$model"
else
    set --
fi
# These tools belong to the host's workspace: its folder decides toolchain and target.
cd "$(dirname "$0")/../.."
unset RUSTUP_TOOLCHAIN CARGO_BUILD_TARGET
hw() {
    cargo run --quiet --release --package qdllm-tools --bin qdllm-hw -- "$@"
}
hw flash --board "$board" --firmware "$image" "$@"
if [ -n "${QDLLM_PORT:-}" ]; then
    exec cargo run --quiet --release --package qdllm-tools --bin qdllm-hw -- board --port "$QDLLM_PORT" console
fi
echo "flashed; for the console name the board's serial port: QDLLM_PORT=/dev/ttyACM0 cargo run --release" >&2
