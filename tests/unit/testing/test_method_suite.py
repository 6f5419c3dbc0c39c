"""Our methods pass the public checks, and a method that breaks a rule does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor

from anon_tune.methods import specs
from anon_tune.methods.negative.network import Negative
from anon_tune.testing import methods


@pytest.mark.parametrize("name", [spec.example for spec in specs() if spec.name != "external"])
@pytest.mark.parametrize("check", methods.CHECKS, ids=lambda check: check.__name__)
def test_ours_pass(check: Callable[[str], None], name: str) -> None:
    check(name)


BROKEN: dict[str, Callable[[Tensor], Tensor]] = {
    "frames_come_out_as_frames": lambda clips: clips[..., :-1],
    "same_seed_gives_the_same": lambda clips: clips + clips.mean(dim=0),
    "a_frame_depends_on_no_more_than_it_says": lambda clips: clips / 2 + clips.mean(dim=1, keepdim=True) / 2,
}


@pytest.mark.parametrize("check", BROKEN)
def test_a_broken_method_fails(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Negative, "rewrite", lambda self, clips: BROKEN[check](clips))
    with pytest.raises(AssertionError):
        getattr(methods, check)("negative")
