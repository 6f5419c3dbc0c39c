"""Does reading batches ahead pay, if the clips are not in memory? One JSON object.

Writes a store of random clips, and trains on it in turns with and without ``training.read_ahead``, each time in a new
process after the pages of the store were dropped from the system's cache (`posix_fadvise`). So every clip comes from
disk, as from a store that is larger than memory. Every process reads the same batches; ``read_bytes`` is what the
system then read from disk. The networks are small, so that reading has a share of the time that can be seen; ``read_s``
is the time of reading the same batches without training.

    python benchmarks/reading_ahead.py --clips 1500 --rounds 3
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from anon_tune.clips import open_clips
from anon_tune.clips.labels import Labels
from anon_tune.clips.store import StoreWriter
from anon_tune.methods import build_anonymizer, make_recipe
from anon_tune.training import Trainer

SHAPE = (16, 112, 112, 3)
GAME = {
    "anonymizer.network": "unet_small",
    "anonymizer.base_channels": 4,
    "anonymizer.pretrain_steps": 0,
    "training.warmup_steps": 0,
    "training.num_branch_updates": 3,
    "training.batch_clips": 8,
    "training.crop": 0.8,
    "training.flip": True,
}


def write_store(folder: Path, num_clips: int) -> None:
    """Write clips of random pixels, with labels that a game can be trained on."""
    rng = np.random.default_rng(0)
    with StoreWriter(folder, SHAPE) as writer:
        for at in range(num_clips):
            split = "train" if at < num_clips - 8 else "val" if at < num_clips - 4 else "test"
            labels = Labels(f"clip-{at}", "", split, f"{split}-{at % 4}", f"action-{at % 3}", (at % 2 == 0,))
            writer.add(labels, rng.integers(0, 256, SHAPE, dtype=np.uint8))
        writer.finish(("attribute",), 25.0, "random")


def drop_pages(store: Path) -> None:
    """Let the system forget the frames of a store that no process has open."""
    file = os.open(store / "frames.npy", os.O_RDONLY)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)


def bytes_from_disk() -> int:
    """Return the bytes that this process made the system read from disk."""
    lines = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(lines["read_bytes"])


def one_pass(store: Path, ahead: int, steps: int, trains: bool) -> dict[str, float]:
    """Train some steps, or only read their batches, and return the seconds."""
    clips = open_clips(store)
    recipe = make_recipe({**GAME, "training.read_ahead": ahead, "training.num_steps": steps})
    sizes = len(clips.actions), len(clips.attributes)
    cpu = torch.device("cpu")
    trainer = Trainer(recipe, lambda: build_anonymizer(recipe), clips.split("train"), *sizes, cpu)
    before = bytes_from_disk()
    start, cpu_start = time.perf_counter(), time.process_time()
    if trains:
        trainer.train_until(steps)
    else:
        for at in range(steps * 4):
            trainer.batches.sampler.stored(at)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "read_bytes": bytes_from_disk() - before}


def in_new_process(store: Path, ahead: int, steps: int, *more: str) -> dict[str, float]:
    """Run `one_pass` in a new process, after the pages were dropped."""
    drop_pages(store)
    command = [sys.executable, __file__, "--store", str(store), "--ahead", str(ahead), "--steps", str(steps), *more]
    found: dict[str, float] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=1500, help="clips of 0.6 MB")
    parser.add_argument("--steps", type=int, default=40, help="steps of four batches of 8 clips")
    parser.add_argument("--ahead", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--store", type=Path, help="only run one pass on this store")
    parser.add_argument("--only-read", action="store_true")
    args = parser.parse_args()
    if args.store:
        print(json.dumps(one_pass(args.store, args.ahead, args.steps, not args.only_read)))
        return
    passes: dict[str, list[dict[str, float]]] = {"without": [], "with": [], "reading": []}
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "random"
        write_store(store, args.clips)
        for _ in range(args.rounds):
            passes["without"].append(in_new_process(store, 0, args.steps))
            passes["with"].append(in_new_process(store, args.ahead, args.steps))
            passes["reading"].append(in_new_process(store, 0, args.steps, "--only-read"))
        size = (store / "frames.npy").stat().st_size
    middle = {name: statistics.median(one["seconds"] for one in of) for name, of in passes.items()}
    result: dict[str, Any] = {
        "ratio": middle["without"] / middle["with"],
        "seconds": middle,
        "read_s": middle["reading"],
        "store_bytes": size,
        "read_ahead": args.ahead,
        "passes": passes,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
