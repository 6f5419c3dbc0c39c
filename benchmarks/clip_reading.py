"""Clips from the store against decoding them with PyAV: batches of an epoch, and the import itself.

    python benchmarks/clip_reading.py ixmas --root ../shared/data/ixmas --size 48x64

Both sides of a line run in turns, on the same files, frames and sizes. What is compared with is the plain loop
that people write: open, decode, resize the wanted frames, close; it checks nothing. CPU seconds of what
runs in one process are given too, since a busy machine moves wall seconds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from anon_tune.datasets.decode import ClipForm, shown_frames
from anon_tune.datasets.readers import import_listing, read_data_set
from anon_tune.datasets.side_by_side import in_processes


def plain_decode(path: Path, form: ClipForm) -> NDArray[np.uint8]:
    """Decode one clip as a plain loop does, (T, H, W, 3)."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    shown = [frames[at] for at in shown_frames(len(frames), form.num_frames)]
    size = {"width": form.width, "height": form.height}
    return np.stack([frame.reformat(**size, format="rgb24", interpolation="AREA").to_ndarray() for frame in shown])


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return how long some work takes: wall seconds, and CPU seconds of this process."""
    start, before = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - before


def spread(rates: list[float]) -> dict[str, float]:
    """Return median, lowest and highest."""
    return {"median": statistics.median(rates), "lowest": min(rates), "highest": max(rates)}


def main() -> None:
    """Measure and print JSON."""
    import torch  # not at the top: every process that decodes reads this file

    from anon_tune.clips import ClipSampler, open_clips
    from anon_tune.clips.augment import to_unit

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="data set, as in anon-tune clips import")
    parser.add_argument("--root", required=True)
    parser.add_argument("--labels")
    parser.add_argument("--size", default="112x112", metavar="HxW")
    parser.add_argument("--num-frames", type=int, default=16)
    parser.add_argument("--batch-clips", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    height, width = map(int, args.size.split("x"))
    listing = read_data_set(args.name, args.root, args.labels, num_frames=args.num_frames)
    form = ClipForm(args.num_frames, height, width)
    paths = [listing.root / one.file for one in listing.samples if one.file]
    workers = {"one process": in_processes(1), "a process a CPU": in_processes()}
    imports: dict[str, list[float]] = {name: [] for name in ("plain loop", *workers)}
    costs: dict[str, list[float]] = {"plain loop": [], "one process": []}
    epochs: dict[str, list[float]] = {"decoded with PyAV": [], "from the store": [], "from the store, cropped": []}

    with tempfile.TemporaryDirectory() as scratch:
        store = Path(scratch) / "store"

        def import_with(name: str) -> None:
            shutil.rmtree(store, ignore_errors=True)
            import_listing(listing, height, width, store, partial=True, decode_with=workers[name])

        def plain_loop() -> None:
            np.save(Path(scratch) / "plain", np.stack([plain_decode(path, form) for path in paths]))

        for _ in range(args.rounds):
            for name, rates in imports.items():
                wall, cpu = seconds(plain_loop if name == "plain loop" else lambda name=name: import_with(name))
                rates.append(len(paths) / wall)
                if name in costs:
                    costs[name].append(len(paths) / cpu)

        train = open_clips(store).split("train")
        train_paths = [listing.root / name for name in train.ids]
        num_batches = -(-len(train) // args.batch_clips)

        def decode_epoch() -> None:
            order = np.random.default_rng(0).permutation(len(train_paths))
            for start in range(0, len(order), args.batch_clips):
                to_unit(
                    np.stack([plain_decode(train_paths[at], form) for at in order[start : start + args.batch_clips]])
                )

        for _ in range(args.rounds):
            epochs["decoded with PyAV"].append(len(train) / seconds(decode_epoch)[0])
            for name, crop in (("from the store", 1.0), ("from the store, cropped", 0.7)):
                sampler = ClipSampler(train, args.batch_clips, 0, crop=crop, flip=crop < 1)
                took, _ = seconds(lambda sampler=sampler: [sampler.batch(step) for step in range(num_batches)])
                epochs[name].append(num_batches * args.batch_clips / took)

    ratio = statistics.median(epochs["from the store"]) / statistics.median(epochs["decoded with PyAV"])
    document = {
        "clips": {"imported": len(paths), "train": len(train), "shape": form.shape},
        "import, clips a second": {name: spread(rates) for name, rates in imports.items()},
        "import, clips a CPU second": {name: spread(rates) for name, rates in costs.items()},
        "batches, clips a second": {name: spread(rates) for name, rates in epochs.items()},
        "store against decoding": ratio,
    }
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
