"""The figure moves as the silhouette does, and shows nothing else of the person."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from anon_tune.clips.figure import draw_person
from anon_tune.errors import DataError
from anon_tune.methods.avatar.figure import drawn
from anon_tune.methods.avatar.network import Avatar, background_of, poses_of
from anon_tune.methods.avatar.skeleton import figures_of


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


def seen(broad: bool, colour: float) -> tuple[Tensor, Tensor]:
    """Return a clip (8,3,48,48) of somebody who raises the arms, and the key points of it."""
    from anon_tune.clips.figure import Person, Pose

    shade, rest = np.full(3, colour, np.float32), np.full(8, 0.5, np.float32)
    girth, limb = (0.16, 0.055) if broad else (0.07, 0.03)
    hat = shade if broad else None
    person = Person(shade, shade, shade, None, shade, hat, girth=girth, limb=limb, height=1.0)
    canvas = np.empty((8, 48, 48, 3), np.float32)
    canvas[:] = np.linspace(0.2, 0.6, 48, dtype=np.float32)[:, None]
    points = draw_person(canvas, person, Pose(np.linspace(0, 1, 8, dtype=np.float32), 0 * rest, rest, rest))
    return torch.from_numpy(canvas).permute(0, 3, 1, 2), torch.from_numpy(points)[:, None]


def test_a_figure_that_moves_by_key_points_says_nothing_of_the_build() -> None:
    method = Avatar("background", 0.5)
    slim, broad = (method(*seen(broad, 0.9)) for broad in (False, True))
    assert float((slim - broad).abs().max()) < 0.06  # what shows through is how the background is filled in
    dark, bright = (method(*seen(True, colour)) for colour in (0.0, 0.9))
    assert float((dark - bright).abs().max()) < 0.02


def test_hands_and_feet_are_where_the_key_points_are() -> None:
    points = seen(False, 0.9)[1].numpy()
    for t, ((figure,), (person,)) in enumerate(zip(figures_of(points, (48, 48), neutral=False), points, strict=True)):
        ends = {end for limb in figure.limbs for end in limb}
        wrist = tuple(person[9, :2] * 48 - 0.5)
        assert min(np.hypot(x - wrist[0], y - wrist[1]) for x, y in ends) < 1e-3, t
    raised = [figures[0].limbs[3][1][1] for figures in figures_of(points, (48, 48))]  # row of the left wrist
    assert (np.diff(raised) < 0).all()


def test_unknown_points_shorten_the_figure_and_unknown_people_have_none() -> None:
    points = np.repeat(seen(False, 0.9)[1].numpy(), 2, axis=1)
    points[0, 1] = 0  # the second person comes later
    points[:, 0, [0, 1, 2, 3, 4, 7, 9], 2] = 0  # no face, no left elbow and wrist
    figures = figures_of(points, (48, 48))
    assert [len(some) for some in figures] == [1] + [2] * 7
    lame, whole = figures[1]
    assert len(whole.limbs) - len(lame.limbs) == 2
    assert lame.head is not None
    assert lame.head[1] < min(row for limb in lame.limbs[:-1] for _, row in limb)


def test_clips_without_key_points_are_drawn_by_silhouettes() -> None:
    clip, none = walker(1.0), torch.zeros(10, 0, 17, 3)
    by_mask = Avatar("background", 0.5)(clip)
    assert torch.equal(Avatar("background", 0.5)(clip, none), by_mask)
    clip, points = seen(True, 0.9)
    assert torch.equal(Avatar("background", 0.5, "silhouette")(clip, points), Avatar("background", 0.5)(clip))
    with pytest.raises(DataError, match=r"needs clips with key points\. Import the clips with --keypoints"):
        Avatar("background", 0.5, "keypoints")(clip)


def test_frames_without_a_person_are_shown_without_a_figure() -> None:
    clip, points = seen(True, 0.9)
    only = Avatar("background", 0.5, "keypoints")
    for people in (1, 0):  # a part of a long video in which nobody is known
        made = only(clip, torch.zeros_like(points)[:, :people])
        assert torch.equal(made, made[:1].expand_as(made))
