"""Random views: each clip by itself, all its frames alike."""

from __future__ import annotations

import torch

from anon_tune.evaluation.augmentation import AS_THEY_ARE, Augmentation
from anon_tune.training.views import random_view


def test_no_views_leave_clips_as_they_are() -> None:
    clips = torch.rand(3, 2, 3, 4, 5)
    assert AS_THEY_ARE.view(clips) is clips


def test_about_half_of_the_clips_are_mirrored_and_all_frames_of_a_clip_alike() -> None:
    torch.manual_seed(0)
    clips = torch.rand(64, 2, 3, 4, 5)
    views = Augmentation(mirrors=True).view(clips)
    turned = [bool(torch.equal(view, clip.flip(-1))) for view, clip in zip(views, clips, strict=True)]
    kept = [bool(torch.equal(view, clip)) for view, clip in zip(views, clips, strict=True)]
    assert all(a != b for a, b in zip(turned, kept, strict=True))
    assert 16 < sum(turned) < 48


def test_shifts_move_each_clip_by_its_own_draw() -> None:
    torch.manual_seed(0)
    clips = torch.zeros(32, 2, 1, 7, 9)
    clips[..., 3, 4] = 1
    moved = random_view(clips, 2, mirrors=False)
    places = {tuple(view[0, 0].nonzero()[0].tolist()) for view in moved}
    assert len(places) > 5
    assert all(abs(y - 3) <= 2 and abs(x - 4) <= 2 for y, x in places)
    assert torch.equal(moved[:, 0], moved[:, 1])
