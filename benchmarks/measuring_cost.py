"""What does measuring cost, and what does anonymizing the clips once save?

Trains and measures a few trials of quickstart effort in this process, without Ray, and prints JSON: the share
of a trial's time that its rung score and its full score take; then, for each trial's anonymizer, all attackers
and the classifier of a full score trained and read twice, on clips anonymized once beforehand and on clips
anonymized whenever they are looked at.

    python benchmarks/measuring_cost.py --trials 3
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anon_tune.clips import Clips, ClipSet, make_avatars, open_clips
from anon_tune.evaluation import Effort, Lab, anonymize_split
from anon_tune.methods import build_anonymizer, make_recipe
from anon_tune.networks import Anonymizer
from anon_tune.recipe import Recipe
from anon_tune.study_directory import TrialDirectory
from anon_tune.trial import Ceilings, RungJob
from anon_tune.worker.job import perform

CPU = torch.device("cpu")
STEPS = (75, 150)  # the rung and the end of search_spaces/quickstart.toml
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class LiveClips(ClipSet):
    """Clips that are anonymized whenever they are looked at, to the same levels as a file would carry."""

    anonymizer: Anonymizer = field(kw_only=True)

    @torch.no_grad()
    def clips(self, indices: NDArray[np.int64]) -> Tensor:  # type: ignore[override]
        raw = ClipSet.clips(self, indices)
        return (self.anonymizer(raw).clamp(0, 1) * 255).round().to(torch.uint8).float() / 255


def attack(recipe: Recipe, clips: Clips, splits: dict[str, ClipSet]) -> Tensor:
    """Do the network part of a full score; return all that was read."""
    lab = Lab(splits, Effort.of_study(recipe.evaluation, full=True), CPU)
    read = [said for attack in lab.attacks([recipe.evaluation.seed], {}) for said in attack.scores.values()]
    classifier, _ = lab.classifier(len(clips.actions))
    read += [lab.predict(classifier, splits[name]) for name in SPLITS[1:]]
    return torch.cat([torch.from_numpy(said).flatten() for said in read])


def compare(recipe: Recipe, clips: Clips, anonymizer: Anonymizer, scratch: Path, live_first: bool) -> dict[str, float]:
    """Take the CPU seconds (other work moves those least) of attackers on clips anonymized once, and at every look."""
    anonymizer.eval()
    seconds: dict[str, float] = {}
    read: dict[str, Tensor] = {}
    for live in (live_first, not live_first):
        start = time.process_time()
        raw = {name: clips.split(name) for name in SPLITS}
        if live:
            splits: dict[str, ClipSet] = {
                n: LiveClips(s.frames, s.actions, s.private, s.groups, s.ids, anonymizer=anonymizer)
                for n, s in raw.items()
            }
        else:
            size = recipe.evaluation.batch_clips
            splits = {n: anonymize_split(anonymizer, s, scratch / n, size, CPU).clips for n, s in raw.items()}
            seconds["anonymizing_itself"] = time.process_time() - start
        name = "anonymized_at_every_look" if live else "anonymized_once"
        read[name] = attack(recipe, clips, splits)
        seconds[name] = time.process_time() - start
    once, live_read = read["anonymized_once"], read["anonymized_at_every_look"]
    return seconds | {
        "ratio": seconds["anonymized_at_every_look"] / seconds["anonymized_once"],
        "largest_difference_of_a_logit": float((once - live_read).abs().max()),
    }


def run(number: int, clips: Clips, directory: Path) -> dict[str, object]:
    """Train and measure one trial at the rung and in full, then compare."""
    updates = 1 + number % 3  # so that trainings take differently long
    params = {"training.num_steps": STEPS[-1], "training.num_branch_updates": updates, "training.seed": number}
    recipe = make_recipe(params)
    jobs = []
    for rung, step in enumerate(STEPS):
        full = rung == len(STEPS) - 1
        report = perform(RungJob(str(number), recipe, str(directory), rung, step, full, Ceilings(1.0, 1.0)), clips, CPU)
        assert report is not None
        jobs.append({"seconds": report.seconds, "measuring_seconds": report.score.seconds})
    whole = sum(job["seconds"] for job in jobs)
    anonymizer = build_anonymizer(recipe.with_weights(TrialDirectory.at(directory).weights.location))
    return {
        "num_branch_updates": updates,
        "seconds": whole,
        "share_of_measuring_at_the_rung": jobs[0]["measuring_seconds"] / whole,
        "share_of_measuring_in_full": jobs[1]["measuring_seconds"] / whole,
        "share_of_the_rung_job": jobs[0]["measuring_seconds"] / jobs[0]["seconds"],
        "share_of_the_full_job": jobs[1]["measuring_seconds"] / jobs[1]["seconds"],
        "attackers": compare(recipe, clips, anonymizer, directory, live_first=number % 2 == 1),
    }


def main() -> None:
    """Run the trials one after the other and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", default="avatars", help="a clip store, or 'avatars'")
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as scratch:
        clips = make_avatars(Path(scratch) / "avatars") if args.clips == "avatars" else open_clips(args.clips)
        trials = [run(number, clips, Path(scratch) / "trials" / str(number)) for number in range(args.trials)]
    numbers = ("share_of_measuring_at_the_rung", "share_of_measuring_in_full")
    medians = {name: statistics.median(t[name] for t in trials) for name in numbers}
    medians["ratio"] = statistics.median(t["attackers"]["ratio"] for t in trials)
    machine = {"cores": os.cpu_count(), "load": os.getloadavg(), "python": platform.python_version()}
    print(json.dumps({**vars(args), "machine": machine, "median": medians, "trials": trials}, indent=2))


if __name__ == "__main__":
    main()
