"""Attackers as privacy branches: what they see, who drives f_A, restarts in turn, categories."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from anon_tune.errors import RecipeError
from anon_tune.methods import make_recipe
from anon_tune.networks import build_network
from anon_tune.recipe import PrivacyRecipe
from anon_tune.training import AttackerBranch, Collective, PrivacyBranches, Seen, Target, check_demands, privacy_loss
from anon_tune.training.losses import uniform
from anon_tune.training.views import random_view

SHAPE = (4, 16, 16)
ALL = ("network", "frame", "clip", "motion", "pixels")


def build(target: Target | None = None, **fields: Any) -> PrivacyBranches:
    torch.manual_seed(0)
    return PrivacyBranches(PrivacyRecipe(width=4, **fields), target or Target(3, clip_shape=SHAPE), Collective())


def seen(num_attributes: int = 3, gradient: bool = False) -> Seen:
    generator = torch.Generator().manual_seed(3)
    clips = torch.rand(4, *SHAPE[:1], 3, *SHAPE[1:], generator=generator).requires_grad_(gradient)
    private = (torch.rand(4, num_attributes, generator=generator) < 0.5).float()
    return Seen(clips[:, :2], clips, private, seed=5)


def test_every_attacker_is_a_branch_beside_the_network() -> None:
    branches = build(branches=ALL, num_branches=2)
    assert [isinstance(branch, AttackerBranch) for branch in branches] == [False] * 2 + [True] * 8
    shapes = [tuple(loss.shape) for loss in branches.losses(seen())]
    assert shapes == [(8, 3)] * 2 + [(4, 3)] * 8  # the network sees stills, attackers see clips


def test_a_text_names_several() -> None:
    assert make_recipe({"privacy.branches": "frame, motion"}).privacy.branches == ("frame", "motion")
    with pytest.raises(RecipeError, match=r"'privacy\.branches': a branch may be named only once, got clip, clip"):
        make_recipe({"privacy.branches": "clip,clip"})
    with pytest.raises(
        RecipeError, match=r"'privacy\.head' = 'nt_xent' needs 'privacy\.branches' = 'network', got frame"
    ):
        make_recipe({"privacy.branches": "frame", "privacy.head": "nt_xent"})


def test_what_attackers_draw_depends_on_the_seed_alone() -> None:
    branches, state = build(branches=ALL), torch.random.get_rng_state()
    one, two = branches.losses(seen()), branches.losses(seen())
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert torch.equal(torch.random.get_rng_state(), state)
    clips = seen().clips
    other = branches.losses(Seen(clips[:, :2], clips, seen().private, seed=6))
    assert [torch.equal(a, b) for a, b in zip(one, other, strict=True)] == [
        True,
        False,
        True,
        False,
        False,
    ]  # 'pixels' has a dropout


def test_an_attacker_works_in_both_moves_as_in_its_own_training() -> None:
    branches = build(branches=("frame",))
    first = branches.train().losses(seen())[0]
    branches.requires_grad_(False).eval()
    assert all(module.training for module in branches[0].modules())
    assert torch.equal(branches.losses(seen())[0], first)


@pytest.mark.parametrize("driver", ["strongest", "all"])
def test_the_strongest_or_all_drive(driver: str) -> None:
    branches, given = build(branches=("frame", "clip", "motion"), driver=driver, cap=10.0), seen(gradient=True)
    losses = [loss.mean().item() for loss in branches.losses(given)]
    term, shown = branches.drive(given)
    wanted = min(losses) if driver == "strongest" else sum(losses) / 3
    assert shown.item() == pytest.approx(wanted, rel=1e-5)
    assert term.item() == pytest.approx(-wanted, rel=1e-5)
    term.backward()
    with_gradient = [any(p.grad is not None for p in branch.parameters()) for branch in branches]
    assert sum(with_gradient) == (1 if driver == "strongest" else 3)
    assert given.clips.grad is not None
    assert given.clips.grad.abs().max() > 0


def weights(module: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in module.state_dict().values()]


def test_branches_restart_in_turn() -> None:
    branches = build(branches=("frame", "clip", "motion"), restart="in-turn")
    for turn in range(4):
        before = [weights(branch) for branch in branches]
        replaced = {id(p) for p in branches.restart(7 + turn, turn)}
        changed = [
            not all(torch.equal(a, b) for a, b in zip(old, weights(branch), strict=True))
            for old, branch in zip(before, branches, strict=True)
        ]
        assert changed == [at == turn % 3 for at in range(3)]
        assert replaced == {id(p) for p in branches[turn % 3].parameters()}


def test_a_category_counts_as_one_label() -> None:
    logits, private = torch.randn(5, 5), torch.zeros(5, 5)
    private[torch.arange(5), torch.tensor([0, 1, 3, 0, 3])] = 1  # the values 0, 1 and 3 are a category
    private[:2, 2] = private[:3, 4] = 1
    loss, blind = privacy_loss(logits, private, "attributes", 0.1, [(0, 1, 3)])
    assert isinstance(blind, Tensor)
    assert blind.tolist() == pytest.approx([math.log(3), math.log(2), math.log(2)])
    odds = logits[:, [0, 1, 3]].exp()
    right = odds[torch.arange(5), torch.tensor([0, 1, 2, 0, 2])] / odds.sum(dim=1)
    assert torch.allclose(loss[:, 0], -right.log(), atol=1e-6)
    signs = private[:, [2, 4]] * 2 - 1
    assert torch.allclose(loss[:, 1:], -nn.functional.logsigmoid(signs * logits[:, [2, 4]]), atol=1e-6)
    blind_outputs = torch.ones(5, 5)
    blind_outputs[:, [2, 4]] = 0
    assert uniform(blind_outputs, [(0, 1, 3)]).item() == pytest.approx(float(blind.mean()))
    assert uniform(logits, [(0, 1, 3)]) > float(blind.mean())


def test_no_gain_for_a_category_on_which_a_branch_is_blind() -> None:
    branches = build(Target(3, [(0, 1, 2)], SHAPE), branches=("pixels",))
    for parameter in branches.parameters():
        nn.init.zeros_(parameter)
    private = torch.eye(3)[torch.tensor([0, 1, 2, 0])]
    clips = seen().clips
    term, shown = branches.drive(Seen(clips, clips, private))
    assert shown.item() == pytest.approx(math.log(3))
    assert term.item() == pytest.approx(-math.log(3))


def test_a_view_shifts_and_mirrors_whole_clips() -> None:
    clips = torch.arange(2 * 3 * 1 * 5 * 6).float().view(2, 3, 1, 5, 6)
    torch.manual_seed(1)
    views = [random_view(clips, 1, True) for _ in range(60)]
    assert all(view.shape == clips.shape for view in views)
    padded = nn.functional.pad(clips.flatten(0, 1), (1, 1, 1, 1), mode="replicate").view(2, 3, 1, 7, 8)
    crops = [padded[..., y : y + 5, x : x + 6] for y in range(3) for x in range(3)]
    mirrored = nn.functional.pad(clips.flip(-1).flatten(0, 1), (1, 1, 1, 1), mode="replicate").view(2, 3, 1, 7, 8)
    crops += [mirrored[..., y : y + 5, x : x + 6] for y in range(3) for x in range(3)]
    found = {next(k for k, crop in enumerate(crops) if torch.equal(view[0], crop[0])) for view in views}
    assert len(found) > 12  # most of the 18 views
    assert random_view(clips, 0, False) is clips


def test_random_views_only_where_clips_are_few() -> None:
    few, many = (build(Target(3, (), (4, 64, 48), n), branches=("frame", "clip")) for n in (99.0, 100.0))
    assert [(b.shift, b.mirrors) for b in few] == [(2, True), (0, False)]  # those of the attackers outside
    assert [(b.shift, b.mirrors) for b in many] == [(0, False), (0, False)]


def never() -> Any:
    raise AssertionError


@pytest.mark.parametrize(
    ("params", "num_frames", "stills", "message"),
    [
        (
            {"privacy.branches": "frame,motion"},
            1,
            None,
            "f: the branch 'motion' of 'privacy.branches' needs clips of at ",
        ),
        (
            {"privacy.branches": "clip"},
            1,
            None,
            "f: the branch 'clip' of 'privacy.branches' needs clips of at least 2 ",
        ),
        (
            {"privacy.branches": "frame,clip"},
            8,
            1,
            "f: the branch 'clip' of 'privacy.branches' needs clips and cannot ",
        ),
        (
            {"anonymizer.network": "unet_temporal", "anonymizer.frames_before": 0},
            8,
            1,
            "f: an anonymizer whose frames depend on other frames cannot learn on stills, got the network 'unet_t",
        ),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    params: dict[str, Any], num_frames: int, stills: int | None, message: str
) -> None:
    recipe = make_recipe(params)
    with pytest.raises(RecipeError) as caught:
        check_demands(recipe, num_frames, stills, lambda: build_network(recipe.anonymizer), "f")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    check_demands(recipe, 8, None, never, "f")


def test_frames_are_enough_for_branches_that_see_stills() -> None:
    recipe = make_recipe({"privacy.branches": "network,frame,pixels"})
    check_demands(recipe, 1, 1, lambda: build_network(recipe.anonymizer), "f")


def test_epochs_need_the_number_of_clips_in_one() -> None:
    epochs = {"training.num_epochs": 2}
    with pytest.raises(RecipeError, match=r"^f: 'training\.num_epochs' needs 'training\.epoch_clips'"):
        check_demands(make_recipe(epochs), 8, None, never, "f")
    check_demands(make_recipe(epochs | {"training.epoch_clips": 100}), 8, None, never, "f")


def test_an_attacker_without_a_network_is_no_branch() -> None:
    recipe = make_recipe({"privacy.branches": "frame,descriptors"})
    with pytest.raises(RecipeError, match=r"^f: 'privacy\.branches': 'descriptors' is not a network, so it cannot"):
        check_demands(recipe, 8, None, never, "f")


@pytest.mark.parametrize("name", ["fram", "committee"])
def test_an_unknown_branch_is_refused_with_the_search_space(name: str) -> None:
    from anon_tune.search import SearchSpace

    search = {"privacy.branches": {"choices": ["frame", f"frame,{name}"]}}
    with pytest.raises(RecipeError, match=rf"f\.toml: 'privacy\.branches': unknown attacker '{name}'"):
        SearchSpace.from_tables({"search": search}, "f.toml")
