"""How fast is a step of the game on a GPU, and do two trials share it? JSON lines.

The networks are those of arXiv:2504.14301 (UNet++ with a ResNet-18 encoder, R3D-18, ResNet-50) on random clips of 16
frames. Every line has the seconds of a step, images per second, floating-point operations per second, the share of the
rate that the GPU reaches in a large matrix product in the same numbers, and the peak memory. The last line compares two
processes at the same time with one alone. The I3D of the paper stands in a line of its own.

    python benchmarks/gpu_steps.py
    python benchmarks/gpu_steps.py --device cpu --sides 32 --clips 2 --steps 1
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from anon_tune.clips import Clips, make_avatars
from anon_tune.methods import build_anonymizer, make_recipe
from anon_tune.training import Trainer

UNETPLUSPLUS = "smp:unetplusplus-resnet18"


def build(clips: Clips, args: argparse.Namespace, precision: str, utility: str) -> Trainer:
    """Return a trainer of the game that is measured."""
    has_smp = find_spec("segmentation_models_pytorch") is not None
    recipe = make_recipe(
        {
            "anonymizer.network": UNETPLUSPLUS if has_smp else "unet",
            "anonymizer.pretrain_steps": 0,
            "utility.network": utility,
            "privacy.network": "resnet50",
            "training.batch_clips": args.clips,
            "training.num_branch_updates": 1,
            "training.warmup_steps": 0,
            "training.num_steps": 10_000,
            "training.precision": precision,
            "training.channels_last": True,
            "training.fused": True,
            "training.read_ahead": 4,
            "training.log_every": 10,
        }
    )
    sizes = len(clips.actions), len(clips.attributes)
    split, device = clips.split("train"), torch.device(args.device)
    return Trainer(recipe, lambda: build_anonymizer(recipe), split, *sizes, device)


def wait(device: str) -> None:
    """Wait until the GPU has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def seconds_of(trainer: Trainer, steps: int, device: str) -> float:
    """Return the mean seconds of a step."""
    wait(device)
    start = time.perf_counter()
    trainer.train_until(trainer.step + steps)
    wait(device)
    return (time.perf_counter() - start) / steps


def matrix_rate(kind: torch.dtype, device: str, side: int) -> float:
    """Return the floating-point operations per second of a product of two random matrices."""
    a, b = (torch.randn(side, side, dtype=kind, device=device) for _ in range(2))
    for _ in range(2):
        a @ b
    wait(device)
    start = time.perf_counter()
    for _ in range(10):
        a @ b
    wait(device)
    return 10 * 2 * side**3 / (time.perf_counter() - start)


def measured(clips: Clips, args: argparse.Namespace, precision: str, utility: str, rate: float) -> dict[str, Any]:
    """Return what one line says."""
    on_gpu = args.device.startswith("cuda")
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    trainer = build(clips, args, precision, utility)
    trainer.train_until(2)
    with FlopCounterMode(display=False) as counted:
        trainer.train_until(3)
    seconds = seconds_of(trainer, args.steps, args.device)
    operations = counted.get_total_flops() / seconds
    return {
        "anonymizer": trainer.recipe.anonymizer.network,
        "utility": utility,
        "side": clips.shape[1],
        "precision": precision,
        "step_s": seconds,
        "images_per_s": 2 * args.clips * clips.shape[0] / seconds,
        "tflops": operations / 1e12,
        "share_of_matrix_rate": operations / rate,
        "peak_memory_bytes": torch.cuda.max_memory_allocated() if on_gpu else None,
    }


def made(folder: Path, side: int) -> Clips:
    """Return a small store of clips."""
    size = {"num_train": 24, "num_val": 24, "num_test": 24, "num_frames": 16}
    return make_avatars(folder / f"avatars-{side}", height=side, width=side, **size)


def shared(args: argparse.Namespace) -> dict[str, Any]:
    """Return the images per second of two processes together, beside those of one alone."""
    command = [sys.executable, __file__, "--alone", "--device", args.device, "--clips", str(args.clips)]
    command += ["--steps", str(3 * args.steps), "--sides", str(args.sides[0])]

    def rate(num: int) -> float:
        begun = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(num)]
        return sum(float(process.communicate()[0]) for process in begun)

    one, two = rate(1), rate(2)
    return {"images_per_s_of_one_trial": one, "images_per_s_of_two_trials": two, "gain": two / one}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sides", type=int, nargs="+", default=[112, 224])
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--alone", action="store_true", help="only print the images per second of one trial")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.alone:
            trainer = build(made(Path(folder), args.sides[0]), args, "bfloat16", "r3d_18")
            trainer.train_until(3)
            print(2 * args.clips * 16 / seconds_of(trainer, args.steps, args.device))
            return
        side = 8192 if args.device.startswith("cuda") else 1024
        kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16}
        rates = {name: matrix_rate(kind, args.device, side) for name, kind in kinds.items()}
        name = torch.cuda.get_device_name() if args.device.startswith("cuda") else "CPU"
        about = {"device": name, "torch": torch.__version__, "cuda": torch.version.cuda}
        print(json.dumps({**about, "matrix_tflops": {one: rate / 1e12 for one, rate in rates.items()}}))
        if find_spec("torchvision") is None:
            print("skipped: steps of the game (no package torchvision)")
            return
        for at in args.sides:
            clips = made(Path(folder), at)
            for precision, rate in rates.items():
                for utility in ("r3d_18", "i3d_r50"):
                    try:
                        print(json.dumps(measured(clips, args, precision, utility, rate)))
                    except torch.cuda.OutOfMemoryError:
                        print(f"skipped: {utility} at {at} x {at} in {precision} (the GPU has too little memory)")
        print(json.dumps(shared(args)))


if __name__ == "__main__":
    main()
