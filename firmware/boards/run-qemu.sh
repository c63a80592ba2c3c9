#!/bin/sh
# Cargo's runner: hands an image to the QEMU launcher. The model file is named by QDLLM_MODEL.
set -eu
image=$(realpath "$1")
shift
if [ -n "${QDLLM_MODEL:-}" ]; then
    set -- --model "$(realpath "$QDLLM_MODEL")" "$@"
fi
# The launcher belongs to the host's workspace: its folder decides toolchain and target.
cd "$(dirname "$0")/.."
unset RUSTUP_TOOLCHAIN CARGO_BUILD_TARGET
exec cargo xtask qemu-run "$image" "$@"
