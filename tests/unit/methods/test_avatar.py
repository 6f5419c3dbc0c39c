"""The figure moves as the silhouette does, and shows nothing else of the person."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from anon_tune.methods.avatar.figure import drawn
from anon_tune.methods.avatar.network import Avatar, background_of, poses_of


def walker(colour: float, width: int = 8) -> Tensor:
    """Return a clip (T,3,H,W) in which a bar of one colour walks over a slope of grey."""
    clip = torch.linspace(0.2, 0.6, 48).view(1, 1, 1, 48).repeat(10, 3, 48, 1)
    for t in range(10):
        clip[t, :, 10:40, 2 + 4 * t : 2 + 4 * t + width] = colour
    return clip


def test_the_person_is_gone_and_the_background_is_whole() -> None:
    clip = walker(1.0)
    slope = torch.linspace(0.2, 0.6, 48).view(1, 1, 48).expand(3, 48, 48)
    mask = (clip == 1.0).all(dim=1, keepdim=True)
    torch.testing.assert_close(background_of(clip, mask), slope)
    always = mask.clone()
    always[:, :, 20:23, 20:23] = True  # covered in every frame, so filled from around
    filled = background_of(clip, always)
    assert float((filled - slope).abs().max()) < 0.03


def test_the_figure_says_nothing_of_colour() -> None:
    method = Avatar("background", 0.5)
    dark, bright = (method(walker(colour)) for colour in (0.0, 1.0))
    assert float((dark - bright).abs().max()) < 0.01
    assert float(dark.max()) < 0.65


def test_the_figure_goes_where_the_silhouette_goes() -> None:
    masks = np.zeros((3, 40, 60), bool)
    for t in range(3):
        masks[t, 5:35, 10 + 10 * t : 18 + 10 * t] = True
    poses = poses_of(masks)
    assert None not in poses
    covers = [drawn([pose.figure], (40, 60)) for pose in poses if pose is not None]
    places = [float((cover.sum(axis=0) * np.arange(60)).sum() / cover.sum()) for cover in covers]
    np.testing.assert_allclose(np.diff(places), 10, atol=0.3)
    one = poses[0]
    assert one is not None
    assert (one.top[1], one.feet[0][1], one.height) == (5, 34, 30)


def test_hands_and_feet_are_the_ends_of_the_silhouette() -> None:
    mask = np.zeros((1, 40, 40), bool)
    mask[0, 5:25, 18:22] = True  # body
    mask[0, 12:14, 6:34] = True  # arms
    mask[0, 25:36, 14:18] = mask[0, 25:33, 22:26] = True  # legs
    (pose,) = poses_of(mask)
    assert pose is not None
    assert pose.hands == ((6.0, 12.5), (33.0, 12.5))
    assert (pose.feet[0][1], pose.feet[1][1]) == (35, 32)


def test_a_frame_without_a_person_shows_the_background_only() -> None:
    masks = np.zeros((2, 40, 40), bool)
    masks[0, 5:30, 10:20] = True
    first, second = poses_of(masks)
    assert first is not None
    assert second is None
    still = torch.full((4, 3, 20, 20), 0.3)
    torch.testing.assert_close(Avatar("background", 0.5)(still), still)
