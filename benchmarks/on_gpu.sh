#!/usr/bin/env bash
# Tests and measures this package on one GPU, without a network, in at most eight minutes. Prints JSON lines.
#
#     benchmarks/on_gpu.sh [PYTHON]
#
# PYTHON has torch 2.11 or later; python3 by default. The package itself is taken from this checkout. What is not installed
# is left out with a line that says so. Without a GPU, nothing is run.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${1:-python3}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
deadline=$((SECONDS + 480))

skip() { echo "skipped: $1"; }
has() { "$python" -c "import $1" 2>/dev/null; }
# Runs the rest of its arguments for at most the given seconds, and for no longer than the eight minutes allow.
within() {
  local seconds=$1 left=$((deadline - SECONDS))
  shift
  if ((left < 10)); then skip "$* (the eight minutes are over)"; return; fi
  timeout "$((seconds < left ? seconds : left))" "$@"
  local code=$?
  if ((code == 124)); then skip "the rest of $* (its time is over)"; elif ((code)); then echo "failed with $code: $*"; failed=1; fi
}

failed=0
for needed in torch pydantic numpy pyarrow safetensors; do
  has "$needed" || { skip "everything ($python has no package $needed)"; exit 0; }
done
"$python" -c "import sys, torch; sys.exit(not torch.cuda.is_available())" ||
  { skip "everything (torch of $python sees no GPU; nothing was run)"; exit 0; }
has torchvision || skip "R3D-18 and ResNet-50 (no package torchvision)"
has segmentation_models_pytorch || skip "UNet++ (no package segmentation_models_pytorch); the U-Net stands in for it"

if has pytest; then
  within 150 "$python" -m pytest --noconftest -p no:cacheprovider -q tests/integration/test_gpu.py
else
  skip "tests on the GPU (no package pytest)"
fi
within 240 "$python" benchmarks/gpu_steps.py
if has torchvision; then
  within 90 "$python" benchmarks/trainer_speed.py --device cuda --side 112 --frames 16 --rounds 10
fi
exit $failed
