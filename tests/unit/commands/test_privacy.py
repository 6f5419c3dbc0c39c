"""``anon-tune privacy``: what it states of a study, a trial and a file, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from anon_tune.accounting.private_run import private_run
from anon_tune.commands.privacy import privacy
from anon_tune.errors import StudyError, UsageError
from anon_tune.ledger import Ledger
from anon_tune.methods import make_recipe
from anon_tune.networks import save_weights
from anon_tune.search.space import SearchSpace
from anon_tune.study.frozen_study import freeze_study
from anon_tune.study.settings import StudySettings
from anon_tune.study_directory import StudyDirectory, TrialDirectory
from anon_tune.trial import Trial, TrialState

DP = {"dp.clip_norm": 1.0, "dp.noise_multiplier": 2.0}
ITEMS = [
    "epsilon",
    "what is released",
    "unit",
    "neighbouring data",
    "mechanism",
    "sampling",
    "noised updates",
    "cost of the search",
    "accounting",
    "checked",
    "audited",
    "not said",
]


def study(folder: Path, num_trials: int = 1, **fixed: Any) -> Path:
    values = {"training.num_steps": 2, "evaluation.attackers_learn_on": "outside", **fixed}
    space = SearchSpace.from_tables(
        {"fixed": values, "search": {"privacy.weight": {"low": 1.0, "high": 2.0}}}, "x.toml"
    )
    folder.mkdir()
    settings = StudySettings(sampler="random", protected_clips=480, protected_groups=120)
    freeze_study(folder, space, settings)
    ledger = Ledger(StudyDirectory.at(folder).ledger)
    for at in range(num_trials):
        ledger.append(Trial(f"{at:04d}", at, "adversarial", {"privacy.weight": 1.5}, "", TrialState.COMPLETE))
    return folder


def test_a_statement_has_every_item(tmp_path: Path, say: Callable[..., Any]) -> None:
    found = dict(privacy(str(study(tmp_path / "one", **DP))))
    assert list(found) == ITEMS
    assert found["epsilon"].endswith("at delta 0.000208") and found["cost of the search"] == "none: a single run began"
    assert found["unit"] == "one clip; 480 clips in the training split"
    assert found["noised updates"].startswith("68: pretraining of the anonymizer 40, warm-up of")
    assert "videos that the anonymizer is used on later" in found["not said"]
    code, out, _ = say("privacy", tmp_path / "one", "--format", "json")
    assert code == 0 and json.loads(out) == {name.replace(" ", "_"): words for name, words in found.items()}
    code, out, _ = say("privacy", tmp_path / "one")
    assert code == 0 and all(line[:1] in " " or line.startswith(tuple(ITEMS)) for line in out.splitlines())
    more = dict(privacy(str(study(tmp_path / "more", 3, **DP))))
    assert more["cost of the search"].startswith("all 3 runs that began are composed")
    assert float(more["epsilon"].split()[0]) > float(found["epsilon"].split()[0])


def test_units_and_regions_are_named(tmp_path: Path) -> None:
    values = {**DP, "dp.unit": "groups", "dp.region": "persons"}
    found = dict(privacy(str(study(tmp_path / "persons", **values))))
    assert found["unit"] == "all clips of one group, such as a person; 120 groups in the training split"
    assert found["neighbouring data"].startswith("the pixels of persons in one unit are there, or are grey.")
    assert "MaskDP-style" in found["mechanism"] and "drawn independently" in found["mechanism"]
    assert "that the masks miss are not protected" in found["not said"]


def test_a_claim_is_printed_only_if_the_draws_accept_it(tmp_path: Path) -> None:
    made = str(study(tmp_path / "one", **{**DP, "anonymizer.pretrain_steps": 0, "training.warmup_steps": 0}))
    checked = dict(privacy(made, check=True))["checked"]
    assert checked.startswith("accepted by Monte Carlo: the mean of m = ") and "where tau is 0.5" in checked
    with pytest.raises(
        StudyError, match=r"the claim of epsilon .* was refused by 10 draws, got delta .* Use more --draws"
    ):
        privacy(made, check=True, draws=10)
    kept = dict(privacy(made))  # and so do the page, model cards and exports
    assert kept["epsilon"] == "refused: 10 draws of a Monte Carlo check did not accept its epsilon"
    assert kept["checked"].startswith("refused by Monte Carlo, by m = 10 draws")
    StudyDirectory.at(made).privacy_check.write(b"{")
    assert dict(privacy(made))["epsilon"].startswith("refused: ")
    privacy(made, check=True)
    assert dict(privacy(made))["checked"] == checked


def test_weights_of_a_trial_state_no_epsilon_of_their_own(tmp_path: Path) -> None:
    recipe = make_recipe(DP)
    run = private_run(recipe, 480, 120)
    trial = TrialDirectory.at(tmp_path / "trial")
    with trial.weights.writing() as path:
        save_weights({"x": torch.zeros(1)}, path, {"recipe": recipe.model_dump_json(), "account": run.to_json()})
    found = dict(privacy(str(tmp_path / "trial")))
    assert found["epsilon"].startswith("none for these weights alone")
    assert found["noised updates"].startswith(f"{run.num_updates}: ")
    card = json.dumps({"privacy": {"private release": "of one frame"}})
    save_weights({}, tmp_path / "x.safetensors", {"model_card": card})
    assert privacy(str(tmp_path / "x.safetensors")) == [("private release", "of one frame")]


@pytest.mark.parametrize("kind", ["study", "weights", "program"])
def test_what_was_not_trained_privately_is_refused_in_one_line(
    kind: str, tmp_path: Path, say: Callable[..., Any]
) -> None:
    subject = tmp_path / {"study": "plain", "weights": "x.safetensors", "program": "x.onnx"}[kind]
    if kind == "study":
        study(subject)
    elif kind == "weights":
        save_weights({"x": torch.zeros(1)}, subject, {"recipe": make_recipe({}).model_dump_json()})
    else:
        subject.write_bytes(b"")
    with pytest.raises(UsageError):
        privacy(str(subject))
    code, out, err = say("privacy", subject)
    assert code == 2 and not out and len(err.splitlines()) == 1 and str(subject) in err
