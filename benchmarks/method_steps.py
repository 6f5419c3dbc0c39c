"""The cost of one training step of every trained method, beside unet_small in the game of ``adversarial``.

    python benchmarks/method_steps.py

CPU seconds on one thread, the shortest of several steps. Methods take turns, so that all meet the same other work.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from functools import partial
from pathlib import Path

import torch

from anon_tune.clips import make_avatars
from anon_tune.methods import build_anonymizer, make_recipe, trainer_of

METHODS = {
    "adversarial": {},
    "narrow": {},
    "penalty-features": {},
    "spact": {},
    "vita": {},
    "bdq": {},
    "ted-spad": {},
    "learned-lens": {},
    "wavelet": {},
    "wavelet, two levels": {"wavelet.levels": 2},
    "tokens": {},
    "tokens, predictor": {"tokens.score": "predictor"},
    "diffusion": {},
    "diffusion, guided": {"diffusion.guidance": 1.0},
}
NUM_TURNS = 6


def main() -> None:
    torch.set_num_threads(1)
    trainers = {}
    with tempfile.TemporaryDirectory() as folder:
        clips = make_avatars(Path(folder) / "avatars", num_train=32, num_val=24, num_test=24)
        for name, values in METHODS.items():
            recipe = make_recipe({"method": name.split(",")[0], "training.warmup_steps": 1, **values})
            sizes = len(clips.actions), len(clips.attributes)
            build = partial(build_anonymizer, recipe)
            trainer = trainer_of(recipe)(recipe, build, clips.split("train"), *sizes, torch.device("cpu"))
            trainer.train_until(1)  # with everything before the game
            trainers[name] = trainer
        best = dict.fromkeys(trainers, math.inf)
        for _ in range(NUM_TURNS):
            for name, trainer in trainers.items():
                start = time.process_time()
                trainer.train_until(trainer.step + 1)
                best[name] = min(best[name], time.process_time() - start)
    for name, trainer in trainers.items():
        weights = sum(weight.numel() for weight in trainer.anonymizer.parameters())
        row = {
            "method": name,
            "cpu_s": round(best[name], 3),
            "of_unet_small": round(best[name] / best["adversarial"], 2),
        }
        print(json.dumps({**row, "weights": weights}))


if __name__ == "__main__":
    main()
