#!/bin/sh
# Cargo's runner for boards with a debug probe: `run-probe.sh BOARD IMAGE` flashes the image and opens
# the console. Three variables may be set: QDLLM_MODEL, the model file to flash with it (without it the
# models on the board stay); QDLLM_PORT, the board's serial port, for the console; QDLLM_HW, a qdllm-hw
# to use instead of the one that Cargo builds here.
set -eu
if [ $# -lt 2 ]; then
    echo "usage: run-probe.sh BOARD IMAGE" >&2
    exit 2
fi
board=$1
image=$(realpath "$2")
model=
if [ -n "${QDLLM_MODEL:-}" ]; then
    model=$(realpath "$QDLLM_MODEL")
fi
hw() {
    if [ -n "${QDLLM_HW:-}" ]; then
        "$QDLLM_HW" "$@"
    else
        cargo run --quiet --release --package qdllm-tools --bin qdllm-hw -- "$@"
    fi
}
# Cargo's tools belong to the host's workspace: its folder decides toolchain and target.
cd "$(dirname "$0")/../.."
unset RUSTUP_TOOLCHAIN CARGO_BUILD_TARGET
hw flash --board "$board" --firmware "$image" ${model:+--model "$model"}
if [ -n "${QDLLM_PORT:-}" ]; then
    hw board --port "$QDLLM_PORT" console
else
    echo "flashed; for the console name the board's serial port: QDLLM_PORT=/dev/ttyACM0 cargo run --release" >&2
fi
