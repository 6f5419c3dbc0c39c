"""The closed-form method that a network imitates before the game."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anon_tune.clips import Clips
from anon_tune.errors import RecipeError, SpaceError
from anon_tune.methods import build_anonymizer, check_start, make_recipe, trainer_of
from anon_tune.search import SearchSpace

TEMPORAL = {"anonymizer.network": "unet_temporal"}
SEARCH = {"penalty.weight": {"low": 0.1, "high": 1.0}}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"anonymizer.start": "blur:4"},
        {"anonymizer.start": "frame-difference", **TEMPORAL},
        {"anonymizer.start": "frame-difference:3", **TEMPORAL, "anonymizer.frames_after": 0},
        {"anonymizer.start": "frame-difference:3", "anonymizer.network": "bdq"},
    ],
)
def test_a_start_that_can_be_imitated(params: dict[str, Any]) -> None:
    check_start(make_recipe(params), "here")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"anonymizer.start": "frame-difference:3"},
            "here: 'anonymizer.start' = 'frame-difference:3' needs 1 earlier frame, and the network 'unet_small' sees "
            "0. Choose another start, or --set anonymizer.network=unet_temporal --set anonymizer.frames_before=1.",
        ),
        (
            {"anonymizer.start": "frame-difference:3", **TEMPORAL, "anonymizer.frames_before": 0},
            "here: 'anonymizer.start' = 'frame-difference:3' needs 1 earlier frame, and the network 'unet_temporal' ",
        ),
        (
            {"anonymizer.start": "person-blur:4", **TEMPORAL},
            "here: 'anonymizer.start' = 'person-blur:4' needs all frames of a clip, and the network 'unet_temporal' "
            "sees 1. Choose another start.",
        ),
        (
            {
                "anonymizer.start": "person-blur:sigma=4,detector=hog",
                "anonymizer.residual": True,
                "anonymizer.pretrain_steps": 0,
            },
            "here: 'anonymizer.start' must look for no persons with 'anonymizer.residual' or private training ('dp')",
        ),
        ({"anonymizer.start": "vita"}, "here: 'anonymizer.start' must be a closed-form method, got vita. Write "),
        ({"anonymizer.start": "blurr:4"}, "here: 'anonymizer.start': unknown method 'blurr'. Did you mean 'blur'?"),
        ({"anonymizer.start": "blur:0"}, "here: 'anonymizer.start': sigma of 'blur' must be a number from 0.1 to 256"),
    ],
)
def test_a_start_that_cannot_be_imitated_is_one_line(params: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        check_start(make_recipe(params), "here")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_start_needs_steps_in_which_it_is_imitated() -> None:
    with pytest.raises(RecipeError, match=r"'anonymizer\.start' = 'blur:2' needs 'anonymizer\.pretrain_steps' of at l"):
        make_recipe({"anonymizer.start": "blur:2", "anonymizer.pretrain_steps": 0})
    with pytest.raises(RecipeError, match=r"'anonymizer\.residual' needs 'anonymizer\.pretrain_steps' = 0, because"):
        make_recipe({"anonymizer.residual": True})


def test_a_search_space_is_refused_for_one_start_among_its_choices() -> None:
    choices = {"choices": ["identity", "blur:2", "frame-difference:3"]}
    with pytest.raises(RecipeError, match=r"f\.toml: 'anonymizer\.start' = 'frame-difference:3' needs 1 earlier frame"):
        SearchSpace.from_tables({"search": {**SEARCH, "anonymizer.start": choices}}, "f.toml")
    tables = {"search": {**SEARCH, "anonymizer.start": choices}, "fixed": TEMPORAL}
    assert SearchSpace.from_tables(tables, "f.toml").search["anonymizer.start"].probes == tuple(choices["choices"])
    with pytest.raises(
        SpaceError, match=r"'anonymizer\.start' is set by the method 'bdq'|not used by the method 'bdq'"
    ):
        SearchSpace.from_tables({"search": {"anonymizer.start": choices}, "fixed": {"method": "bdq"}}, "f.toml")


@pytest.mark.parametrize("start", ["identity", "frame-difference:3", "negative"])
def test_the_network_imitates_its_start_before_the_game(start: str, avatars: Clips) -> None:
    params = {
        "anonymizer.start": start,
        "anonymizer.pretrain_steps": 60,
        "anonymizer.pretrain_lr": 1e-2,
        "training.warmup_steps": 0,
        "training.seed": 1,
    }
    recipe = make_recipe({**params, **TEMPORAL})
    trainer = trainer_of(recipe)(
        recipe,
        partial(build_anonymizer, recipe),
        avatars.split("train"),
        len(avatars.actions),
        len(avatars.attributes),
        torch.device("cpu"),
    )
    clips = avatars.split("val").clips(range(8))
    wanted = build_anonymizer(make_recipe({"method": start}))(clips)
    before = far(trainer.anonymizer(clips), wanted)
    trainer._prepare()  # type: ignore[attr-defined]
    after = far(trainer.anonymizer(clips), wanted)
    assert after < before * 0.75
    others = {"identity", "frame-difference:3", "negative"} - {start}
    made = trainer.anonymizer(clips)
    assert all(after < far(made, build_anonymizer(make_recipe({"method": other}))(clips)) for other in others)


RESIDUAL = {"anonymizer.residual": True, "anonymizer.pretrain_steps": 0, "anonymizer.start": "frame-difference:3"}


def test_a_residual_network_begins_with_the_outputs_of_its_start(avatars: Clips) -> None:
    clips = avatars.split("val").clips(range(2))
    anonymizer = build_anonymizer(make_recipe(RESIDUAL | TEMPORAL))
    wanted = build_anonymizer(make_recipe({"method": "frame-difference:3"}))(clips)
    assert torch.equal(anonymizer(clips), wanted)
    narrow = build_anonymizer(make_recipe(RESIDUAL | TEMPORAL | {"anonymizer.block": 4, "anonymizer.levels": 3}))
    assert narrow(clips).unique().tolist() == [0, 0.5, 1]


def test_a_residual_network_learns_to_change_its_start(avatars: Clips) -> None:
    recipe = make_recipe({**TEMPORAL, **RESIDUAL, "training.warmup_steps": 0, "training.num_steps": 3})
    clips = avatars.split("train")
    sizes = len(avatars.actions), len(avatars.attributes)
    trainer = trainer_of(recipe)(recipe, partial(build_anonymizer, recipe), clips, *sizes, torch.device("cpu"))
    before = trainer.anonymizer(clips.clips(range(2)))
    trainer.train_until(3)
    assert far(trainer.anonymizer(clips.clips(range(2))), before) > 1e-4


def test_a_residual_network_takes_the_weights_of_the_network_alone(tmp_path: Path) -> None:
    plain = build_anonymizer(make_recipe(TEMPORAL))
    torch.save(plain.network.state_dict(), tmp_path / "network.pt")
    recipe = make_recipe(RESIDUAL | TEMPORAL | {"anonymizer.weights": str(tmp_path / "network.pt")})
    assert torch.equal(build_anonymizer(recipe).network.out.weight, plain.network.out.weight)


def test_a_network_that_makes_no_frames_of_windows_cannot_change_a_start() -> None:
    with pytest.raises(RecipeError, match=r"'anonymizer\.residual' needs a network that makes its frames from windows"):
        build_anonymizer(make_recipe({**RESIDUAL, "anonymizer.network": "bdq"}))


def far(one: Tensor, other: Tensor) -> float:
    return float((one - other).detach().abs().mean())
