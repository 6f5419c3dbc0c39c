"""Prints the seconds of a step of the game, plain and private, and the largest memory, as JSON."""

from __future__ import annotations

import json
import multiprocessing
import resource
import tempfile
import time
from functools import partial
from pathlib import Path

STEPS = 2
PRIVATE = {"dp.clip_norm": 1.0, "dp.noise_multiplier": 1.0}


def measure(values: dict[str, float], folder: str) -> dict[str, float]:
    """Return seconds per step and peak memory of a process that does nothing else."""
    import torch

    from anon_tune.clips import open_clips
    from anon_tune.methods import build_anonymizer, make_recipe, trainer_of

    torch.set_num_threads(1)
    clips = open_clips(folder)
    recipe = make_recipe({"anonymizer.pretrain_steps": 0, "training.warmup_steps": 0, **values})
    sizes = len(clips.actions), len(clips.attributes)
    build = partial(build_anonymizer, recipe)
    trainer = trainer_of(recipe)(recipe, build, clips.split("train"), *sizes, torch.device("cpu"))
    trainer.train_until(1)
    start = time.process_time()
    trainer.train_until(1 + STEPS)
    seconds = (time.process_time() - start) / STEPS
    return {"cpu_s": round(seconds, 3), "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def main() -> None:
    """Measure both in processes of their own."""
    from anon_tune.clips import make_avatars

    with tempfile.TemporaryDirectory() as scratch:
        make_avatars(Path(scratch) / "clips", num_train=96, num_val=8, num_test=8)
        context = multiprocessing.get_context("spawn")
        found = {}
        for name, values in (("plain", {}), ("private", PRIVATE)):
            with context.Pool(1) as pool:
                found[name] = pool.apply(measure, (values, str(Path(scratch) / "clips")))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
