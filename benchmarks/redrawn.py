"""Print how often a trained 'diffusion' draws frames of its training split into clips of other people, as JSON.

python benchmarks/redrawn.py STUDY TRIAL
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch

from anon_tune.clips import open_clips
from anon_tune.commands.results import pick_trial
from anon_tune.evaluation.score import anonymize_split
from anon_tune.export import load_trial
from anon_tune.methods.diffusion.redrawn import redrawn
from anon_tune.study import read_study
from anon_tune.study_directory import StudyDirectory


def main(directory: str, trial: str) -> None:
    """Anonymize the test split of a study and compare it with the training split."""
    study = StudyDirectory.at(directory)
    _, settings = read_study(study)
    clips = open_clips(study.clips.location if settings.clips == "avatars" else settings.clips)
    loaded = load_trial(study, pick_trial(study, None, trial))
    test, train = clips.split("test"), clips.split("train")
    with tempfile.TemporaryDirectory() as scratch:
        made = anonymize_split(loaded.anonymizer, test, Path(scratch) / "test", 8, torch.device("cpu"))
        found = redrawn(made.clips.frames[:, ::2], test.frames[:, ::2], train.frames[:, ::2])
    print(json.dumps({"study": directory, "trial": trial, **asdict(found)}, indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:])
