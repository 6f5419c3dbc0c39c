"""Do the papers' networks run here from the first command to the last? On made-up clips of the right shapes and labels.

Makes a store with the shape, the windows, the private attributes and, for the spaces that need them, the stills of a
published set, but with few clips and actions. Then it runs the commands with every effort set by ``--set``, and prints
one JSON object: seconds and peak memory of each command (the largest process, and all processes together).

    python benchmarks/at_real_size.py ucf101_vispr
    python benchmarks/at_real_size.py ucf101_vispr --trials 2 --num-train 16 --verbs study audit export anonymize \
        --set utility.network=torchvision:r3d_18 --set evaluation.classifier=torchvision:r3d_18
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch

from anon_tune.clips.labels import Labels
from anon_tune.clips.manifest import WindowForm
from anon_tune.clips.store import StoreWriter
from anon_tune.datasets.readers.vispr import SUBSETS
from anon_tune.datasets.readers.vp import ATTRIBUTES

EFFORT = {
    "anonymizer.pretrain_steps": 1,
    "training.warmup_steps": 1,
    "training.num_steps": 2,
    "training.batch_clips": 2,
    "training.read_ahead": 0,
    "evaluation.batch_clips": 2,
    "evaluation.num_bootstraps": 10,
    "evaluation.rung.attacker_steps": 1,
    "evaluation.rung.further_steps": 1,
    "evaluation.rung.classifier_steps": 1,
    "evaluation.full.attacker_steps": 1,
    "evaluation.full.further_steps": 1,
    "evaluation.full.classifier_steps": 1,
}
AUDIT_EFFORT = {
    "num_seeds": 1,
    "max_steps": 2,
    "check_steps": 1,
    "classifier_steps": 1,
    "reconstruction_steps": 1,
    "num_bootstraps": 10,
    "batch_clips": 2,
    "attackers": "timm:resnet50,motion",
}


@dataclass(frozen=True)
class Took:
    """What a command took: seconds of wall time, and peaks of resident memory in MiB."""

    seconds: float
    largest_process_mib: int
    all_processes_mib: int


def write_store(
    path: Path, attributes: tuple[str, ...], frames: int, size: int, windows: int, counts: list[int]
) -> None:
    """Write a store of noise with both values of every attribute and at least two actions in every split."""
    rng = np.random.default_rng(0)
    form = WindowForm(frames * windows, frames) if windows > 1 else None
    with StoreWriter(path, (frames, size, size, 3), windows=form) as writer:
        for split, count in zip(("train", "val", "test"), counts, strict=True):
            for at in range(count):
                private = tuple((at + k) % 2 == 0 for k in range(len(attributes)))
                labels = Labels(f"{split}-{at}", "", split, f"{split}-{at}", f"action-{at % 2}", private)
                small = rng.integers(0, 256, (frames * windows, 8, 8, 3), np.uint8)
                writer.add(labels, small.repeat(size // 8, 1).repeat(size // 8, 2), (0, frames * windows))
        writer.finish(attributes, 12.5, "noise")


def write_video(path: Path, num_frames: int = 24) -> None:
    """Write a video of moving stripes, 160 x 120."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for at in range(num_frames):
            row = ((np.arange(160) + 4 * at) % 32 * 8).astype(np.uint8)
            image = np.broadcast_to(row[None, :, None], (120, 160, 3))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())


def resident(pid: int) -> Iterator[int]:
    """Yield the bytes of resident memory of a process and of those that it began, on Linux."""
    with suppress(OSError):  # it has ended
        yield int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from resident(int(child))


def run(command: list[str]) -> Took:
    """Run a command of ``anon-tune`` and watch the memory of its processes."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "anon_tune", *command], stdout=subprocess.DEVNULL)
    peaks, ended = [0, 0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            held = list(resident(process.pid)) or [0]
            peaks[:] = max(peaks[0], *held), max(peaks[1], sum(held))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    ended.set()
    watcher.join()
    if code and (command[0], code) != ("audit", 1):  # attackers of so few steps fail the checks of an audit
        raise SystemExit(f"anon-tune {' '.join(command)} ended with {code}")
    return Took(round(time.monotonic() - began, 1), peaks[0] >> 20, peaks[1] >> 20)


def commands(args: argparse.Namespace, home: Path) -> dict[str, list[str]]:
    """Return the commands by verb."""
    study, clips, file = str(home / "study"), str(home / "clips"), str(home / "anonymizer.safetensors")
    chosen = {name: str(value) for name, value in EFFORT.items()} | dict(one.split("=", 1) for one in args.set)
    settings = [word for name, value in chosen.items() for word in ("--set", f"{name}={value}")]
    stills = ["--stills", str(home / "stills")] if args.space.endswith("_vispr") else []
    audit = [word for name, value in AUDIT_EFFORT.items() for word in ("--set", f"{name}={value}")]
    return {
        "study": ["study", args.space, "--clips", clips, *stills, "--out", study, "--trials", str(args.trials),
                  "--no-rungs", "--no-tensorboard", "--max-concurrent", "1", *settings],
        "audit": ["audit", study, "--trial", "0000", "-o", str(home / "certificate.json"), *audit],
        "export": ["export", study, "--trial", "0000", "-o", file],
        "anonymize": ["anonymize", str(home / "in.mp4"), "-o", str(home / "out.mp4"), "--file", file],
    }  # fmt: skip


def main() -> None:
    """Make the stores, run the commands and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", help="name of a search space that we ship")
    parser.add_argument("--size", type=int, default=112, help="height and width of a frame, a multiple of 8")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--windows", type=int, default=2, help="windows of a clip in the store")
    parser.add_argument("--num-train", type=int, default=4, help="training clips; half as many validate and test")
    parser.add_argument("--trials", type=int, default=1)
    parser.add_argument("--verbs", nargs="+", default=["study"], choices=["study", "audit", "export", "anonymize"])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="as for 'anon-tune study'")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="anon-tune-") as scratch:
        home = Path(scratch)
        counts = [args.num_train, max(2, args.num_train // 2), max(2, args.num_train // 2)]
        write_store(home / "clips", ATTRIBUTES, args.frames, args.size, args.windows, counts)
        write_store(home / "stills", tuple(SUBSETS["vispr1"]), 1, args.size, 1, counts)
        write_video(home / "in.mp4")
        known = commands(args, home)
        took = {verb: vars(run(known[verb])) for verb in args.verbs}
    found = {"space": args.space, "clips": f"{args.windows} windows of {args.frames} x {args.size} x {args.size}",
             "num_clips": counts, "trials": args.trials, "took": took, "torch": torch.__version__,
             "python": platform.python_version(), "cpus": len(os.sched_getaffinity(0))}  # fmt: skip
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
