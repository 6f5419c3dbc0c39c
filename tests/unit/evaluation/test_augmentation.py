"""Random views: each clip by itself, all its frames alike."""

from __future__ import annotations

import torch
from torch import Tensor

from anon_tune.clips import ClipBatch
from anon_tune.evaluation.augmentation import AS_THEY_ARE, Augmentation
from anon_tune.training.views import random_view


def batch(clips: Tensor, **inputs: Tensor) -> ClipBatch:
    none = torch.zeros(len(clips), dtype=torch.int64)
    return ClipBatch(clips, none, none, ("",) * len(clips), inputs)


def test_no_views_leave_clips_as_they_are() -> None:
    clips = torch.rand(3, 2, 3, 4, 5)
    assert AS_THEY_ARE.view(batch(clips)).clips is clips


def test_about_half_of_the_clips_are_mirrored_and_all_frames_of_a_clip_alike() -> None:
    torch.manual_seed(0)
    clips = torch.rand(64, 2, 3, 4, 5)
    views = Augmentation(mirrors=True).view(batch(clips)).clips
    turned = [bool(torch.equal(view, clip.flip(-1))) for view, clip in zip(views, clips, strict=True)]
    kept = [bool(torch.equal(view, clip)) for view, clip in zip(views, clips, strict=True)]
    assert all(a != b for a, b in zip(turned, kept, strict=True))
    assert 16 < sum(turned) < 48


def test_pictures_that_belong_to_a_clip_are_mirrored_with_it() -> None:
    torch.manual_seed(0)
    clips, spots, numbers = torch.rand(64, 2, 3, 4, 5), torch.rand(64, 3, 5, 5), torch.rand(64)
    augmentation = Augmentation(mirrors=True, pictures=("spots",))
    seen = augmentation.view(batch(clips, spots=spots, numbers=numbers))
    turned = (seen.clips != clips).flatten(1).any(dim=1)
    assert 16 < int(turned.sum()) < 48
    expected = torch.where(turned.view(-1, 1, 1, 1), spots.flip(-1), spots)
    assert torch.equal(seen.inputs["spots"], expected) and torch.equal(seen.inputs["numbers"], numbers)
    other = augmentation.mirrored({"spots": spots, "numbers": numbers})
    assert torch.equal(other["spots"], spots.flip(-1)) and other["numbers"] is numbers


def test_shifts_move_each_clip_by_its_own_draw() -> None:
    torch.manual_seed(0)
    clips = torch.zeros(32, 2, 1, 7, 9)
    clips[..., 3, 4] = 1
    moved = random_view(clips, 2, mirrors=False)
    places = {tuple(view[0, 0].nonzero()[0].tolist()) for view in moved}
    assert len(places) > 5
    assert all(abs(y - 3) <= 2 and abs(x - 4) <= 2 for y, x in places)
    assert torch.equal(moved[:, 0], moved[:, 1])
