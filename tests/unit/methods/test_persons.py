"""Detectors find persons, no other pixel changes, and the sizes of LA3D's filters follow its formula."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from anon_tune.datasets.decode import ClipForm, DecodedClip, decode_clip
from anon_tune.methods import build_anonymizer
from anon_tune.methods.persons.network import AreaBlur, AreaPixelate, moving_regions, upright_regions
from anon_tune.networks import Anonymizer
from anon_tune.recipe import Recipe

IXMAS = Path(os.environ.get("ANON_TUNE_IXMAS", Path(__file__).parents[3] / "../shared/data/ixmas"))


def build(method: str) -> Anonymizer:
    return build_anonymizer(Recipe(method=method))


def room(num_frames: int, height: int, width: int, noise: float = 0.0) -> Tensor:
    """A still textured background (1,T,3,H,W) with noise of its own in every frame."""
    generator = torch.Generator().manual_seed(0)
    still = 0.3 + 0.4 * torch.rand(1, 1, 3, height, width, generator=generator)
    return (still + noise * torch.randn(1, num_frames, 3, height, width, generator=generator)).clamp(0, 1)


def walk(clips: Tensor, step: int = 6) -> Tensor:
    """Let a bright block of 10 x 5 pixels walk to the right; return where it is, (1,T,1,H,W)."""
    there = torch.zeros(1, clips.shape[1], 1, *clips.shape[-2:], dtype=torch.bool)
    for t in range(clips.shape[1]):
        there[0, t, 0, 8:18, 2 + step * t : 7 + step * t] = True
    clips.copy_(torch.where(there, 1.0, clips))
    return there


def walker(height: int, width: int) -> tuple[Tensor, Tensor]:
    """An upright dark silhouette, 100 pixels tall, on white: (1,1,3,H,W) and where it is."""
    y, x = torch.meshgrid(torch.arange(height) - height // 2, torch.arange(width) - width // 2, indexing="ij")
    head = (x / 7) ** 2 + ((y + 42) / 9) ** 2 < 1
    body = (x / 14) ** 2 + ((y + 16) / 24) ** 2 < 1
    legs = (y > 0) & (y < 50) & (((x.abs() - 6 - 0.12 * (y - 20)).abs()) < 6)
    there = head | body | legs
    soft = F.avg_pool2d(there.float()[None, None], 3, stride=1, padding=1)
    return (0.75 - 0.55 * soft).expand(1, 3, -1, -1).unsqueeze(0), there


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.06])
def test_what_moves_is_found_and_the_rest_is_not(noise: float) -> None:
    clips = room(8, 32, 48, noise)
    there = walk(clips, step=5)
    mask = moving_regions(clips)
    assert (mask | ~there).float().mean() == 1
    grown = F.max_pool2d(there.float().squeeze(2), 5, stride=1, padding=2).bool().unsqueeze(2)
    assert (mask & ~grown).float().mean() < 0.01


def test_noise_alone_is_nobody() -> None:
    for noise in (0.0, 0.01, 0.05):
        assert moving_regions(room(8, 32, 32, noise)).float().mean() < 0.02


def test_who_rests_for_most_of_a_clip_is_not_found() -> None:
    clips = room(8, 32, 48)
    clips[:, :, :, 8:18, 20:25] = 1.0
    assert not moving_regions(clips).any()


@pytest.mark.parametrize(("height", "width"), [(192, 128), (192, 192), (48, 32)])
def test_an_upright_figure_is_found_in_its_box(height: int, width: int) -> None:
    clip, there = walker(192, 192 * width // height)
    small = F.interpolate(clip[0], (height, width), mode="area").unsqueeze(0)
    shown = F.interpolate(there.float()[None, None], (height, width), mode="area")[0, 0] > 0.5
    mask = upright_regions(small)[0, 0, 0]
    assert mask[shown].float().mean() > 0.97
    assert mask.float().mean() < 0.6
    assert not upright_regions(torch.full((1, 2, 3, 40, 30), 0.5)).any()


@pytest.mark.skipif(not IXMAS.is_dir(), reason="no IXMAS clips; ANON_TUNE_IXMAS may name their folder")
def test_real_persons_are_found_by_both_detectors() -> None:
    found = []
    for file in sorted(IXMAS.glob("*_07_walk_cam0.mp4"))[:4]:
        made = decode_clip(IXMAS, ClipForm(6, 64, 48), file.name)
        assert isinstance(made, DecodedClip)
        clip = torch.from_numpy(made.frames).permute(0, 3, 1, 2).unsqueeze(0).float() / 255
        moving, upright = moving_regions(clip), upright_regions(clip)
        found.append(upright.flatten(2).any(-1).float().mean())
        for mask in (moving, upright):
            assert mask.float().mean() < 0.7
        assert moving.any()
    assert len(found) == 4
    assert torch.stack(found).mean() > 0.5


@pytest.mark.parametrize("method", ["person-black-out", "person-blur:2", "area-blur", "area-pixelate"])
def test_nothing_outside_the_person_changes(method: str) -> None:
    clips = room(6, 32, 48, 0.01)
    there = walk(clips)
    out = build(method)(clips)
    mask = moving_regions(clips)
    assert torch.equal(out[~mask.expand_as(out)], clips[~mask.expand_as(clips)])
    assert not torch.equal(out[there.expand_as(out)], clips[there.expand_as(clips)])
    if method == "person-black-out":
        assert (out[mask.expand_as(out)] == 0).all()
    if method == "person-blur:2":
        assert torch.equal(out, torch.where(mask, build("blur:2")(clips), clips))


@pytest.mark.parametrize(
    ("strength", "percent", "box", "blur", "pixelate"),
    [
        (1.0, 1, (40, 40), 13, 4),  # ln 1 = 0, so the scale is its least, 1
        (1.0, 20, (200, 100), 38, 11),  # floor(13 ln 20), floor(4 ln 20)
        (0.5, 20, (200, 100), 19, 5),
        (1.0, 20, (200, 30), 15, 11),  # at most half of the shorter side
        (1.0, 20, (1, 1), 1, 1),
        (0.01, 1, (40, 40), 1, 1),
    ],
)
def test_sizes_follow_la3d(strength: float, percent: int, box: tuple[int, int], blur: int, pixelate: int) -> None:
    frame = (1000, 1000)
    area = percent * 10_000 + 5_000  # the percentage is rounded down
    assert AreaBlur(strength, "background").size(area, box, frame) == blur
    assert AreaPixelate(strength, "background").size(area, box, frame) == pixelate


def test_every_region_has_its_own_size() -> None:
    clips = room(3, 120, 160)
    clips[0, 0, :, 4:104, 4:84] = torch.rand(3, 100, 80, generator=torch.Generator().manual_seed(1))
    clips[0, 0, :, 20:30, 120:132] = torch.rand(3, 10, 12, generator=torch.Generator().manual_seed(2))
    out = build("area-pixelate")(clips)
    large, small = out[0, 0, 0, 40:70, 30:60], out[0, 0, 0, 20:30, 120:132]
    share = 80 * 100 / (120 * 160)
    expected = int(4 * math.log(100 * share))
    assert abs(_block(large) - expected) <= 1
    assert _block(small) == 4


def _block(patch: Tensor) -> int:
    """Return the largest number of equal pixels that follow each other in a row."""
    equal = (patch.diff(dim=1) == 0).all(dim=0).tolist()
    runs = "".join("1" if e else " " for e in equal).split()
    return 1 + max((len(run) for run in runs), default=0)
